"""The kinds of plans: those of one position with its exits, and those of several lines."""

from collections.abc import Collection, Sequence
from datetime import datetime

from pydantic import TypeAdapter

from durable_orders.trading.orders.order import Order, Product
from durable_orders.trading.plans import lines, standing
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.pieces import LineIntent, LinesState, basket_state, schedule_state
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import PlanState, PlanStatus, PlanView

AnyIntent = PlanIntent | BasketIntent | ScheduleIntent
AnyState = PlanState | LinesState

_STATE: TypeAdapter[AnyState] = TypeAdapter(PlanState | LinesState)


def read_state(text: str) -> AnyState:
    """Raises `ValueError` (pydantic's)."""
    return _STATE.validate_json(text)


def state_of(intent: AnyIntent, at: datetime) -> AnyState:
    return PlanState.of(intent, at) if isinstance(intent, PlanIntent) else lines_state(intent, at)


def lines_state(intent: LineIntent, at: datetime) -> LinesState:
    return basket_state(intent, at) if isinstance(intent, BasketIntent) else schedule_state(intent, at)


def view_of(state: AnyState) -> PlanView:
    return standing.view_of(state) if isinstance(state, PlanState) else state.view()


def status_of(state: AnyState) -> PlanStatus:
    return standing.status_of(state) if isinstance(state, PlanState) else state.status


def refreshed(state: AnyState, orders: Sequence[Order]) -> AnyState:
    """With its orders as they are told now."""
    if isinstance(state, PlanState):
        return standing.refreshed(state, orders)
    return lines.refreshed_lines(state, list(orders))


def recordable(state: AnyState) -> object:
    """What is worth another writing."""
    return standing.recordable(state) if isinstance(state, PlanState) else state.recordable()


def is_its_own(intent: AnyIntent, order: Order) -> bool:
    """Whether the plan has started an order that is named as one of its own."""
    if isinstance(intent, PlanIntent):
        return standing.is_its_own(intent, order)
    return lines.is_of_line(lines_state(intent, order.created_at), order)


def concerns(intent: AnyIntent, symbol: str | None, products: Collection[Product]) -> bool:
    """Whether it trades that symbol, or any, in one of these products."""
    lines = intent.legs if isinstance(intent, BasketIntent) else (intent,)
    traded = [(line.symbol, line.product) for line in lines]
    return any(symbol in (None, each) and product in products for each, product in traded)


def closes_by_itself(intent: AnyIntent) -> bool:
    """Whether a close of what its strategy holds has the plan close its part. What a schedule has traded is closed with
    the rest: it may have been closing that itself."""
    return not isinstance(intent, ScheduleIntent)


def begun_by(intent: AnyIntent, by: datetime) -> AnyIntent:
    """What enters at the market is not begun any more when it would be too late for it; a schedule has its times."""
    if isinstance(intent, PlanIntent):
        is_at_market = intent.entry is not None and not intent.entry.order_type.has_price
    else:
        is_at_market = isinstance(intent, BasketIntent)
    return intent.model_copy(update={"enter_by": by}) if is_at_market else intent
