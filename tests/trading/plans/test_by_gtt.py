"""A plan whose stop a GTT keeps: what is asked of it, and what cannot be one."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from durable_orders.trading.gtt.gtt import GttStatus, TriggerId
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.orders.order import OrderType, Status
from durable_orders.trading.plans.by_gtt import intent_of as gtt_intent_of
from durable_orders.trading.plans.by_gtt import legs_of, order_of
from durable_orders.trading.plans.claims import is_of_a_plan
from durable_orders.trading.plans.news import ChangeAsked, Recalled
from durable_orders.trading.plans.plan import PlanChange
from tests.trading.plans.world import ENTRY, START, World, plan

GTT = "p1.gtt-1-1"
KEPT: dict[str, Any] = {
    "mode": "live",
    "protect": "broker",
    "stop": {"trigger_price": "95", "limit_price": "94"},
}


def holding(**content: Any) -> World:
    """A plan with 75 entered, and its GTT in the broker's list."""
    world = World(plan(**KEPT | content))
    world.run()
    world.works(ENTRY)
    world.fill(ENTRY, 75)
    world.run()
    assert not world.view.protected
    world.works(GTT)
    world.run()
    assert world.view.protected
    return world


def exits(world: World) -> list[tuple[str, OrderType]]:
    return [(own, order.told.order_type) for own, order in world.real.items() if own != ENTRY]


def test_it_is_the_one_exit_until_it_is_gone() -> None:
    """The price is beyond its limit: it is deleted, and so long nothing is sent; what it has sold by then counts."""
    world = holding()
    world.price(90)
    world.run()
    world.passes(2)
    world.price(90)
    world.run()
    assert (world.real[GTT].told.cancel_requested, exits(world)) == (True, [(GTT, OrderType.SL)])
    world.real[GTT].told = world.real[GTT].told.changed(cancel_requested=False)
    world.fill(GTT, 25)
    world.run()
    assert exits(world) == [(GTT, OrderType.LIMIT)], "it had triggered: its order is followed"
    assert world.real[GTT].told.cancel_requested, "and cancelled at once, as its GTT was to be"
    assert world.view.orders[1].role == "exit"
    world.end(GTT, "CANCELLED")
    world.run()
    assert exits(world) == [(GTT, OrderType.LIMIT), ("p1.exit-1-2", OrderType.MARKET)]
    assert world.real["p1.exit-1-2"].quantity == 50


def test_its_order_that_ends_unfilled_leaves_the_rest_unprotected() -> None:
    world = holding()
    world.fill(GTT, 25)
    world.end(GTT, "CANCELLED")
    world.run()
    assert (world.view.held, world.view.protected) == (50, False)
    assert any(f"the exit {GTT} is CANCELLED" in words for words in world.alerts)
    world.passes(31)
    world.run()
    assert exits(world)[1:] == [("p1.gtt-1-2", OrderType.SL)]
    assert world.real["p1.gtt-1-2"].quantity == 50


def test_while_nobody_knows_what_its_order_traded_nothing_is_sent() -> None:
    """Also not by a person who wants the plan flat."""
    world = holding()
    own = world.real[GTT]
    world.passes(1)
    told = {"status": Status.UNKNOWN, "order_type": OrderType.LIMIT, "trigger_price": None, "updated_at": world.now}
    own.told = own.told.changed(**told)
    world.cancel(flatten=True)
    for _ in range(3):
        world.passes(61)
        world.process.synced(recalled(world), world.now)
        world.run()
    assert exits(world) == [(GTT, OrderType.LIMIT)]
    assert (world.is_done, world.view.held, world.view.protected) == (False, 75, False)


def recalled(world: World) -> Recalled:
    return Recalled(orders=tuple(order.told for order in world.real.values()), version=world.version)


def test_one_that_was_not_placed_and_turns_up_after_all_is_deleted() -> None:
    world = World(plan(**KEPT))
    world.run()
    world.works(ENTRY)
    world.fill(ENTRY, 75)
    world.run()
    world.end(GTT, "REJECTED")
    world.run()
    world.passes(2)
    world.run()
    world.works("p1.exit-1-2")
    world.run()
    assert (world.view.protected, exits(world)) == (True, [(GTT, OrderType.SL), ("p1.exit-1-2", OrderType.SL)])
    late = world.real[GTT]
    late.state = "working"
    world.tell(GTT)
    world.run_on()
    assert late.told.cancel_requested
    assert not world.real["p1.exit-1-2"].told.cancel_requested


