"""A worker that stops: all that it does ends, and what does not holds nobody up."""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from durable_orders.workers.worker import at_work
from tests.conftest import until
from tests.workflows.desk import Desk


@workflow.defn(sandboxed=False)
class Waits:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity("goes_on", start_to_close_timeout=timedelta(minutes=1))


async def test_one_that_waits_for_ever_is_left_behind(
    environment: WorkflowEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    @activity.defn
    async def goes_on() -> None:
        begun.set()
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    client = environment.client
    worker = Worker(
        client,
        task_queue="stopping",
        workflows=[Waits],
        activities=[goes_on],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    with caplog.at_level(logging.ERROR):
        async with at_work(worker, timedelta(seconds=0.2)):
            waits = await client.start_workflow("Waits", id="waits", task_queue="stopping")
            await begun.wait()
    assert "the worker of stopping has not stopped within 0.2 s: it is left behind" in caplog.text
    may_end.set()
    await worker.shutdown()
    await waits.terminate()


async def test_its_error_is_raised(environment: WorkflowEnvironment) -> None:
    @activity.defn
    async def goes_on() -> None:
        pass

    with pytest.raises(ZeroDivisionError):
        async with at_work(Worker(environment.client, task_queue="stopping", activities=[goes_on])):
            raise ZeroDivisionError


@pytest.mark.parametrize("steps", range(5))
async def test_a_watch_that_is_cancelled_as_it_hears_of_something_ends(desk: Desk, steps: int) -> None:
    pushed = asyncio.Event()
    watching = asyncio.create_task(desk.parts.watch._watch(pushed))
    await until(lambda: bool(pushed._waiters), "the look")
    pushed.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    watching.cancel()
    ended, _ = await asyncio.wait([watching], timeout=10)
    watching.cancel()
    assert ended
