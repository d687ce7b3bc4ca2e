"""What is measured: one embedded server and one production worker, on a home of their own that is thrown away."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from bench.bare import BareWorkflow, FrameWorkflow, nothing
from bench.processes import cpu_seconds
from durable_orders.orders import Orders
from durable_orders.trading.config.settings import Calendar, Execution, Feed, Market, Paper, Settings
from durable_orders.workers import ports, server, worker
from durable_orders.workers.components import Components, build
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home

ACCOUNT = "bench"
BARE_QUEUE = "bare"


class Cpu(NamedTuple):
    """Seconds of a core."""

    server: float
    process: float
    """Of this one, with the worker and the client in it."""

    def since(self, before: "Cpu", count: int) -> "Cpu":
        """What was used since then, for each of so many."""
        return Cpu((self.server - before.server) / count, (self.process - before.process) / count)


@dataclass(frozen=True, slots=True)
class Ground:
    home: Home
    parts: Components
    client: Client
    """The worker's own: what it starts may be started eagerly, in this process."""
    stranger: Client
    """A second connection, as another process has it: the server has to hand out the first task."""
    server: psutil.Process

    def orders(self, client: Client) -> Orders:
        return Orders.over(client, self.parts.database, self.parts.settings)

    def cpu(self) -> Cpu:
        """What both processes have used so far."""
        return Cpu(cpu_seconds(self.server), cpu_seconds(psutil.Process()))


def settings() -> Settings:
    """Defaults, with a market that is always open and shows a tick a second, and takes as many orders as come."""
    return Settings(
        account=ACCOUNT,
        market=Market(feed=Feed.SYNTHETIC, calendar=Calendar.ALWAYS_OPEN),
        execution=Execution(paper=Paper(request_limits=False)),
    )


def bare_worker(client: Client) -> Worker:
    """The floor's worker, with the options of the orders' own."""
    return Worker(
        client,
        task_queue=BARE_QUEUE,
        workflows=[BareWorkflow, FrameWorkflow],
        activities=[nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=settings().worker.max_cached_workflows,
        sticky_queue_schedule_to_start_timeout=worker.STICKY_TIMEOUT,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
    )


@asynccontextmanager
async def running() -> AsyncIterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="durable-orders-bench-") as path:
        home = Home(Path(path)).make()
        async with server.running(home, ports.ANY, ports.ANY) as address:
            client, stranger = [await connect(home, settings()) for _ in range(2)]
            parts = build(home, settings(), client)
            async with worker.running(client, parts), bare_worker(client):
                yield Ground(home, parts, client, stranger, psutil.Process(address.pid))
