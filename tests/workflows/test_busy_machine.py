"""A machine that is busy, or was stopped, holds a workflow's task up for longer than the SDK allows."""

import time
from typing import Any

import pytest
from temporalio import workflow
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from durable_orders.trading.orders.order import Status
from durable_orders.workers.worker import workers
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Desks
from tests.workflows.desk import finished

HELD_UP = 2.3
"""Seconds: more than the two after which the SDK takes a task for a deadlock."""


class HoldUp(Interceptor):
    """The first task of the first workflow is held up in its thread, as where another process has the processor."""

    def __init__(self) -> None:
        self.times = 0

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[WorkflowInboundInterceptor] | None:
        hold_up = self

        class Held(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
                if workflow.info().workflow_type == "Order" and not hold_up.times:
                    hold_up.times += 1
                    with workflow.unsafe.sandbox_unrestricted():
                        time.sleep(HELD_UP)  # noqa: ASYNC251
                return await super().execute_workflow(input)

        return Held


async def test_task_that_takes_long_is_no_deadlock(desks: Desks, caplog: pytest.LogCaptureFixture) -> None:
    desk = await desks(staffed=False)
    hold_up = HoldUp()
    (worker,) = workers(desk.client, desk.parts, [hold_up])
    async with worker:
        order = await desk.start(says.fills_at_once)
        assert (await finished(desk, order)).status is Status.FILLED
    assert hold_up.times == 1
    assert [record.message for record in caplog.records if record.name.startswith("temporalio.worker")] == []
