"""What happens next to a plan: its stop, its targets, and never more out than in."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from durable_orders.trading.orders.order import Order, OrderType, SignOff
from durable_orders.trading.plans import actions
from durable_orders.trading.plans.news import CancelAsked, ChangeAsked, Recalled, Seen, WasReset
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.trading.plans.process import asked_for_again
from durable_orders.trading.plans.standing import problem_with, undone_at_once
from durable_orders.trading.plans.state import AWAITS_PERSON, PlanStatus
from tests.trading.plans.world import ENTRY, EXIT, START, World, entered, plan, stopped


def test_nothing_but_the_entry_is_out_before_it_trades() -> None:
    world = World(plan())
    world.run()
    world.works(ENTRY)
    world.run()
    assert list(world.real) == [ENTRY]
    assert (world.view.status, world.view.protected) == (PlanStatus.WORKING, True)


def test_what_was_entered_gets_a_stop_and_no_target_beside_it() -> None:
    world = entered()
    assert list(world.real) == [ENTRY, EXIT]
    order = world.real[EXIT].told
    assert (order.order_type, order.quantity, order.trigger_price) == (OrderType.SL_M, 75, Decimal(95))
    assert (world.view.status, world.view.protected) == (PlanStatus.OPEN, False)
    world.works(EXIT)
    world.run()
    assert world.view.protected
    assert [order.role for order in world.view.orders] == ["entry", "stop"]


def test_a_target_that_is_traded_makes_the_stop_its_own_order() -> None:
    world = stopped()
    world.price(110)
    world.run()
    world.changed(EXIT)
    world.run()
    order = world.real[EXIT].told
    assert (order.order_type, order.price, order.trigger_price) == (OrderType.LIMIT, Decimal(110), None)
    assert [order.role for order in world.view.orders] == ["entry", "target"]
    world.fill(EXIT, 75)
    world.run()
    assert world.is_done
    assert (world.view.status, world.view.held) == (PlanStatus.CLOSED, 0)
    assert list(world.real) == [ENTRY, EXIT]


def test_a_target_that_does_not_fill_is_the_stop_again_after_a_while() -> None:
    world = stopped()
    world.price(110)
    world.run()
    world.changed(EXIT)
    world.run()
    assert not world.view.protected
    world.passes(6)
    world.run()
    world.changed(EXIT)
    world.run()
    assert world.view.protected
    assert world.real[EXIT].told.trigger_price == Decimal(95)


def test_a_price_that_falls_back_from_the_target_to_below_the_stop_goes_to_the_market() -> None:
    world = stopped()
    world.price(110)
    world.run()
    world.changed(EXIT)
    world.run()
    world.passes(2)
    world.price(94)
    world.run()
    world.changed(EXIT)
    world.run()
    assert world.real[EXIT].told.order_type is OrderType.MARKET


def test_the_stop_follows_a_partial_entry() -> None:
    world = stopped(25)
    assert world.real[EXIT].told.quantity == 25
    world.passes(2)
    world.fill(ENTRY, 25)
    world.run()
    assert not world.view.protected
    world.changed(EXIT)
    world.run()
    assert world.real[EXIT].told.quantity == 50
    assert world.view.protected


def test_a_stop_that_trades_in_part_leaves_the_rest_of_it_working() -> None:
    world = stopped()
    world.fill(EXIT, 25)
    world.run()
    assert world.view.held == 50
    assert world.view.protected
    assert not world.real[EXIT].changes


def test_each_target_has_a_stop_of_its_own() -> None:
    targets = ({"price": "110", "quantity": 50}, {"price": "120"})
    world = entered(60, targets=targets)
    assert {own: order.quantity for own, order in world.real.items()} == {ENTRY: 75, EXIT: 50, "p1.exit-2-1": 10}
    world.works(EXIT)
    world.works("p1.exit-2-1")
    world.price(110)
    world.run()
    assert [bool(world.real[own].changes) for own in (EXIT, "p1.exit-2-1")] == [True, False]


def test_a_stop_whose_placement_is_lost_is_waited_for_and_not_sent_twice() -> None:
    world = entered()
    world.lose(EXIT)
    world.run()
    world.passes(100)
    world.run()
    assert list(world.real) == [ENTRY, EXIT]
    assert not world.view.protected
    assert any("UNPROTECTED" in words for words in world.alerts)
    world.find(EXIT)  # it never came to the broker
    world.run()
    world.passes(3)
    world.run()
    assert list(world.real) == [ENTRY, EXIT, "p1.exit-1-2"]


def test_a_rejected_stop_is_told_and_placed_again() -> None:
    world = entered()
    world.end(EXIT, "REJECTED")
    world.run()
    assert any("REJECTED" in words for words in world.alerts)
    assert list(world.real) == [ENTRY, EXIT]
    world.passes(1)
    world.run()
    assert world.live_exit() == "p1.exit-1-2"


def test_unprotected_has_an_age_and_is_alerted_again_more_seldom() -> None:
    world = entered()
    since = world.view.unprotected_since
    assert since is not None
    ages = []
    for _ in range(120):
        before = len(world.alerts)
        world.passes(1)
        world.run()
        if len(world.alerts) > before:
            ages.append(round((world.now - since).total_seconds()))
    assert ages == [5, 20, 80]
    assert world.view.unprotected_since == since


def test_a_stop_that_somebody_else_cancelled_comes_back_only_for_what_can_be_closed() -> None:
    world = stopped()
    world.end(EXIT, "CANCELLED")
    world.run()
    assert not world.view.protected
    world.passes(20)
    world.run()
    assert list(world.real) == [ENTRY, EXIT]
    world.closed_by_others = 50
    world.passes(20)
    world.run()
    assert world.real["p1.exit-1-2"].quantity == 25
    assert any("others have closed 50 that it held" in words for words in world.alerts)


def test_a_position_that_somebody_else_has_closed_is_not_closed_again() -> None:
    world = stopped()
    world.end(EXIT, "CANCELLED")
    world.closed_by_others = 75
    world.run()
    world.passes(40)
    world.run()
    assert world.is_done
    assert list(world.real) == [ENTRY, EXIT]
    assert (world.view.status, world.view.held) == (PlanStatus.CLOSED, 0)


def test_a_trailing_stop_follows_the_best_price_in_steps() -> None:
    world = stopped(stop={"trigger_price": "95", "trail": "5"}, targets=())
    world.price("100.10")  # less than a step
    world.run()
    assert not world.real[EXIT].changes
    world.price(103)
    world.run()
    world.changed(EXIT)
    world.passes(2)
    world.price(99)
    world.run()
    assert world.real[EXIT].told.trigger_price == Decimal(98)
    assert not world.real[EXIT].changes


def test_a_trailing_stop_keeps_amendments_for_going_out_and_ticks_do_the_rest() -> None:
    world = stopped(stop={"trigger_price": "95", "trail": "5"}, targets=())
    for step in range(40):
        world.passes(2)
        world.price(100 + step)
        world.run()
        world.changed(EXIT)
        world.run()
    child = world.state.legs[0].children[0]
    assert child.amendments == 18
    assert world.state.level == Decimal(134)
    world.passes(2)
    assert world.wait is not None
    assert world.wait.below == Decimal(134)
    world.price(134)
    world.run()
    world.changed(EXIT)
    assert world.real[EXIT].told.order_type is OrderType.MARKET


def test_a_stop_goes_to_what_the_entry_cost() -> None:
    world = stopped(stop={"trigger_price": "95", "break_even": "105"})
    world.price(105)
    world.run()
    world.changed(EXIT)
    assert world.real[EXIT].told.trigger_price == Decimal(100)


def test_a_gap_beyond_the_limit_of_a_stop_goes_to_the_market() -> None:
    world = stopped(stop={"trigger_price": "95", "limit_price": "94"})
    assert world.wait is not None
    assert world.wait.below == Decimal("93.95")
    world.price(90)
    world.run()
    assert not world.real[EXIT].changes
    world.passes(3)
    world.run()
    world.changed(EXIT)
    assert world.real[EXIT].told.order_type is OrderType.MARKET


def test_what_is_entered_below_the_stop_goes_to_the_market_at_once() -> None:
    world = World(plan())
    world.run()
    world.works(ENTRY)
    world.fill(ENTRY, 25)
    world.run()
    world.end(EXIT, "REJECTED")
    world.price(94)
    world.run()
    world.passes(5)
    world.run()
    assert world.real["p1.exit-1-2"].terms["order_type"] is OrderType.MARKET


def test_time_is_up() -> None:
    world = stopped(25, exit_at=START + timedelta(minutes=5))
    world.passes(301)
    world.run()
    assert world.real[ENTRY].told.cancel_requested
    world.changed(EXIT)
    world.run()
    assert world.real[EXIT].told.order_type is OrderType.MARKET
    world.fill(ENTRY, 10)  # before its cancel was there
    world.run()
    world.passes(2)
    world.run()
    world.changed(EXIT)
    world.fill(EXIT, 35)
    world.end(ENTRY, "CANCELLED")
    world.run()
    assert world.is_done
    assert (world.view.status, world.view.held) == (PlanStatus.CLOSED, 0)


def test_a_cancelled_plan_leaves_what_it_holds_and_says_so() -> None:
    world = stopped(25)
    world.cancel()
    world.run()
    assert world.real[ENTRY].told.cancel_requested
    assert world.real[EXIT].told.cancel_requested
    world.end(ENTRY, "CANCELLED")
    world.end(EXIT, "CANCELLED")
    world.run()
    assert world.is_done
    assert (world.view.status, world.view.held, world.view.protected) == (PlanStatus.LEFT, 25, False)


def test_a_cancelled_plan_that_flattens_closes_what_it_holds() -> None:
    world = stopped(25)
    world.cancel(flatten=True)
    world.run()
    world.changed(EXIT)
    world.fill(EXIT, 25)
    world.end(ENTRY, "CANCELLED")
    world.run()
    assert world.view.status is PlanStatus.CLOSED


def test_whatever_words_it_is_cancelled_with_its_exit_goes_to_the_market() -> None:
    world = entered()
    world.end(EXIT, "REJECTED")
    world.process.hear(CancelAsked("\x00" * 2000, flatten=True))
    world.run()
    assert world.real["p1.exit-1-2"].terms["order_type"] is OrderType.MARKET


def test_a_ledger_that_lost_the_plan_is_told_again() -> None:
    world = stopped()
    before = world.recordings
    world.version = None  # it was restored, from before the plan
    world.passes(31)
    world.run()
    assert world.recordings == before + 1
    assert world.version == world.state.version


def test_an_order_that_the_ledger_does_not_get_is_started_again_once_in_a_while() -> None:
    world = World(plan())
    world.run()
    world.unrecorded.add(ENTRY)
    starts = world.starts
    for _ in range(12):
        world.passes(10)
        world.run()
    assert 2 <= world.starts - starts <= 4
    assert sum("is not in the ledger" in words for words in world.alerts) == 1


def test_a_change_to_what_already_stands_is_answered() -> None:
    world = stopped()
    before = world.recordings
    world.process.hear(ChangeAsked(PlanChange(stop=Decimal(95))))
    world.run()
    assert world.process.changes == 1
    assert world.recordings == before + 1


def test_a_price_of_some_time_ago_is_not_the_one_of_now() -> None:
    world = entered()
    world.price(94)
    world.run()
    world.end(EXIT, "REJECTED")
    world.run()
    world.passes(60)  # it is at 100 again, of which nobody told
    world.run()
    assert world.real["p1.exit-1-2"].terms["order_type"] is OrderType.SL_M


def test_without_an_exit_the_price_at_the_stop_is_told() -> None:
    world = entered()
    world.end(EXIT, "REJECTED")
    world.run()
    assert world.wait is not None
    assert world.wait.below == Decimal(95)


def test_a_name_is_not_used_twice_where_an_earlier_order_is_not_known() -> None:
    world = stopped()
    early = world.state.model_dump_json()
    for number in (1, 2):
        world.end(f"p1.exit-1-{number}", "REJECTED")
        world.run()
        world.passes(5)
        world.run()
    world.end("p1.exit-1-3", "REJECTED")
    world.unrecorded = {"p1.exit-1-2"}
    world.begins_anew(early)
    world.run()
    world.passes(40)
    world.run()
    assert world.live_exit() == "p1.exit-1-4"


def test_a_plan_that_is_set_back_asks_the_ledger_before_it_does_anything() -> None:
    world = stopped()
    early = world.state.model_dump_json()
    world.end(EXIT, "REJECTED")
    world.run()
    world.passes(1)
    world.run()
    world.begins_anew(early)
    world.process.synced(Recalled(version=world.version), world.now)
    world.process.hear(WasReset())
    assert isinstance(world.process.next(world.now), actions.Sync)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"stop": "97"}, "stop: its trail of 5 would move it to 99 at once, by the last price 104; was 97"),
        ({"stop": "94", "trail": "9"}, "stop: its trail of 9 would move it to 95 at once"),
        ({"stop": "97", "trail": "7"}, None),
        ({"stop": "101"}, None),
        ({"trail": "3"}, None),
    ],
)
def test_a_stop_that_its_own_trail_would_move_is_not_taken(asked: dict[str, str], said: str | None) -> None:
    world = stopped(stop={"trigger_price": "95", "trail": "5"}, targets=())
    world.price(104)
    world.run()
    before = world.state.model_copy(deep=True)
    problem = undone_at_once(world.state, PlanChange.model_validate(asked), Decimal(104), world.now)
    assert (problem or "").startswith(said or "")
    assert (problem is None) is (said is None)
    assert world.state == before, "asking changes nothing"


def test_a_stop_that_the_break_even_would_move_is_not_taken() -> None:
    world = stopped(stop={"trigger_price": "95", "break_even": "103"}, targets=())
    asked = PlanChange(stop=Decimal(97))
    assert undone_at_once(world.state, asked, Decimal(102), world.now) is None
    assert "its break-even would move it to 100 at once" in str(
        undone_at_once(world.state, asked, Decimal(104), world.now)
    )


def test_a_stop_may_be_put_anywhere_before_the_entry_trades() -> None:
    world = World(plan(stop={"trigger_price": "95", "trail": "5"}, targets=()))
    world.run()
    assert undone_at_once(world.state, PlanChange(stop=Decimal(90)), Decimal(104), world.now) is None


def test_a_plan_that_is_over_and_holds_nothing_is_not_said_to_be_protected() -> None:
    world = World(plan())
    world.run()
    world.works(ENTRY)
    assert world.view.protected, "nothing is held without a stop, and something may be"
    world.cancel()
    world.run()
    world.end(ENTRY, "CANCELLED")
    world.run()
    assert world.view.status is PlanStatus.CANCELLED
    assert world.view.protected is None


def test_a_plan_is_changed_within_its_rules() -> None:
    world = stopped()
    world.price(104)
    world.run()
    last = Decimal(104)
    problem = problem_with(world.state, PlanChange(stop=Decimal(105)), last)
    assert problem == "stop: must lie below the last price 104, was 105"
    problem = problem_with(world.state, PlanChange(target=Decimal("99")), last)
    assert problem == "target: must lie above the last price 104, was 99"
    assert "tick size" in str(problem_with(world.state, PlanChange(stop=Decimal("101.01")), None))
    world.process.hear(ChangeAsked(PlanChange(stop=Decimal(101), target=Decimal(120))))
    world.run()
    world.changed(EXIT)
    assert world.real[EXIT].told.trigger_price == Decimal(101)
    world.price(110)
    world.run()
    assert not world.real[EXIT].changes


def test_a_short_plan_is_the_mirror_image() -> None:
    content: dict[str, Any] = {
        "side": "SELL",
        "stop": {"trigger_price": "105", "trail": "5"},
        "targets": ({"price": "90"},),
    }
    world = stopped(**content)
    world.price(97)
    world.run()
    world.changed(EXIT)
    assert world.real[EXIT].told.trigger_price == Decimal(102)
    world.passes(2)
    world.price(90)
    world.run()
    world.changed(EXIT)
    assert world.real[EXIT].told.price == Decimal(90)


def test_an_oco_has_its_exit_out_at_once_and_only_one() -> None:
    world = World(plan(entry=None))
    world.run()
    assert world.view.summary.startswith("oco SELL 75 "), "as `oco SELL` asks for it"
    assert list(world.real) == [EXIT]
    assert world.real[EXIT].quantity == 75


def test_without_a_stop_the_target_rests_at_the_exchange() -> None:
    world = stopped(stop=None)
    order = world.real[EXIT].told
    assert (order.order_type, order.price) == (OrderType.LIMIT, Decimal(110))
    world.passes(100)
    world.run()
    assert world.alerts == []


@pytest.mark.parametrize("is_made", [True, False])
def test_a_change_of_unknown_fate_counts_until_the_order_shows_it(is_made: bool) -> None:
    world = stopped(25)
    world.passes(2)
    world.fill(ENTRY, 50)
    world.run()
    world.answer(EXIT, "its answer was lost", is_unknown=True)
    world.run()
    assert world.state.may_close == 75
    if is_made:
        world.change_arrives(EXIT)
        world.tell(EXIT)
    else:
        world.real[EXIT].changes.clear()
        world.passes(5)
        world.run()
        world.changed(EXIT)
    world.run()
    assert world.real[EXIT].told.quantity == 75
    assert world.view.protected


def test_a_run_that_begins_anew_knows_the_orders_and_sends_none_twice() -> None:
    world = World(plan())
    world.run()
    early = world.state.model_dump_json()
    world.works(ENTRY)
    world.fill(ENTRY, 75)
    world.run()
    world.works(EXIT)
    world.run()
    world.begins_anew(early)
    world.run()
    assert list(world.real) == [ENTRY, EXIT]
    assert world.view.protected


@pytest.mark.parametrize("entry", [{}, {"order_type": "LIMIT", "price": "100"}])
def test_an_entry_that_a_person_approves_asks_for_that_each_time_and_waits_as_orders_do(entry: dict[str, str]) -> None:
    """At the market it has no deadline of its own: from the approval on, that of every approved order holds."""
    world = World(plan(entry=entry, approve=True))
    world.run()
    assert world.real[ENTRY].told.awaits_approval
    assert world.state.entry is not None
    again = asked_for_again(world.state.entry.order, world.state.intent)
    assert (again.approve, again.place_by) == (True, None)
    assert Order.from_intent(again, START).awaits_approval


def waiting_oco() -> World:
    """Of two exits, whose first waits for a person."""
    world = World(plan(entry=None, approve=True, targets=({"price": "110", "quantity": 25}, {"price": "120"})))
    world.run()
    return world


def approve(world: World) -> None:
    order = world.real[EXIT]
    order.told = order.told.changed(approval=SignOff(approved_by="by user asha", approved_at=world.now))
    world.process.hear(Seen(order.told))
    world.works(EXIT)
    world.run()


def test_an_oco_that_a_person_approves_sends_nothing_before() -> None:
    world = waiting_oco()
    assert world.real[EXIT].told.awaits_approval
    assert (world.view.status, world.view.protected, world.alerts) == (PlanStatus.PENDING, None, [])
    world.price(90)
    world.passes(500)
    world.run()
    assert (list(world.real), world.alerts) == ([EXIT], [])
    again = asked_for_again(world.real[EXIT].told, world.state.intent)
    assert again.approve
    approve(world)
    assert list(world.real) == [EXIT, "p1.exit-2-1"]
    assert not world.real["p1.exit-2-1"].told.awaits_approval
    assert world.view.status is PlanStatus.OPEN


def test_an_oco_that_a_person_declines_is_over_and_closes_nothing() -> None:
    world = waiting_oco()
    world.end(EXIT, "REJECTED")
    world.run()
    assert (world.is_done, world.view.status, world.view.held) == (True, PlanStatus.REJECTED, 0)
    assert list(world.real) == [EXIT]


@pytest.mark.parametrize("left", [0, 50])
def test_an_oco_that_waits_is_asked_about_anew_where_others_have_closed_of_it(left: int) -> None:
    """Approved as it was asked for, it would sell what is not there any more."""
    world = World(plan(entry=None, approve=True))
    world.run()
    assert world.view.reasons == (AWAITS_PERSON,)
    world.closed_by_others = 75 - left
    world.passes(5)
    world.run()
    assert world.real[EXIT].told.cancel_requested
    world.end(EXIT, "CANCELLED")
    world.run()
    assert (world.is_done, world.view.held, world.view.status.value) == (
        left == 0,
        left,
        "PENDING" if left else "CLOSED",
    )
    anew = [each.told for own, each in world.real.items() if own != EXIT]
    assert [(order.quantity, order.awaits_approval) for order in anew] == [(left, True)] * bool(left)
    assert world.view.reasons == ((AWAITS_PERSON,) if left else ())


def test_an_oco_that_is_asked_about_anew_and_declined_is_over() -> None:
    world = World(plan(entry=None, approve=True))
    world.run()
    world.closed_by_others = 25
    world.passes(5)
    world.run()
    world.end(EXIT, "CANCELLED")
    world.run()
    world.end("p1.exit-1-2", "REJECTED")
    world.run()
    assert (world.is_done, world.view.status, len(world.real)) == (True, PlanStatus.REJECTED, 2)


@pytest.mark.parametrize("flatten", [True, False])
def test_an_oco_that_is_cancelled_while_it_waits_closes_what_a_person_asks_for_then(flatten: bool) -> None:
    world = waiting_oco()
    world.cancel(flatten=flatten)
    world.run()
    assert world.state.legs[0].live is not None
    assert world.state.legs[0].live.cancel_asked_at is not None
    world.end(EXIT, "CANCELLED")
    world.run()
    closing = [each.told for own, each in world.real.items() if own != EXIT]
    assert [(order.order_type, order.awaits_approval) for order in closing] == [(OrderType.MARKET, False)] * 2 * flatten
    assert world.is_done is not flatten


def test_a_plan_is_the_same_as_before_there_were_approvals() -> None:
    assert plan().fingerprint() == plan(approve=False).fingerprint() != plan(approve=True).fingerprint()


def test_what_the_broker_would_have_at_once_cannot_wait_for_a_person() -> None:
    stop = {"trigger_price": "95", "limit_price": "94"}
    with pytest.raises(ValidationError, match="approve: an OCO with protect broker"):
        plan(entry=None, stop=stop, protect="broker", approve=True)
    assert plan(stop=stop, protect="broker", approve=True).approve, "the entry waits"
