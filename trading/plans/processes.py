"""Which process a plan has, by its kind."""

from durable_orders.trading.plans.basket_process import BasketProcess
from durable_orders.trading.plans.kinds import AnyState
from durable_orders.trading.plans.process import PlanProcess
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.schedule_process import ScheduleProcess
from durable_orders.trading.plans.state import PlanState

Process = PlanProcess | BasketProcess | ScheduleProcess


def process_of(state: AnyState, *, is_admitted: bool = False) -> Process:
    """Of a plan as it stands; `is_admitted` is whether it was checked."""
    if isinstance(state, PlanState):
        return PlanProcess(state, is_admitted=is_admitted)
    if isinstance(state.intent, ScheduleIntent):
        return ScheduleProcess(state, state.intent, is_admitted=is_admitted)
    return BasketProcess(state, state.intent, is_admitted=is_admitted)
