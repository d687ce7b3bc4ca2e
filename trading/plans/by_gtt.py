"""The exit of a plan that a GTT keeps at the broker, told as an order: until it triggers a stop, then the order that it
has placed. Pure.

So what holds for any exit of a plan holds for it: one at a time, and the next one only when its end is proved, by the
broker's list or, once it has triggered, by the book.
"""

import re
from datetime import datetime
from decimal import Decimal

from durable_orders.trading.gtt.gtt import GttIntent, GttLeg, GttStatus, reason_of
from durable_orders.trading.gtt.state import GttState, Result
from durable_orders.trading.orders.order import (
    RESERVED_NAMES,
    BrokerOrderId,
    Order,
    OrderType,
    Side,
    Status,
    order_id,
)
from durable_orders.trading.plans.plan import PlanIntent

OF_PLAN = re.compile(r"(?P<plan>.+)\.gtt-\d+-\d+")
"""How the GTTs of a plan are named."""
NOT_FREE = "gtt_id: names that end in .gtt-N-N are for the GTTs of plans"
ENDS = {
    GttStatus.REJECTED: Status.REJECTED,
    GttStatus.EXPIRED: Status.EXPIRED,
    GttStatus.DELETED: Status.CANCELLED,
    GttStatus.CANCELLED: Status.CANCELLED,
    GttStatus.DISABLED: Status.CANCELLED,
}
WAITS = {
    GttStatus.PENDING: Status.PENDING,
    GttStatus.UNKNOWN: Status.UNKNOWN,
    GttStatus.ACTIVE: Status.PLACED,
}


def gtt_id(plan_id: str, leg: int, number: int) -> str:
    return f"{plan_id}.gtt-{leg}-{number}"


def is_of_plan(gtt_id: str) -> bool:
    return OF_PLAN.fullmatch(gtt_id) is not None


def plan_named(gtt_id: str) -> str | None:
    """The id of the plan that it is named after."""
    named = OF_PLAN.fullmatch(gtt_id)
    return None if named is None else named["plan"]


def is_placed_for_plan(client_order_id: str, reason: str) -> bool:
    """Whether it is the order that the GTT of a plan has placed."""
    named = re.fullmatch(reason_of("(.+)"), reason)
    return client_order_id.startswith(RESERVED_NAMES) and named is not None and is_of_plan(named[1])


def legs_of(quantity: int, stop: tuple[Decimal, Decimal], target: Decimal | None) -> list[GttLeg]:
    """The lower trigger first. `stop` is its trigger and its limit, in rupees."""
    trigger, limit = stop
    legs = [GttLeg(trigger_price=trigger, price=limit, quantity=quantity)]
    if target is not None:
        legs.append(GttLeg(trigger_price=target, price=target, quantity=quantity))
    return sorted(legs, key=lambda leg: leg.trigger_price)


def intent_of(plan: PlanIntent, own: str, reason: str, legs: list[GttLeg]) -> GttIntent:
    return GttIntent(
        account=plan.account,
        mode=plan.mode,
        gtt_id=own,
        strategy=plan.strategy,
        reason=reason,
        symbol=plan.symbol,
        side=plan.exit_side,
        product=plan.product,
        legs=tuple(legs),
    )


def other_leg(plan: PlanIntent, state: GttState) -> int:
    """How much a leg of it may trade at most, where the one that is not the stop was changed at the broker; else 0. An
    order tells of the stop alone."""
    stop = _stop_of(state)
    asked = legs_of(stop.quantity, (stop.trigger_price, stop.price), plan.legs[0].target)
    is_otherwise = state.status is GttStatus.ACTIVE and list(state.legs) != asked
    return max(leg.quantity for leg in state.legs) if is_otherwise else 0


def _stop_of(state: GttState) -> GttLeg:
    return state.legs[0] if state.intent.side is Side.SELL else state.legs[-1]


def order_of(state: GttState, at: datetime, placed: Order | None = None) -> Order:
    """The exit as it stands. `at` is when the GTT was recorded so, `placed` the order that came of it, if that is
    known. One that has triggered is UNKNOWN until the book, or a human, tells of its order."""
    own = {"client_order_id": state.intent.gtt_id, "reason": state.intent.reason}
    if placed is not None:
        return placed.model_copy(update=own | {"updated_at": max(at, placed.updated_at)})
    stop = _stop_of(state)
    content = {"price": stop.price, "quantity": stop.quantity, "reasons": state.reasons, "updated_at": at}
    trigger_id = None if state.trigger_id is None else BrokerOrderId(state.trigger_id)
    content |= {"order_id": order_id(state.intent.account, state.intent.gtt_id), "broker_order_id": trigger_id}
    if state.status is GttStatus.TRIGGERED:
        content |= _triggered(next((each for each in state.results if each is not None), None))
    else:
        status = WAITS.get(state.status) or ENDS[state.status]
        if state.status is GttStatus.ACTIVE and state.absent_since is not None:
            status, content["reasons"] = Status.UNKNOWN, (f"the broker does not show it as {state.trigger_id} now",)
        content |= {"status": status, "order_type": OrderType.SL, "trigger_price": stop.trigger_price}
    return next(state.intent.orders(state.created_at)).model_copy(update=own | content)


def _triggered(result: Result | None) -> dict[str, object]:
    if result is None:
        return {"status": Status.UNKNOWN, "reasons": ("triggered; the broker does not say what came of its order",)}
    if result.order_id is None:
        return {"status": Status.REJECTED, "reasons": (f"its order was refused: {result.rejection_reason}",)}
    words = f"triggered; the book has not shown its order {result.order_id} so far"
    return {"status": Status.UNKNOWN, "broker_order_id": result.order_id, "reasons": (words,)}
