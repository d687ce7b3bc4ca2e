"""How often an order is asked to end, and a position is tried again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.flatten.exits import Quote, WorkingExit
from durable_orders.trading.flatten.flatten import ASK_AGAIN, SIGNAL_AGAIN, Flatten, Progress
from durable_orders.trading.flatten.request import Difference, OrderOutcome
from durable_orders.trading.flatten.snapshot import Closing, OpenOrder, Snapshot
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import Mode, OrderType, Product, Side, Status
from tests.trading.flatten.test_lagging import REQUEST

START = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def seen(*, followed: bool) -> Snapshot:
    order = OpenOrder(
        order_id="order:a:1", summary="", status=Status.PLACED, position="NSE:INFY MIS", followed=followed
    )
    return Snapshot(state=AccountState.REDUCING, mode=Mode.LIVE, open=(order,))


def asked(flatten: Flatten, snapshot: Snapshot, seconds: int) -> list[tuple[int, bool, bool]]:
    """In which second it was asked to end, whether at the broker, and whether it had been asked before."""
    return [
        (second, cancel.at_broker, cancel.again)
        for second in range(seconds)
        for cancel in flatten.step(snapshot, START + second * SECOND).cancels
    ]


def test_the_workflow_of_an_order_is_asked_again_as_it_may_be_another_by_then() -> None:
    again = int(SIGNAL_AGAIN.total_seconds())
    told = asked(Flatten(Progress(requests=(REQUEST,)), "run"), seen(followed=True), 2 * again + 1)
    assert told == [(0, False, False), (again, False, True), (2 * again, False, True)]


def test_the_broker_is_asked_more_often_where_nobody_else_does() -> None:
    again = int(ASK_AGAIN.total_seconds())
    told = asked(Flatten(Progress(requests=(REQUEST,)), "run"), seen(followed=False), 2 * again + 1)
    assert told == [(0, True, False), (again, True, False), (2 * again, True, False)]


def test_a_position_that_every_order_fails_to_close_is_tried_on_ever_later_and_told_of() -> None:
    """It is given up by nobody; a human is told after the fifth, and then every minute."""
    flatten, quote = Flatten(Progress(requests=(REQUEST,)), "run"), Quote(last=Decimal(1500), tick_size=Decimal("0.05"))
    held = Closing(symbol="NSE:INFY", product=Product.MIS, side=Side.SELL, slices=(10,), quote=quote)
    refused: list[OrderOutcome] = []
    sent, told = [], []
    for second in range(300):
        over, refused = refused, []
        snapshot = Snapshot(
            state=AccountState.REDUCING,
            mode=Mode.LIVE,
            closings=(held,),
            over=tuple(each.order_id for each in over),
            outcomes=tuple(over),
            exits=Exits(),
        )
        step = flatten.step(snapshot, START + second * SECOND)
        assert not step.is_done
        told += [(second, words) for words in step.alerts]
        for intent in step.orders:
            sent.append((second, intent.order_type))
            own, words = str(intent.order_id), "refused by the broker: no"
            refused.append(
                OrderOutcome(order_id=own, summary="", status=Status.REJECTED, filled_quantity=0, words=words)
            )
    assert [second for second, _ in sent] == [0, 3, 8, 17, 34, 67, 132, 197, 262]
    assert [kind for _, kind in sent] == [OrderType.MARKET] + [OrderType.LIMIT] * 8
    assert [second for second, _ in told] == [35, 95, 155, 215, 275]
    assert told[0][1] == (
        "NSE:INFY MIS is not closed yet: 5 closing orders in a row did not close it: refused by the broker: no"
    )


def reminded(flatten: Flatten, snapshot: Snapshot, seconds: int) -> list[tuple[int, str]]:
    """In which second it was said again what is not closed yet."""
    return [
        (second, words)
        for second in range(seconds)
        for words in flatten.step(snapshot, START + second * SECOND).reminders
    ]


def test_nothing_that_lasts_is_passed_over_in_silence() -> None:
    """An order that does not end, one of which nobody knows how it ended, positions that cannot be read."""
    usual = Snapshot(state=AccountState.REDUCING, mode=Mode.LIVE, exits=Exits())
    unknown = OpenOrder(
        order_id="order:a:1", summary="SELL 10", status=Status.UNKNOWN, position="NSE:INFY MIS", followed=True
    )
    held = Closing(symbol="NSE:INFY", product=Product.MIS, side=Side.SELL, slices=(10,))
    for snapshot, words in [
        (usual.model_copy(update={"open": (unknown,)}), "NSE:INFY MIS is not closed yet: SELL 10 is UNKNOWN"),
        (
            usual.model_copy(update={"open": (unknown,), "closings": (held,)}),
            "NSE:INFY MIS is not closed yet: SELL 10 is UNKNOWN",
        ),
        (usual.model_copy(update={"waits": "no answer"}), "what is held is not closed yet: no answer"),
    ]:
        told = reminded(Flatten(Progress(requests=(REQUEST,)), "run"), snapshot, 140)
        assert told == [(65, words), (130, words)]


def test_a_closing_order_that_is_unknown_is_told_of_even_while_the_account_is_halted() -> None:
    flatten, quote = Flatten(Progress(requests=(REQUEST,)), "run"), Quote(last=Decimal(1500), tick_size=Decimal("0.05"))
    held = Closing(symbol="NSE:INFY", product=Product.MIS, side=Side.SELL, slices=(10,), quote=quote)
    usual = Snapshot(state=AccountState.REDUCING, mode=Mode.LIVE, exits=Exits(), closings=(held,))
    [intent] = flatten.step(usual, START).orders
    working = WorkingExit(
        order_id=intent.order_id,
        summary="SELL 10",
        status=Status.UNKNOWN,
        side=Side.SELL,
        order_type=OrderType.MARKET,
        price=None,
        remaining=10,
    )
    for state in (AccountState.REDUCING, AccountState.HALTED):
        told = reminded(flatten, usual.model_copy(update={"working": (working,), "state": state}), 70)
        assert told == [(65, "NSE:INFY MIS is not closed yet: SELL 10 is UNKNOWN")]
        flatten = Flatten(flatten.progress.model_copy(update={"quiet_since": {}}), "run")


def test_what_waits_for_the_session_is_not_told_again_and_again() -> None:
    quote = Quote(last=None, tick_size=Decimal("0.05"), closed="the market is closed")
    held = Closing(symbol="NSE:INFY", product=Product.MIS, side=Side.SELL, slices=(10,), quote=quote)
    snapshot = Snapshot(state=AccountState.REDUCING, mode=Mode.LIVE, exits=Exits(), closings=(held,))
    assert reminded(Flatten(Progress(requests=(REQUEST,)), "run"), snapshot, 140) == []


def test_positions_that_had_not_settled_when_it_was_stopped_are_a_problem() -> None:
    """The broker seems to have nothing, a moment after a trade: nobody may call that flat."""
    behind = Difference(symbol="NSE:INFY", product="MIS", ours=10, theirs=0)
    snapshot = Snapshot(
        state=AccountState.HALTED, mode=Mode.LIVE, exits=Exits(), differences=(behind,), settle_seconds=10.0
    )
    flatten = Flatten(Progress(requests=(REQUEST,)), "run")
    assert flatten.step(snapshot, START).is_done
    [problem] = flatten.problems(snapshot, START)
    assert problem == "NSE:INFY MIS: the broker's position may lag behind its trades: look again"
    assert flatten.problems(snapshot, START + 10 * SECOND) == []
