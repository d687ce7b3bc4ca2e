"""What plans claim of a position, and what of it others have closed."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import enter as enter_position
from durable_orders.trading.ledger.plan_claims import closed_by_others, excess_left, unclaimed
from durable_orders.trading.ledger.plans import find_plan, list_plans, orders_of_plan, record_plan
from durable_orders.trading.ledger.recording import receive, record
from durable_orders.trading.ledger.reservations import reserve
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Order, OrderIntent, PlanOrderIntent
from durable_orders.trading.orders.position_entry import PositionEntry
from durable_orders.trading.plans.claims import ByOthers
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.standing import refreshed
from durable_orders.trading.plans.state import PlanState
from tests.trading.ledger.examples import SECOND, START, Recording, history, record_all

INFY = "NSE:INFY"
NUMBERS = count(1)


def intent(plan_id: str, **terms: Any) -> PlanIntent:
    """BUY 75 INFY, stop 1400."""
    content: dict[str, Any] = {"plan_id": plan_id, "symbol": INFY, "side": "BUY", "quantity": 75, "strategy": "orb"}
    content |= {"entry": {}, "stop": {"trigger_price": "1400" if terms.get("side") != "SELL" else "1600"}}
    return PlanIntent(**content | terms)


def traded(ledger: Database, quantity: int, strategy: str, name: str = "", **terms: Any) -> Order:
    """An order that is filled; to sell, where the quantity is below zero."""
    own = name or f"o-{next(NUMBERS)}"
    plan, at = terms.pop("plan_id", None), terms.pop("at", START)
    side = "BUY" if quantity > 0 else "SELL"
    content: dict[str, Any] = {"client_order_id": own, "symbol": INFY, "side": side, "quantity": abs(quantity)}
    content |= {"strategy": strategy, **terms}
    made = OrderIntent(**content) if plan is None else PlanOrderIntent(**content, plan_id=plan)
    order = Order.from_intent(made, START)
    with ledger.write() as connection:
        receive(connection, order, "run-1", own)
    told = history(order, [(abs(quantity), Decimal(1500))], BookState.COMPLETE)
    return record_all(ledger, [Recording(_traded_at(each.order, at), each.entries) for each in told])


def _traded_at(order: Order, at: datetime) -> Order:
    return order.changed(fills=tuple(fill.model_copy(update={"at": at}) for fill in order.fills))


def held(ledger: Database, plan_id: str, since: datetime = START - SECOND, **terms: Any) -> PlanState:
    """A plan that has entered all of it, and has no exit out."""
    plan = intent(plan_id, **terms)
    state = PlanState.of(plan, since)
    if plan.entry is not None:
        named = {"plan_id": plan_id, "reason": f"plan {plan_id}", "at": since + SECOND}
        traded(ledger, plan.side.sign * plan.quantity, plan.strategy, f"{plan_id}.entry", **named)
    with ledger.write() as connection:
        refreshed(state, orders_of_plan(connection, plan))
        record_plan(connection, state, None, None, START)
    return state


def missing(ledger: Database, state: PlanState) -> int:
    with ledger.read() as connection:
        return closed_by_others(connection, state).missing


def test_what_somebody_has_closed_by_hand_is_missing(ledger: Database) -> None:
    state = held(ledger, "p1")
    assert missing(ledger, state) == 0
    traded(ledger, -25, "external")
    assert missing(ledger, state) == 25
    state.legs[0].lost = 25
    assert missing(ledger, state) == 0
    traded(ledger, -75, "unwind")  # more than there was: the rest is a short of theirs
    assert missing(ledger, state) == 50


def test_what_was_held_besides_covers_what_is_sold(ledger: Database) -> None:
    traded(ledger, 100, "external")
    state = held(ledger, "p1")
    traded(ledger, -100, "external")
    assert missing(ledger, state) == 0
    traded(ledger, -10, "external")
    assert missing(ledger, state) == 10


def test_another_strategy_on_the_other_side_closes_nothing(ledger: Database) -> None:
    state = held(ledger, "p1")
    traded(ledger, -75, "another")
    assert missing(ledger, state) == 0


def test_a_plan_on_the_other_side_closes_nothing(ledger: Database) -> None:
    long, short = held(ledger, "p1"), held(ledger, "p2", side="SELL")
    assert (missing(ledger, long), missing(ledger, short)) == (0, 0)
    traded(ledger, -75, "external")
    assert (missing(ledger, long), missing(ledger, short)) == (75, 0)


def test_a_plans_own_exit_is_not_missing(ledger: Database) -> None:
    state = held(ledger, "p1")
    traded(ledger, -75, "orb", "p1.exit-1-1", plan_id="p1", reason="plan p1")
    assert missing(ledger, state) == 0


def test_an_exit_that_traded_what_somebody_had_closed_has_oversold(ledger: Database) -> None:
    state = held(ledger, "p1")
    traded(ledger, -75, "external")
    traded(ledger, -75, "orb", "p1.exit-1-1", plan_id="p1", reason="plan p1")
    with ledger.read() as connection:
        assert closed_by_others(connection, state) == ByOthers(0, 75)
        state.oversold = 75
        assert closed_by_others(connection, state) == ByOthers()


def test_what_somebody_sells_after_the_exit_has_traded_is_his_own(ledger: Database) -> None:
    state = held(ledger, "p1")
    traded(ledger, -75, "orb", "p1.exit-1-1", plan_id="p1", reason="plan p1")
    traded(ledger, -75, "external", at=START + SECOND)
    with ledger.read() as connection:
        assert closed_by_others(connection, state) == ByOthers()


def test_plans_share_what_is_missing_and_each_unit_is_missed_once(ledger: Database) -> None:
    first, second = held(ledger, "p1"), held(ledger, "p2")
    traded(ledger, -100, "external")
    assert (missing(ledger, first), missing(ledger, second)) == (75, 25)
    first.legs[0].lost = 75
    with ledger.write() as connection:
        record_plan(connection, first, None, None, START)
    assert (missing(ledger, first), missing(ledger, second)) == (0, 25)
    second.legs[0].lost = 25
    with ledger.write() as connection:
        record_plan(connection, second, None, None, START)
    traded(ledger, -50, "another")  # a short of its own, and none of what was sold by hand is counted again
    assert missing(ledger, second) == 0


def let_go(ledger: Database, state: PlanState, quantity: int) -> None:
    state.legs[0].lost += quantity
    with ledger.write() as connection:
        record_plan(connection, state, None, None, START)


def test_what_an_older_plan_let_go_of_before_hides_nothing_from_a_younger_one(ledger: Database) -> None:
    first = held(ledger, "p1", quantity=20)
    traded(ledger, -10, "external")
    let_go(ledger, first, 10)
    second = held(ledger, "p2", since=START + timedelta(hours=1), quantity=10)
    traded(ledger, -20, "external", at=START + timedelta(hours=2))
    assert (missing(ledger, first), missing(ledger, second)) == (10, 10)
    let_go(ledger, first, 10)
    assert (missing(ledger, first), missing(ledger, second)) == (0, 10)
    at = START + timedelta(hours=3)
    traded(ledger, -10, "orb", "p2.exit-1-1", plan_id="p2", reason="plan p2", at=at)
    third = held(ledger, "p3", since=at + timedelta(hours=1), quantity=10)
    traded(ledger, -10, "external", at=at + timedelta(hours=2))
    let_go(ledger, third, 10)
    with ledger.read() as connection:
        assert closed_by_others(connection, second) == ByOthers(0, 10)


def test_what_a_younger_plan_let_go_of_it_does_not_miss_again_for_what_was_sold_before(ledger: Database) -> None:
    traded(ledger, 20, "external", at=START - timedelta(hours=1))
    first = held(ledger, "p1", quantity=10)
    traded(ledger, -20, "external")  # what was held besides
    second = held(ledger, "p2", since=START + timedelta(hours=1), quantity=20)
    traded(ledger, -10, "external", at=START + timedelta(hours=2))
    let_go(ledger, second, 10)
    traded(ledger, -20, "another", at=START + timedelta(hours=3))  # a short of its own
    assert (missing(ledger, first), missing(ledger, second)) == (10, 0)


def test_what_one_plan_misses_another_does_not_miss_for_a_third_reason(ledger: Database) -> None:
    first, second = held(ledger, "p1"), held(ledger, "p2")
    traded(ledger, -30, "external")
    traded(ledger, -50, "another")
    assert (missing(ledger, first), missing(ledger, second)) == (30, 0)


def test_what_a_plan_has_left_is_closed_before_what_another_one_holds(ledger: Database) -> None:
    left, state = held(ledger, "p1"), held(ledger, "p2")
    left.is_cancelled = True
    with ledger.write() as connection:
        record_plan(connection, left, None, None, START)
    traded(ledger, -75, "external")
    assert missing(ledger, state) == 0
    traded(ledger, -25, "external")
    assert missing(ledger, state) == 25


def test_what_was_entered_without_an_order_counts_too(ledger: Database) -> None:
    state = held(ledger, "p1")
    with ledger.write() as connection:
        entry = PositionEntry(symbol=INFY, product="MIS", quantity=-30, price=1500, evidence="note", who="me")
        enter_position(connection, "paper", entry, START + timedelta(minutes=1))
    assert missing(ledger, state) == 30


def test_an_oco_may_close_what_no_open_exit_closes(ledger: Database) -> None:
    asked = intent("oco", entry=None, targets=({"price": "1600"},))

    def free(have: int) -> int:
        with ledger.read() as connection:
            return unclaimed(connection, asked, have)

    assert free(100) == 100
    held(ledger, "p1")  # its stop is not out yet
    assert free(100) == 25
    resting = OrderIntent(client_order_id="mine", symbol=INFY, side="SELL", quantity=20, order_type="LIMIT", price=1550)
    stop = PlanOrderIntent(
        plan_id="p1",
        client_order_id="p1.exit-1-1",
        reason="plan p1",
        strategy="orb",
        symbol=INFY,
        side="SELL",
        quantity=75,
        order_type="SL-M",
        trigger_price=1400,
    )
    for made in (resting, stop):
        order = Order.from_intent(made, START)
        with ledger.write() as connection:
            receive(connection, order, "run-1", made.client_order_id)
            reserve(connection, order, Decimal(1500), START)
        record(ledger, *_placed(order))
    assert free(100) == 5


def _placed(order: Order) -> tuple[Any, Any]:
    first = history(order, [])[0]
    return first.order, first.entries


def test_what_went_out_too_much_is_there_as_far_as_the_account_lacks_it(ledger: Database) -> None:
    plan = intent("p1")

    def left(excess: int) -> int:
        with ledger.read() as connection:
            return excess_left(connection, plan, excess)

    assert left(25) == 0
    traded(ledger, -25, "orb", "p1.exit-1-2", plan_id="p1", reason="plan p1")
    assert left(25) == 25
    held(ledger, "p2")  # what it bought is its own, and covers nothing
    assert left(25) == 25
    traded(ledger, 10, "external")
    assert left(25) == 15


def test_a_ledger_without_the_plan_is_told_of_it_whole(ledger: Database) -> None:
    state = PlanState.of(intent("p1"), START)
    with ledger.write() as connection:
        record_plan(connection, state, Decimal(1400), None, START)
        record_plan(connection, state, None, None, START + SECOND)
        found = find_plan(connection, "paper", "p1")
        assert found is not None
        assert found[1] == state.intent.fingerprint()
        assert [each.intent.plan_id for each in list_plans(connection, "paper", open_only=True)] == ["p1"]


def test_orders_after_a_gap_are_found(ledger: Database) -> None:
    """Restored, it may lack some."""
    for number in (2, 9):
        traded(ledger, -5, "orb", f"p1.exit-1-{number}", plan_id="p1", reason="plan p1")
    traded(ledger, -5, "orb", "p1.exit-1-10", plan_id="p1", reason="somebody else's")
    with ledger.read() as connection:
        found = orders_of_plan(connection, intent("p1"))
    assert [order.client_order_id for order in found] == ["p1.exit-1-2", "p1.exit-1-9"]
