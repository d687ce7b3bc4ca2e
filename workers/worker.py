"""Runs one account's workers: its workflows, its broker calls, and the watch over its book."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError
from temporalio.worker import (
    Interceptor,
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from trading.order import Mode
from workers.parts import Parts
from workflows.names import broker_queue, orders_queue, watch_id
from workflows.order import OrderWorkflow
from workflows.unwinding import UnwindWorkflow
from workflows.watch import AccountWatchWorkflow

WORKFLOWS = (OrderWorkflow, AccountWatchWorkflow, UnwindWorkflow)
OUR_PACKAGES = ("activities", "trading", "workflows")
GRACE = timedelta(seconds=40)
"""Longer than the longest broker call, so that a deploy never interrupts one."""
CACHED_WORKFLOWS = 20_000
"""More than the open orders, so that none has to be replayed to hear a signal."""
BUILD_ID = f"durable-orders-{version('durable-orders')}"
"""Without one the SDK works it out from the code of every loaded module, which takes most of a second."""
STICKY_TIMEOUT = timedelta(seconds=1)
"""How long messages wait for a worker that was killed before another takes them."""


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox, without loading our own pure packages anew for each workflow."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*OUR_PACKAGES))


def workers(
    client: Client, parts: Parts, interceptors: Sequence[Interceptor] = (), runner: WorkflowRunner | None = None
) -> tuple[Worker, ...]:
    """The account's workers: workflows with their local activities and the watch, and what reaches the broker, which
    a live account has on a queue of its own.

    Without a `runner`, workflows run in the sandbox, which notices what would not replay.
    """
    account, mode = parts.settings.account, parts.settings.execution.mode
    queue, at_the_broker = broker_queue(account, mode), list(parts.orders.at_the_broker())
    together = queue == orders_queue(account)
    orders = Worker(
        client,
        task_queue=orders_queue(account),
        workflows=WORKFLOWS,
        activities=[
            *parts.orders.local(),
            *parts.unwinding.local(),
            parts.watch.watch,
            *(at_the_broker if together else ()),
        ],
        activity_executor=parts.executor,
        workflow_runner=runner or workflow_runner(),
        interceptors=interceptors,
        build_id=BUILD_ID,
        max_cached_workflows=CACHED_WORKFLOWS,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACE,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
    )
    if together:
        return (orders,)
    broker = Worker(
        client,
        task_queue=queue,
        activities=at_the_broker,
        interceptors=interceptors,
        build_id=BUILD_ID,
        graceful_shutdown_timeout=GRACE,
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
    )
    return orders, broker


async def ensure_watch(client: Client, account: str) -> None:
    """Start the account's watch, unless it runs already."""
    await client.start_workflow(
        AccountWatchWorkflow.run,
        account,
        id=watch_id(account),
        task_queue=orders_queue(account),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=f"Watch the order book of account {account}",
    )


async def limit_broker_queue(client: Client, parts: Parts) -> None:
    """Let the server hand out no more broker calls a second than the broker takes, over all workers.

    It overrides what workers say, and lets a burst of twice the rate through: the pacer is the strict one.
    """
    settings = parts.settings
    if settings.execution.mode is not Mode.LIVE:
        return
    limit = RateLimit(requests_per_second=float(settings.execution.live.orders_per_second))
    request = UpdateTaskQueueConfigRequest(
        namespace=client.namespace,
        identity="durable-orders",
        task_queue=broker_queue(settings.account, settings.execution.mode),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        update_queue_rate_limit=UpdateTaskQueueConfigRequest.RateLimitUpdate(
            rate_limit=limit, reason="the broker's limit on order requests"
        ),
    )
    for pause in (0.2, 0.5, 1.0, None):  # the server fails it when another worker makes the same queue at this moment
        try:
            await client.workflow_service.update_task_queue_config(request)
            return
        except RPCError:
            if pause is None:
                raise
            await asyncio.sleep(pause)


@asynccontextmanager
async def running(client: Client, parts: Parts, interceptors: Sequence[Interceptor] = ()) -> AsyncIterator[None]:
    """The account's workers and its watch, for the length of a block.

    The workflows run outside of the sandbox, where the tests have held them: it takes a fifth of the worker's time.
    """
    async with AsyncExitStack() as stack:
        for worker in workers(client, parts, interceptors, UnsandboxedWorkflowRunner()):
            await stack.enter_async_context(worker)
        await limit_broker_queue(client, parts)
        await ensure_watch(client, parts.settings.account)
        stack.callback(parts.watch.leave)
        yield
    parts.executor.shutdown(wait=True)
    parts.database.close()