def test_a_changed_stop_changes_the_gtt_and_nothing_else_of_it_changes() -> None:
    world = holding()
    assert world.process.problem_with(PlanChange(target=Decimal(120)), None) == (
        "target: with protect broker the stop is a GTT, of which only the stop is changed"
    )
    world.process.hear(ChangeAsked(PlanChange(stop=Decimal(96))))
    world.run()
    (change,) = world.real[GTT].answers
    assert (change.order_type, change.trigger_price, change.price) == (OrderType.SL, Decimal(96), Decimal(95))


def test_its_order_is_cancelled_where_others_have_closed_a_part_of_what_it_is_for() -> None:
    """It cannot be made smaller: what is left gets another exit."""
    world = holding()
    world.triggers(GTT)
    world.tell(GTT)
    world.run()
    world.closed_by_others = 50
    world.passes(31)
    world.run()
    assert world.real[GTT].told.cancel_requested
    world.end(GTT, "CANCELLED")
    world.run()
    assert exits(world)[1:] == [("p1.gtt-1-2", OrderType.SL)]
    assert world.real["p1.gtt-1-2"].quantity == 25


def test_its_other_leg_is_changed_back() -> None:
    """The order that it is told as has the stop alone."""
    world = holding()
    found = recalled(world).model_copy(update={"other_legs": {GTT: 150}})
    world.process.synced(found, world.now)
    assert world.state.may_close == 150, "so much it may sell by now"
    world.run()
    (change,) = world.real[GTT].answers
    assert (change.quantity, change.trigger_price, change.price) == (75, Decimal(95), Decimal(94))
    world.changed(GTT)
    world.process.synced(recalled(world), world.now)
    world.passes(31)
    world.run()
    assert world.real[GTT].answers == []
    assert world.state.may_close == 75


def test_one_that_the_broker_does_not_show_protects_nothing() -> None:
    asked = gtt_intent_of(plan(**KEPT), GTT, "plan p1", legs_of(75, (Decimal(95), Decimal(94)), Decimal(110)))
    state = GttState.of(asked, START).updated(status=GttStatus.ACTIVE, trigger_id=TriggerId("112"))
    assert order_of(state, START).status is Status.PLACED
    lost = order_of(state.updated(absent_since=START), START)
    assert (lost.status, lost.reasons) == (Status.UNKNOWN, ("the broker does not show it as 112 now",))


def test_on_paper_the_stop_is_an_order_of_the_same_prices() -> None:
    world = World(plan(**KEPT | {"mode": "paper"}))
    world.run()
    world.works(ENTRY)
    world.fill(ENTRY, 75)
    world.run()
    own = world.real["p1.exit-1-1"].told
    assert (own.order_type, own.trigger_price, own.price) == (OrderType.SL, Decimal(95), Decimal(94))


def test_for_the_day_the_stop_order_is_at_the_broker_already() -> None:
    assert not plan(**KEPT | {"product": "MIS", "stop": {"trigger_price": "95", "trail": "4"}}).by_gtt


def test_what_its_order_trades_is_no_strangers() -> None:
    assert is_of_a_plan("external-112", f"GTT {GTT} was triggered")
    assert not is_of_a_plan("external-112", "GTT exit was triggered")
    assert not is_of_a_plan("mine", f"GTT {GTT} was triggered")


SHARES = {"symbol": "NSE:INFY", "product": "CNC"}


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"stop": {"trigger_price": "95"}}, "stop_limit: with protect broker the stop is a GTT"),
        ({"stop": KEPT["stop"] | {"trail": "4"}}, "trail: with protect broker"),
        ({"stop": KEPT["stop"] | {"break_even": "104"}}, "break_even: with protect broker"),
        ({"stop": None}, "protect: there is no stop"),
        ({"targets": ({"price": "110", "quantity": 25}, {"price": "120"})}, "targets: with protect broker"),
        ({"targets": ({"price": "110", "quantity": 25},)}, "targets: with protect broker"),
        ({"symbol": "MCX:GOLD25APRFUT"}, "protect: a GTT is for NSE, BSE, NFO, BFO, was MCX"),
        (SHARES | {"product": "NRML"}, "protect: a GTT on NSE is CNC or MTF, was NRML"),
        ({"plan_id": "p" * 37}, "plan_id: with protect broker at most 36 characters"),
        ({"protect": "both"}, "protect"),
    ],
)
def test_what_cannot_be_a_gtt_is_refused_with_its_field(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        plan(**KEPT | terms)


def test_a_plan_of_before_keeps_its_fingerprint() -> None:
    """The same id again is the same plan, also after an upgrade."""
    assert plan().fingerprint() == "d5b6268a7093dc12ec2e8155aa1b2774"
    assert plan(**KEPT).fingerprint() != plan(**KEPT | {"protect": None}).fingerprint()
