"""How a plan stands, in words and figures; and what it takes in of its orders. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from durable_orders.trading.orders.order import CARRIED, CLOSING, Order, OrderIntent, PlanOrderIntent, Status, plan_of
from durable_orders.trading.plans.by_gtt import gtt_id, is_of_plan
from durable_orders.trading.plans.exits import Exits
from durable_orders.trading.plans.plan import PlanChange, PlanIntent, Stop
from durable_orders.trading.plans.state import (
    AWAITS_PERSON,
    Child,
    PlanHolding,
    PlanState,
    PlanStatus,
    PlanView,
    entry_id,
    exit_id,
    number_of,
    row_of,
)

EXIT = re.compile(r"\.(exit|gtt)-(\d+)-(\d+)$")


def status_of(state: PlanState) -> PlanStatus:
    if state.refusals:
        return PlanStatus.REJECTED
    if not is_over(state):
        if state.awaits_approval:
            return PlanStatus.PENDING
        if state.held:
            return PlanStatus.OPEN
        return PlanStatus.PENDING if state.entry is None and state.intent.entry is not None else PlanStatus.WORKING
    if state.held:
        return PlanStatus.LEFT
    if state.entered or state.closed:
        return PlanStatus.CLOSED
    entry = state.entry
    was_refused = entry is not None and entry.order.status is Status.REJECTED
    return PlanStatus.REJECTED if was_refused else PlanStatus.CANCELLED


def is_over(state: PlanState) -> bool:
    """Whether all its orders are, and nothing is left that another one is to close."""
    if state.refusals:
        return True
    if any(child.is_live for child in state.children()):
        return False
    gives_up = state.is_cancelled and not state.is_leaving
    if state.intent.entry is not None and state.entry is None:
        return state.is_cancelled or state.is_leaving
    if state.excess:
        return False
    return gives_up or all(state.room(number) <= 0 for number in range(len(state.legs)))


def view_of(state: PlanState) -> PlanView:
    intent = state.intent
    held = state.held * intent.side.sign
    holdings = (PlanHolding(symbol=intent.symbol, product=intent.product, quantity=held),) if held else ()
    status = status_of(state)
    awaits = state.awaits_approval or any(child.order.awaits_approval for child in state.children())
    person = AWAITS_PERSON if awaits and not status.terminal else ""
    return PlanView(
        plan_id=intent.plan_id,
        status=status,
        protected=None if (status.terminal and not held) or state.awaits_approval else state.is_protected,
        unprotected_since=state.unprotected_since,
        kind=intent.kind.value,
        summary=intent.summary(),
        symbol=intent.symbol,
        strategy=intent.strategy,
        held=held,
        stop=state.level,
        reasons=(*state.refusals, *(words for words in (state.why, state.waits, person) if words)),
        orders=tuple(row_of(child, child.role) for child in state.children()),
        holdings=holdings,
    )


def recordable(state: PlanState) -> object:
    """What is worth another writing: all that readers see, and what was decided. The price is not kept."""
    stands = (status_of(state), state.is_protected, state.unprotected_since, state.held, state.level, state.waits)
    asked = (state.is_cancelled, state.is_leaving, state.exit_at, state.stop, state.covered, state.refusals, state.why)
    rows = [(child.order.order_id, *_figures(child.order)) for child in state.children()]
    return stands, asked, rows, [(leg.out, leg.lost, leg.target) for leg in state.legs]


def _figures(order: Order) -> tuple[object, ...]:
    """What an order's row has that may change."""
    terms = (order.quantity, order.order_type, order.price, order.trigger_price)
    return (order.status, order.broker_order_id, order.fills, *terms, order.reasons)


def entry_reason(intent: PlanIntent) -> str:
    return intent.reason or f"plan {intent.plan_id}"


def is_its_own(intent: PlanIntent, order: Order) -> bool:
    """Whether the plan has started an order that is named as one of its own. Older ones of other people may be."""
    named = EXIT.search(order.client_order_id)
    is_exit = named is not None or order.client_order_id.startswith(CLOSING)
    wanted = intent.exit_side if named is not None else intent.side
    of_plan = f"plan {intent.plan_id}"
    is_meant = order.reason.startswith(of_plan) if is_exit else order.reason == entry_reason(intent)
    terms = (order.account, order.mode, order.strategy, order.symbol, order.product, order.side)
    asked = (intent.account, intent.mode, intent.strategy, intent.symbol, intent.product, wanted)
    return is_meant and terms == asked


def adopt(state: PlanState, order: Order) -> Child | None:
    """An order of the plan's that an earlier run has placed; `None` for one that the plan did not start."""
    plan, own = state.intent.plan_id, order.client_order_id
    if not is_its_own(state.intent, order):
        return None
    child = Child(order=order)
    if own == entry_id(plan) and state.intent.entry is not None:
        state.entry = child
        return child
    if re.fullmatch(rf"{re.escape(CLOSING + plan)}-\d+", own):
        state.closings.append(child)
        return child
    named = EXIT.search(own)
    if named is None:
        return None
    name = exit_id if named[1] == "exit" else gtt_id
    if own != name(plan, int(named[2]), int(named[3])):
        return None
    number = int(named[2]) - 1
    if number >= len(state.legs):
        return None
    child.leg = number
    children = state.legs[number].children
    children.append(child)
    children.sort(key=lambda each: number_of(each.client_order_id))
    trigger = order.trigger_price
    if trigger is not None and state.level is not None and (trigger - state.level) * state.intent.side.sign > 0:
        state.level = trigger  # it has trailed so far
    return child


