"""Runs one account's workers: its workflows, its broker calls, and the watch over its book."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import (
    Interceptor,
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from durable_orders.trading.errors import BrokenError
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.components import Components
from durable_orders.workers.evenings import ensure_evenings
from durable_orders.workers.one_home import OneHome
from durable_orders.workers.renewals import Renewals
from durable_orders.workers.supervision import Supervisor, cancelled, ensure_watch
from durable_orders.workers.unneeded import leave_visits_out
from durable_orders.workflows.day_close import DayCloseWorkflow
from durable_orders.workflows.flatten import FlattenWorkflow
from durable_orders.workflows.gtt import GttChangeWorkflow, GttWorkflow
from durable_orders.workflows.names import broker_queue, orders_queue
from durable_orders.workflows.order import OrderWorkflow
from durable_orders.workflows.plan import PlanWorkflow
from durable_orders.workflows.watch import AccountWatchWorkflow

log = logging.getLogger(__name__)

WORKFLOWS = (
    *(OrderWorkflow, AccountWatchWorkflow, FlattenWorkflow, DayCloseWorkflow, PlanWorkflow),
    *(GttWorkflow, GttChangeWorkflow),
)
OUR_PACKAGES = ("durable_orders",)
GRACE = timedelta(seconds=40)
"""Longer than the longest broker call, so that a deploy never interrupts one."""
STOPS_WITHIN = GRACE + timedelta(seconds=20)
BUILD_ID = f"durable-orders-{version('durable-orders')}"
"""Without one the SDK works it out from the code of every loaded module, which takes most of a second."""
BROKER_CALLS = 1_000
"""Placements that wait for their turn, however many they are, keep no cancel waiting: the SDK takes 100 by itself."""
STICKY_TIMEOUT = timedelta(seconds=1)
"""How long messages wait for a worker that was killed before another takes them."""


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox, without loading our own pure packages anew for each workflow."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*OUR_PACKAGES))


def workers(
    client: Client, parts: Components, interceptors: Sequence[Interceptor] = (), runner: WorkflowRunner | None = None
) -> tuple[Worker, ...]:
    """The account's workers: workflows with their local activities and the watch, and what reaches the broker, which
    a live account has on a queue of its own.

    Without a `runner`, workflows run in the sandbox, which notices what would not replay.
    """
    leave_visits_out()
    account, mode = parts.settings.account, parts.settings.execution.mode
    queue, at_the_broker = broker_queue(account, mode), [*parts.orders.at_the_broker(), *parts.gtts.at_the_broker()]
    together = queue == orders_queue(account)
    orders = _patient(
        Worker(
            client,
            task_queue=orders_queue(account),
            workflows=WORKFLOWS,
            activities=[
                *parts.orders.local(),
                *parts.flatten.local(),
                *parts.flatten.activities(),
                *parts.plans.local(),
                *parts.gtts.local(),
                parts.watch.watch,
                *((parts.closing.close_day, parts.closing.tell_not_closed) if parts.closing is not None else ()),
                *(at_the_broker if together else ()),
            ],
            activity_executor=parts.executor,
            workflow_runner=runner or workflow_runner(),
            interceptors=interceptors,
            build_id=BUILD_ID,
            max_cached_workflows=parts.settings.worker.max_cached_workflows,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            graceful_shutdown_timeout=GRACE,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        )
    )
    if together:
        return (orders,)
    broker = Worker(
        client,
        task_queue=queue,
        activities=at_the_broker,
        interceptors=interceptors,
        build_id=BUILD_ID,
        max_concurrent_activities=BROKER_CALLS,
        graceful_shutdown_timeout=GRACE,
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
    )
    return orders, broker


def _patient(worker: Worker) -> Worker:
    """A worker that waits for a workflow's task however long its machine holds that up.

    After two seconds the SDK takes it for a deadlock, whether it was one or the machine was busy or stopped, and
    interrupts its thread at any place. A task of the workflow may be lost by that; then its run is never evicted, and
    nobody follows the order until this worker ends (temporalio 1.35, seen on a busy machine). A workflow that does hang
    is reported by the server, and told by `supervision`. There is no public way to say so.
    """
    inner = worker._workflow_worker
    if inner is None or not hasattr(inner, "_deadlock_timeout_seconds"):
        raise BrokenError(f"temporalio {version('temporalio')} keeps its limit for deadlocks elsewhere")
    inner._deadlock_timeout_seconds = None
    return worker


async def limit_broker_queue(client: Client, parts: Components) -> None:
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
    for pause in (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, None):  # the server fails it while another worker makes the same queue
        try:
            await client.workflow_service.update_task_queue_config(request)
            return
        except RPCError:
            if pause is None:
                raise
            await asyncio.sleep(pause)


@asynccontextmanager
async def at_work(worker: Worker, stops_within: timedelta = STOPS_WITHIN) -> AsyncIterator[None]:
    """The worker, for the length of a block. One that does not stop, as one of its activities does not end, is left
    behind, and that is logged: what it had begun is the next worker's, as after a crash."""
    async with AsyncExitStack() as stack:
        stack.push_async_exit(partial(_stop, await worker.__aenter__(), stops_within))
        yield


async def _stop(worker: Worker, within: timedelta, *error: Any) -> None:
    stop = asyncio.create_task(worker.__aexit__(*error))
    await asyncio.wait([stop], timeout=within.total_seconds())
    if stop.done():
        return stop.result()
    log.error(
        "the worker of %s has not stopped within %g s: it is left behind", worker.task_queue, within.total_seconds()
    )
    return None


@asynccontextmanager
async def running(client: Client, parts: Components, interceptors: Sequence[Interceptor] = ()) -> AsyncIterator[None]:
    """The account's workers, its watch, and who sees to it that both do their work, for the length of a block.

    The workflows run outside of the sandbox, where the tests have held them: it takes a fifth of the worker's time.
    """
    account, mark = parts.settings.account, parts.mark
    async with AsyncExitStack() as stack:
        supervisor = Supervisor(client, account, parts.database, parts.executor, mark, parts.watch.after_fills)
        await ensure_watch(client, account, mark)
        if mark is not None:
            home = OneHome(client, parts, mark)
            try:
                await home.must_serve()
            except BaseException:
                parts.database.close()
                raise
            stack.push_async_callback(home.leave)
            stack.push_async_callback(cancelled, asyncio.create_task(home.keep()))
        await supervisor.begin()
        for worker in workers(client, parts, interceptors, UnsandboxedWorkflowRunner()):
            await stack.enter_async_context(at_work(worker))
        await limit_broker_queue(client, parts)
        if parts.closing is not None:
            await ensure_evenings(client, account)
        stack.callback(parts.watch.leave)
        stack.push_async_callback(cancelled, asyncio.create_task(supervisor.run()))
        if parts.master is not None and parts.master.is_living:
            renewals = Renewals(parts.settings.account, parts.database)
            stack.push_async_callback(cancelled, asyncio.create_task(parts.master.keep(renewals.tell)))
        yield
    parts.executor.shutdown(wait=True)
    parts.database.close()
