"""What the server has and no worker has taken yet: PENDING, with nothing sent, and not in the ledger.

Orders are asked for apart from the client, so that listing them need not load all that the client can do.
"""

import asyncio
from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.answers import unreachable
from durable_orders.trading.errors import OrderNotFound
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.orders.order import Order, OrderId, OrderIntent, PlanOrderIntent, Status
from durable_orders.workflows import names

NOT_STARTED = 200
"""How many orders without a worker are looked up at most: each is one more question to the server."""
BEGUN = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
"""A worker records a plan or a GTT before it completes the first task."""
ENDED = (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT)
PAGE = 20
"""Events that are read at once: the first few tell."""


async def not_started(client: Client, database: Database, account: str, limit: int = NOT_STARTED) -> list[Order]:
    """Newest first. What a worker takes meanwhile is as the ledger has it. Raises `ServerUnreachable`."""
    wanted = {"WorkflowType": names.ORDER_WORKFLOW, "ExecutionStatus": "Running"}
    wanted |= {names.ACCOUNT.name: account, names.STATUS.name: Status.PENDING.value}
    query = " AND ".join(f'{name}="{value}"' for name, value in wanted.items())
    try:
        running = [OrderId(found.id) async for found in client.list_workflows(query, limit=limit)]
    except RPCError as error:
        raise unreachable(error) from None
    recorded = await asyncio.to_thread(_recorded, database, running)
    fresh = [order_id for order_id, order in zip(running, recorded, strict=True) if order is None]
    return list(await asyncio.gather(*(as_it_stands(client, database, order_id) for order_id in fresh)))


async def as_it_stands(client: Client, database: Database, order_id: OrderId) -> Order:
    """The order as the ledger has it, or as its workflow's history has it before the first recording.

    Raises `OrderNotFound`, `ServerUnreachable`.
    """
    (recorded,) = await asyncio.to_thread(_recorded, database, [order_id])
    return recorded or await _started(client, order_id)


async def _started(client: Client, order_id: OrderId) -> Order:
    """An order that no worker has taken yet: PENDING, with nothing sent."""
    try:
        history = await client.get_workflow_handle(order_id).fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise OrderNotFound(f"no order {order_id}") from None
        raise unreachable(error) from None
    started = history.events[0]
    payloads = started.workflow_execution_started_event_attributes.input
    (intent,) = await client.data_converter.decode(
        payloads.payloads[:1],
        [OrderIntent | PlanOrderIntent],  # type: ignore[list-item]
    )
    return Order.from_intent(intent, started.event_time.ToDatetime().astimezone())


async def asked_for(client: Client, workflow_id: str, kind: Any, nowhere: OrderNotFound) -> tuple[Any, datetime] | None:
    """What a workflow was started with, decoded as `kind`, and when; `None` for one that a worker has begun.

    Raises `nowhere` where there is none, or it was ended before a worker took it, and `ServerUnreachable`.
    """
    started: HistoryEvent | None = None
    try:
        async for event in client.get_workflow_handle(workflow_id).fetch_history_events(page_size=PAGE):
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
    [start] = await client.data_converter.decode(told.input.payloads[:1], [kind])
    return start, started.event_time.ToDatetime().astimezone()


def _recorded(database: Database, order_ids: list[OrderId]) -> list[Order | None]:
    with database.read() as connection:
        return [find_order(connection, order_id) for order_id in order_ids]