def refreshed(state: PlanState, orders: Iterable[Order]) -> PlanState:
    """With its orders as they are told now."""
    for order in orders:
        child = state.child(order.client_order_id)
        if child is None:
            adopt(state, order)
        elif is_news(child.order, order):
            child.order = order
    return state


def is_news(known: Order, told: Order) -> bool:
    """Whether an order is told later than it is known: signals and readings of the ledger may come in any order."""
    if told == known or told.filled_quantity < known.filled_quantity:
        return False
    if known.status is Status.PENDING and told.status is not Status.PENDING:
        return True  # known by its intent alone, and that may be younger than the order
    if known.status.terminal and not told.status.terminal:
        # a GTT that was not placed, as it was said, may turn up after all
        return is_of_plan(known.client_order_id) and known.order_type.has_trigger and told.updated_at > known.updated_at
    return told.updated_at >= known.updated_at or told.filled_quantity > known.filled_quantity or told.status.terminal


def asked_again(order: Order, place_by: datetime | None) -> OrderIntent:
    """What was asked for, of an order that nothing has happened to. `place_by` is for one of the plan's own names; one
    that closes keeps the rule of those."""
    content = {name: getattr(order, name) for name in CARRIED}
    plan = plan_of(order.client_order_id)
    return OrderIntent(**content) if plan is None else PlanOrderIntent(**content, plan_id=plan, place_by=place_by)


def change(state: PlanState, asked: PlanChange, now: datetime) -> None:
    """Take what `problem_with` has found nothing against."""
    if state.stop is not None:
        state.stop = moved(state.stop, asked)
        if asked.stop is not None:
            state.level, state.best = asked.stop, state.price_at(now)
    if asked.target is not None:
        state.legs[0].target, state.legs[0].taking_since = asked.target, None
    state.exit_at = asked.exit_at or state.exit_at


def moved(stop: Stop, asked: PlanChange) -> Stop:
    limit = stop.limit_price
    if asked.stop is not None and limit is not None:
        limit += asked.stop - stop.trigger_price
    return stop.model_copy(
        update={
            "trigger_price": asked.stop or stop.trigger_price,
            "limit_price": limit,
            "trail": asked.trail or stop.trail,
        }
    )


def problem_with(state: PlanState, asked: PlanChange, last: Decimal | None) -> str | None:
    """Why a change cannot be made; field and rule. `last` is the price now, if it is known."""
    if is_over(state):
        return f"the plan has ended: {status_of(state)}"
    if (asked.stop is not None or asked.trail is not None) and state.stop is None:
        return "stop: the plan has none"
    if state.intent.wants_gtt and (asked.target is not None or asked.trail is not None):
        field = "target" if asked.target is not None else "trail"
        return f"{field}: with protect broker the stop is a GTT, of which only the stop is changed"
    targets = [leg.target for leg in state.legs if leg.target is not None]
    if asked.target is not None and len(targets) != 1:
        return f"target: the plan has {len(targets)} of them"
    wanted = targets if asked.target is None else [asked.target]
    return _misplaced(state, asked, wanted, last) or _off_tick(state, asked)


def undone_at_once(state: PlanState, asked: PlanChange, last: Decimal | None, now: datetime) -> str | None:
    """Why a stop would not stay where it is asked for: its trail or break-even moves it from there by the price now.
    Field and rule. `last` is that price, if it is known."""
    if asked.stop is None or last is None or state.stop is None:
        return None
    tried = state.model_copy(deep=True)
    change(tried, asked, now)
    tried.best = last
    Exits(tried).priced(last, now)
    if tried.level == asked.stop:
        return None
    mover = "break-even" if tried.stop is None or tried.stop.trail is None else f"trail of {tried.stop.trail}"
    level = None if tried.level is None else f"{tried.level.normalize():f}"
    return f"stop: its {mover} would move it to {level} at once, by the last price {last}; was {asked.stop}"


def _misplaced(state: PlanState, asked: PlanChange, targets: list[Decimal], last: Decimal | None) -> str | None:
    sign = state.intent.side.sign
    level = asked.stop or state.level
    behind, beyond = ("below", "above") if sign > 0 else ("above", "below")
    for target in targets:
        if level is not None and (target - level) * sign <= 0:
            return f"stop: must lie {behind} the target's {target}, was {level}"
    if last is None:
        return None
    if asked.stop is not None and (last - asked.stop) * sign <= 0:
        return f"stop: must lie {behind} the last price {last}, was {asked.stop}"
    if asked.target is not None and (asked.target - last) * sign <= 0:
        return f"target: must lie {beyond} the last price {last}, was {asked.target}"
    return None


def _off_tick(state: PlanState, asked: PlanChange) -> str | None:
    tick = state.tick_size
    for field, price in (("stop", asked.stop), ("target", asked.target), ("trail", asked.trail)):
        if tick and price is not None and price % tick:
            return f"{field}: {price} is not a multiple of the tick size {tick} of {state.intent.symbol}"
    return None
