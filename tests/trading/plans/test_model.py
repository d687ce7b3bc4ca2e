"""Random schedules of everything that may become of a plan's orders: never more out than in, at any moment."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.state import PlanStatus
from tests.trading.plans.world import START, World, plan

NAMES = st.integers(0, 7)
MOVES = ["tell", "arrives", "works", "lose", "find", "change_arrives", "changed", "triggers"]
STEPS = st.one_of(
    st.tuples(st.sampled_from(MOVES), NAMES),
    st.tuples(st.just("fill"), NAMES, st.integers(1, 75), st.booleans()),
    st.tuples(st.just("end"), NAMES, st.sampled_from(["CANCELLED", "EXPIRED", "REJECTED"])),
    st.tuples(st.just("answer"), NAMES, st.sampled_from([None, "refused"]), st.booleans()),
    st.tuples(st.just("price"), st.integers(85, 125)),
    st.tuples(st.just("passes"), st.sampled_from([0.5, 2, 6, 31, 60, 400])),
    st.tuples(st.just("cancel"), st.booleans()),
    st.tuples(st.sampled_from(["again", "keep", "reset"])),
)
OTHERS = st.one_of(STEPS, st.tuples(st.just("others"), st.integers(1, 75)))
LEGS: list[Any] = [({"price": "110"},), ({"price": "110", "quantity": 25}, {"price": "120"}), ()]


@st.composite
def plans(draw: st.DrawFn) -> PlanIntent:
    targets = draw(st.sampled_from(LEGS))
    stop: dict[str, Any] = {"trigger_price": "95"}
    stop |= draw(st.sampled_from([{}, {"limit_price": "94"}, {"trail": "4"}, {"break_even": "104"}]))
    exit_at = draw(st.sampled_from([None, START + timedelta(minutes=5)]))
    return plan(stop=stop, targets=targets, exit_at=exit_at)


@st.composite
def kept_by_gtts(draw: st.DrawFn) -> PlanIntent:
    own = {"mode": "live", "protect": "broker", "stop": {"trigger_price": "95", "limit_price": "94"}}
    exit_at = draw(st.sampled_from([None, START + timedelta(minutes=5)]))
    return plan(**own, targets=draw(st.sampled_from([LEGS[0], ()])), exit_at=exit_at)


PLANS = st.one_of(plans(), kept_by_gtts())


def happen(world: World, step: tuple[Any, ...], kept: list[str]) -> None:
    """What the step says, if there is such an order."""
    what, *told = step
    match what:
        case "price":
            world.price(Decimal(told[0]))
        case "passes":
            world.passes(told[0])
        case "cancel":
            world.cancel(flatten=told[0])
        case "again":
            world.begins_anew()
        case "keep":
            kept.append(world.state.model_dump_json())
        case "others":
            world.closed_by_others += min(told[0], max(world.account, 0))
        case "reset":
            world.begins_anew(kept[-1] if kept else None)
        case "fill":
            world.fill(name(world, told[0]), told[1], told=told[2])
        case "answer":
            world.answer(name(world, told[0]), told[1], is_unknown=told[1] is not None and told[2])
        case _:
            getattr(world, what)(name(world, told[0]), *told[1:])


def name(world: World, number: int) -> str:
    """Of one of the orders: the latest ones come first, as most happens to them."""
    own = list(reversed(world.real))
    return own[number % len(own)]


@settings(max_examples=250)
@given(PLANS, st.lists(STEPS, max_size=60))
def test_never_more_out_than_in_and_what_is_held_without_a_stop_is_said(
    intent: PlanIntent, steps: list[tuple[Any, ...]]
) -> None:
    world = World(intent)
    kept: list[str] = []
    world.run()
    for step in steps:
        happen(world, step, kept)
        world.check()
        world.run()
        world.check()
        says_held(world)
    settle(world)


@settings(max_examples=250)
@given(PLANS, st.lists(OTHERS, max_size=60))
def test_whatever_others_close_the_account_has_in_the_end_what_the_plan_says(
    intent: PlanIntent, steps: list[tuple[Any, ...]]
) -> None:
    world = World(intent)
    world.closes_excess = True
    kept: list[str] = []
    world.run()
    for step in steps:
        happen(world, step, kept)
        world.run()
        says_held(world)
    settle(world)
    assert world.account == world.state.held == 0


def says_held(world: World) -> None:
    """By what was told of the orders: what is held and not covered is unprotected, with its age."""
    state = world.state
    covered = sum(child.protects for child in state.exits())
    if state.exposed > covered and not world.is_done:
        assert not world.view.protected
        assert state.unprotected_since is not None
    assert state.may_close <= state.entered


def settle(world: World) -> None:
    """In the end everything is told, and the plan is asked to flatten: it comes to its end, and says what it holds."""
    world.begins_anew()
    world.cancel(flatten=True)
    for _ in range(60):
        world.run()
        if world.is_done:
            break
        for own, order in list(world.real.items()):
            world.find(own)
            world.works(own)
            while order.answers:
                world.changed(own)
            if own == "p1.entry":
                world.end(own, "CANCELLED")
            elif order.terms["order_type"].value == "MARKET":
                world.fill(own, order.quantity)
            elif order.told.cancel_requested:
                world.end(own, "CANCELLED")
        world.passes(61)
    assert world.is_done, world.view
    world.check()
    state = world.state
    assert world.account == state.held
    if state.held:
        assert world.view.status is PlanStatus.LEFT
    else:
        assert world.view.status in (PlanStatus.CLOSED, PlanStatus.CANCELLED, PlanStatus.REJECTED)
