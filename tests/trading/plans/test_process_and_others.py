"""What a plan does where others close what it holds, or more went out than in: never more out than in."""

from typing import Any

from durable_orders.trading.orders.order import Order, PlanOrderIntent
from durable_orders.trading.plans.news import Seen
from durable_orders.trading.plans.process import LAST_LOOK
from durable_orders.trading.plans.state import PlanStatus
from tests.trading.plans.world import ENTRY, EXIT, World, plan, stopped


def with_excess(world: World) -> None:
    """25 more went out than came in: they are told after the exit had ended, and another one had filled."""
    world.end(EXIT, "CANCELLED")
    world.run()
    world.passes(40)
    world.run()
    again = world.live_exit()
    world.works(again)
    world.fill(again, 75)
    world.real[EXIT].filled = 25  # the exchange tells of them only now
    world.tell(EXIT)


def test_a_trade_that_is_told_after_an_exit_s_end_is_closed_back() -> None:
    world = stopped()
    world.closes_excess = True
    with_excess(world)
    world.run_on()
    assert world.excess == [25]
    assert world.view.held == -25
    world.works("flatten-p1-1")
    world.fill("flatten-p1-1", 25)
    world.run_on()
    assert world.is_done
    assert (world.view.status, world.view.held) == (PlanStatus.CLOSED, 0)


def test_what_goes_out_too_much_while_a_closing_works_is_closed_back_too() -> None:
    world = stopped()
    world.closes_excess = True
    with_excess(world)
    world.run_on()
    world.works("flatten-p1-1")
    world.real[EXIT].filled = 35
    world.tell(EXIT)
    world.passes(60)
    world.run_on()
    assert (world.excess, world.view.held, world.state.covered) == ([25, 10], -35, 0)
    world.works("flatten-p1-2")
    world.fill("flatten-p1-2", 10)
    world.fill("flatten-p1-1", 25)
    world.run_on()
    assert world.is_done
    assert (world.account, world.view.status, world.view.held) == (0, PlanStatus.CLOSED, 0)


def test_what_went_out_too_much_stands_until_it_is_gone() -> None:
    world = stopped()
    with_excess(world)
    for _ in range(3):  # nothing can be closed yet: the positions lag behind, or cannot be read
        world.run_on()
        world.passes(60)
    assert world.excess == [25, 25, 25]
    assert not world.is_done
    assert world.view.held == -25
    world.closes_excess = True
    world.run_on()
    world.end("flatten-p1-1", "REJECTED")
    world.run_on()
    world.passes(300)
    world.run_on()
    assert world.excess == [25] * 5
    world.end("flatten-p1-2", "REJECTED")
    world.run_on()
    world.passes(300)
    world.excess_there = 0  # somebody has bought them
    world.run_on()
    assert world.is_done
    assert (world.view.status, world.view.held) == (PlanStatus.CLOSED, 0)


def test_an_entry_that_is_made_greater_by_somebody_gets_a_stop_for_all_of_it() -> None:
    world = stopped()
    world.real[ENTRY].terms["quantity"] = 100
    world.real[ENTRY].filled = 100
    world.tell(ENTRY)
    world.passes(2)
    world.run()
    world.changed(EXIT)
    world.run()
    assert world.real[EXIT].told.quantity == 100
    assert world.view.protected


def test_what_somebody_closes_while_the_stop_works_makes_the_stop_smaller() -> None:
    world = stopped()
    world.closed_by_others = 25
    world.passes(31)
    world.run()
    world.changed(EXIT)
    world.run()
    assert world.real[EXIT].told.quantity == 50
    assert (world.view.held, world.view.protected) == (50, True)
    world.closed_by_others = 75
    world.passes(31)
    world.run()
    assert world.real[EXIT].told.cancel_requested
    world.end(EXIT, "CANCELLED")
    world.run()
    assert world.is_done
    assert (world.view.status, world.view.held) == (PlanStatus.CLOSED, 0)


def test_a_stop_that_trades_what_somebody_has_closed_is_closed_back() -> None:
    world = stopped()
    world.closes_excess = True
    world.closed_by_others = 75
    world.passes(31)
    world.run()
    world.fill(EXIT, 75)  # before its cancel was there
    world.run_on()
    assert world.excess == [75]


def test_a_plan_that_has_closed_all_looks_once_more_whether_others_were_faster() -> None:
    world = stopped()
    world.closes_excess = True
    world.is_book_read = False
    world.fill(EXIT, 75)
    over = world.now
    world.closed_by_others = 75  # in the same second
    world.run_on()
    assert world.excess == [75]
    assert (world.view.status, world.view.held) == (PlanStatus.OPEN, -75)
    world.works("flatten-p1-1")
    world.fill("flatten-p1-1", 75)
    world.run_on()
    assert world.is_done
    assert (world.view.status, world.view.held) == (PlanStatus.CLOSED, 0)
    assert world.now - over >= LAST_LOOK  # nobody read the book


def test_what_is_closed_by_others_takes_the_legs_without_an_exit_first() -> None:
    world = stopped(targets=({"price": "110", "quantity": 50}, {"price": "120"}))
    world.works("p1.exit-2-1")
    world.end(EXIT, "CANCELLED")
    world.closed_by_others = 60
    world.run()
    world.passes(40)
    world.run()
    assert [leg.lost for leg in world.state.legs] == [50, 10]


def test_while_no_exit_can_be_placed_nothing_counts_as_gone() -> None:
    world = stopped()
    world.waits = "the account is halted: by hand"
    world.end(EXIT, "CANCELLED")
    for _ in range(8):
        world.run()
        world.passes(10)
    assert world.view.held == 75
    assert world.view.unprotected_since is not None
    assert "the account is halted: by hand" in world.view.reasons
    assert sum("no exit can be placed" in words for words in world.alerts) == 1
    world.waits = ""
    world.run()
    world.passes(10)
    world.run()
    assert world.real["p1.exit-1-2"].quantity == 75


def test_an_order_of_somebody_else_is_none_of_the_plans() -> None:
    world = World(plan())
    world.run()
    terms: dict[str, Any] = {"symbol": "NFO:NIFTY25MAYFUT", "side": "SELL", "quantity": 75, "product": "NRML"}
    mine = PlanOrderIntent(plan_id="p1", client_order_id="p1.exit-1-5", **terms)
    world.process.hear(Seen(Order.from_intent(mine, world.now)))
    world.run()
    assert world.state.legs[0].children == []
