"""Plans that the server has and no worker has begun: PENDING, with nothing sent, and not in the ledger."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.answers import unreachable
from durable_orders.not_started import NOT_STARTED
from durable_orders.trading.errors import OrderNotFound, PlanNotFound
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.plans import find_plan
from durable_orders.trading.orders.order import Status
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.kinds import state_of, view_of
from durable_orders.trading.plans.pacing import PacedStart
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import PlanView
from durable_orders.workflows import names

STARTS = PlanIntent | BasketIntent | ScheduleIntent | PacedStart
"""What the first run of a plan is started with."""
BEGUN = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
"""A worker records a plan before it completes its first task, and starts orders only behind that."""
ENDED = (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT)
PAGE = 20


async def plans_not_started(
    client: Client, database: Database, account: str, limit: int = NOT_STARTED
) -> list[PlanView]:
    """Newest first. Raises `ServerUnreachable`."""
    wanted = {"WorkflowType": names.PLAN_WORKFLOW, "ExecutionStatus": "Running"}
    wanted |= {names.ACCOUNT.name: account, names.STATUS.name: Status.PENDING.value}
    query = " AND ".join(f'{name}="{value}"' for name, value in wanted.items())
    beginning = names.plan_workflow_id(account, "")
    try:
        running = [each.id.removeprefix(beginning) async for each in client.list_workflows(query, limit=limit)]
    except RPCError as error:
        raise unreachable(error) from None
    fresh = await asyncio.to_thread(_unrecorded, database, account, running)
    found = await asyncio.gather(*(_if_there(client, account, plan_id) for plan_id in fresh))
    return [view for view in found if view is not None]


async def as_started(client: Client, account: str, plan_id: str) -> PlanView | None:
    """A plan that no worker has begun, by what it was started with; `None` for one that a worker has begun.

    Raises `OrderNotFound`, also for one that was ended before a worker took it, and `ServerUnreachable`.
    """
    nowhere = PlanNotFound(f"no plan {plan_id[:64]!r}")
    started: HistoryEvent | None = None
    try:
        handle = client.get_workflow_handle(names.plan_workflow_id(account, plan_id))
        async for event in handle.fetch_history_events(page_size=PAGE):
            started = started or event
            if event.event_type == BEGUN:
                return None
            if event.event_type in ENDED:
                raise nowhere
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise nowhere from None
        raise unreachable(error) from None
    if started is None:
        raise nowhere
    told = started.workflow_execution_started_event_attributes
    if told.continued_execution_run_id:
        return None
    [start] = await client.data_converter.decode(told.input.payloads[:1], [STARTS])  # type: ignore[list-item]
    intent = start.intent if isinstance(start, PacedStart) else start
    return view_of(state_of(intent, started.event_time.ToDatetime().astimezone()))


async def _if_there(client: Client, account: str, plan_id: str) -> PlanView | None:
    with suppress(OrderNotFound):
        return await as_started(client, account, plan_id)
    return None


def _unrecorded(database: Database, account: str, plan_ids: Sequence[str]) -> list[str]:
    with database.read() as connection:
        return [plan_id for plan_id in plan_ids if find_plan(connection, account, plan_id) is None]
