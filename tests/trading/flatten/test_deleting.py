"""Which GTTs a flatten deletes, and what waits for that."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.closing import Target
from durable_orders.trading.flatten.deleting import ASK_AGAIN, GIVEN_UP, HOLDS, doomed, position_of
from durable_orders.trading.flatten.exits import Quote
from durable_orders.trading.flatten.flatten import Flatten, Progress, Step
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.flatten.snapshot import Closing, OpenGtt, Snapshot
from durable_orders.trading.gtt.gtt import GttIntent, GttLeg, GttStatus
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import Mode, Product, Side

START = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INFY, ON_BSE, FUTURE = "NSE:INFY", "BSE:INFY", "NFO:NIFTY26JANFUT"


def asked(strategy: str | None = None, **terms: object) -> FlattenRequest:
    own = {"account": "a", "reason": "enough", "who": "by a test", "flatten": True, "strategy": strategy}
    return FlattenRequest.model_validate(own | terms)


def gtt(
    gtt_id: str, side: Side = Side.SELL, quantity: int = 10, strategy: str = "swing", symbol: str = INFY
) -> GttState:
    """One leg of that quantity, and another of half as much: only one of them trades."""
    product = Product.NRML if symbol == FUTURE else Product.CNC
    legs = [GttLeg(trigger_price=Decimal(1400), price=Decimal(1399), quantity=quantity)]
    if side is Side.SELL:
        legs.append(GttLeg(trigger_price=Decimal(1600), price=Decimal(1599), quantity=max(quantity // 2, 1)))
    own = {"gtt_id": gtt_id, "symbol": symbol, "side": side, "product": product, "strategy": strategy}
    return GttState.of(GttIntent.model_validate(own | {"legs": legs}), START)


def target(quantity: int, symbol: str = INFY, strategy: str | None = None) -> Target:
    product = Product.NRML if symbol == FUTURE else Product.CNC
    return Target(symbol, product, strategy, quantity, quantity, quantity)


@pytest.mark.parametrize(
    ("states", "request_", "targets", "there", "deleted"),
    [
        ([gtt("a"), gtt("b", Side.BUY)], asked(), [target(10)], 10, "ab"),
        ([gtt("a")], asked(), [target(10)], 20, ""),
        ([gtt("a"), gtt("b", quantity=1)], asked(), [target(10)], 20, "ab"),
        ([gtt("a"), gtt("b", Side.BUY)], asked(), [], 0, "a"),
        ([gtt("a")], asked(), [], 10, ""),
        ([gtt("a")], asked(products=(Product.MIS,)), [], 0, ""),
        ([gtt("a")], asked(symbol="NSE:TCS"), [], 0, ""),
        ([gtt("a"), gtt("b", strategy="other")], asked("swing"), [target(10, strategy="swing")], 100, "a"),
        ([gtt("a", Side.BUY, symbol=FUTURE)], asked(), [target(-10, FUTURE)], -10, "a"),
        ([gtt("a", Side.BUY, symbol=FUTURE)], asked(), [target(-10, FUTURE)], -20, ""),
        ([gtt("a", symbol=FUTURE)], asked(), [], 0, ""),
        ([gtt("a", symbol=ON_BSE)], asked(), [target(10)], 10, "a"),
        ([gtt("a", symbol=ON_BSE)], asked(symbol=INFY), [target(10)], 10, "a"),
        ([gtt("a", symbol=ON_BSE), gtt("b")], asked(), [target(10)], 20, "ab"),
        ([gtt("a", symbol=ON_BSE), gtt("b")], asked(), [target(10)], 30, ""),
    ],
    ids=[
        "all of a position that is closed",
        "but what sells what stays there",
        "together they sell more than stays",
        "shares that nobody has are not sold, an entry stays",
        "what is not closed keeps its GTT",
        "another product",
        "another symbol",
        "of a strategy its own",
        "a short position's",
        "a short position of which as much stays",
        "of a future without a position: it may be an entry",
        "on the other exchange",
        "on the other exchange, asked for by symbol",
        "on both exchanges, together more than stays",
        "on both exchanges, together what stays",
    ],
)
def test_what_is_left_over_a_closed_position_is_deleted(
    states: list[GttState], request_: FlattenRequest, targets: list[Target], there: int, deleted: str
) -> None:
    held = {(state.intent.symbol, state.intent.product): there for state in states}
    found = doomed(states, [request_], targets, held, Guardian())
    assert "".join(state.intent.gtt_id for state in found) == deleted


@pytest.mark.parametrize(
    "other", [asked(products=(Product.MIS,)), asked(flatten=False)], ids=["of other products", "that closes nothing"]
)
def test_a_strategys_are_deleted_also_beside_a_request_of_the_account(other: FlattenRequest) -> None:
    own, held = target(10, strategy="swing"), {(INFY, Product.CNC): 100}
    found = doomed([gtt("a")], [asked("swing"), other], [own], held, Guardian())
    assert [state.intent.gtt_id for state in found] == ["a"]


def test_one_that_was_asked_to_go_counts_also_when_its_position_is_closed() -> None:
    states = [gtt("a", symbol=FUTURE), gtt("b", Side.BUY), gtt("c", Side.BUY)]
    found = doomed(states, [asked()], [], {}, Guardian(), ["a", "b"])
    assert [state.intent.gtt_id for state in found] == ["a", "b"]


def test_a_close_waits_for_one_on_the_other_exchange() -> None:
    assert position_of(gtt("a", symbol=ON_BSE), [target(10)]) == f"{INFY} CNC"
    assert position_of(gtt("a", symbol=ON_BSE), []) == f"{ON_BSE} CNC"


def seen(
    status: GttStatus | None = GttStatus.ACTIVE, state: AccountState = AccountState.REDUCING, **more: object
) -> Snapshot:
    waiting = (
        [] if status is None else [OpenGtt(gtt_id="exit", summary="SELL 10", status=status, position=f"{INFY} CNC")]
    )
    content = {"state": state, "mode": Mode.LIVE, "gtts": waiting, "exits": Exits()}
    return Snapshot.model_validate(content | more)


QUOTE = Quote(last=Decimal(1500), tick_size=Decimal("0.05"))
HELD = Closing(symbol=INFY, product=Product.CNC, side=Side.SELL, slices=(10,), quote=QUOTE)


def steps(flatten: Flatten, snapshot: Snapshot, seconds: int) -> list[Step]:
    return [flatten.step(snapshot, START + second * SECOND) for second in range(seconds)]


def test_the_position_is_closed_once_its_gtt_is_gone() -> None:
    flatten = Flatten(Progress(requests=(asked(),)), "run")
    first, second = steps(flatten, seen(closings=[HELD]), 2)
    assert ([each.gtt_id for each in first.deletes], first.orders, first.is_done) == (["exit"], (), False)
    assert (second.deletes, second.orders) == ((), ())
    assert len(flatten.step(seen(None, closings=[HELD]), START + 2 * SECOND).orders) == 1


def test_a_delete_that_hangs_holds_the_close_for_a_while_only() -> None:
    flatten = Flatten(Progress(requests=(asked(),)), "run")
    told = steps(flatten, seen(closings=[HELD]), 120)
    holds, again = int(HOLDS.total_seconds()), int(ASK_AGAIN.total_seconds())
    assert [second for second, step in enumerate(told) if step.orders] == [holds]
    assert [second for second, step in enumerate(told) if step.deletes] == [0, again, 2 * again, 3 * again]


@pytest.mark.parametrize("state", [AccountState.REDUCING, AccountState.HALTED])
def test_one_that_stays_is_given_up_and_told(state: AccountState) -> None:
    flatten = Flatten(Progress(requests=(asked(),)), "run")
    snapshot, given_up = seen(state=state), int(GIVEN_UP.total_seconds())
    told = steps(flatten, snapshot, given_up + 1)
    assert [second for second, step in enumerate(told) if step.is_done] == [given_up]
    (problem,) = flatten.problems(snapshot, START)
    assert problem == "GTT exit is ACTIVE and not deleted so far: it may open a position (SELL 10)"


def test_one_that_has_just_triggered_is_waited_for_and_not_deleted() -> None:
    """Its order is about to be in the book, and is cancelled there."""
    flatten = Flatten(Progress(requests=(asked(),)), "run")
    told = steps(flatten, seen(GttStatus.TRIGGERED, closings=[HELD]), 20)
    assert not any(step.deletes or step.orders or step.is_done for step in told)
