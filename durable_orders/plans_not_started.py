"""Plans that the server has and no worker has begun: PENDING, with nothing sent, and not in the ledger."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from temporalio.client import Client
from temporalio.service import RPCError

from durable_orders.answers import unreachable
from durable_orders.not_started import NOT_STARTED, asked_for
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
    found = await asked_for(client, names.plan_workflow_id(account, plan_id), STARTS, nowhere)
    if found is None:
        return None
    start, at = found
    return view_of(state_of(start.intent if isinstance(start, PacedStart) else start, at))


async def _if_there(client: Client, account: str, plan_id: str) -> PlanView | None:
    with suppress(OrderNotFound):
        return await as_started(client, account, plan_id)
    return None


def _unrecorded(database: Database, account: str, plan_ids: Sequence[str]) -> list[str]:
    with database.read() as connection:
        return [plan_id for plan_id in plan_ids if find_plan(connection, account, plan_id) is None]
