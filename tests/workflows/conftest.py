"""The time-skipping environment over the real server, and a desk on it for each test."""

import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from durable_orders.order_handle import OrderHandle
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.server import DYNAMIC_CONFIG, temporal_program
from durable_orders.workflows.names import SEARCH_ATTRIBUTES
from tests.workflows.desk import Desk, at_work, open_desk


class Desks(Protocol):
    async def __call__(
        self,
        *,
        staffed: bool = True,
        mode: Mode = Mode.PAPER,
        guardian: dict[str, Any] | None = None,
        sections: dict[str, dict[str, Any]] | None = None,
        **placing: Any,
    ) -> Desk: ...


class Ahead(Protocol):
    async def __call__(self, order: OrderHandle, seconds: float | None = None) -> None: ...


TESTING = {
    "frontend.WorkflowTimeSkippingEnabled": "true",
    "history.transferProcessorUpdateAckInterval": '"100ms"',
    "history.visibilityProcessorUpdateAckInterval": '"100ms"',
}
"""The last two make the server delete a history at once, and not half a minute later."""


@asynccontextmanager
async def time_skipping(more: dict[str, str] | None = None) -> AsyncIterator[WorkflowEnvironment]:
    """The real server with a clock for each workflow, which goes with the wall's unless it is moved.

    `more` is dynamic configuration. The SDK calls this environment experimental; only this function starts it.
    """
    config = DYNAMIC_CONFIG | TESTING | (more or {})
    arguments = [word for key, value in config.items() for word in ("--dynamic-config-value", f"{key}={value}")]
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        data_converter=pydantic_data_converter,
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        dev_server_extra_args=arguments,
        dev_server_startup_timeout=timedelta(seconds=60),
        search_attributes=list(SEARCH_ATTRIBUTES),
    )
    async with environment:
        yield environment


@pytest.fixture(scope="session", autouse=True)
def little_garbage() -> None:
    """What earlier tests left is collected now: in the middle of a workflow's task it takes longer than the two seconds
    after which the SDK calls that a deadlock."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as environment:
        yield environment


@pytest.fixture
async def desks(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Desks]:
    """Opens desks with other settings: `await desks(max_retries=0)` sets `execution.paper.max_retries`, or that of
    `execution.live` for a desk of that mode, which has a queue of its own for what reaches the broker.

    `guardian` sets keys of that section, `sections` those of others by their names. One that is not `staffed` has no
    workers yet.
    """
    async with AsyncExitStack() as stack:

        async def opened(
            *,
            staffed: bool = True,
            mode: Mode = Mode.PAPER,
            guardian: dict[str, Any] | None = None,
            sections: dict[str, dict[str, Any]] | None = None,
            **placing: Any,
        ) -> Desk:
            opening = open_desk(environment.client, tmp_path, placing, guardian, mode, sections)
            desk = await stack.enter_async_context(opening)
            return await stack.enter_async_context(at_work(desk)) if staffed else desk

        yield opened


@pytest.fixture
async def desk(desks: Desks) -> Desk:
    return await desks()


@pytest.fixture
def ahead(environment: WorkflowEnvironment) -> Ahead:
    """Moves the clock of an order's workflow: `await ahead(order, 60)`. Without seconds: to its end."""

    async def forward(order: OrderHandle, seconds: float | None = None) -> None:
        await environment.fast_forward(environment.client.get_workflow_handle(order.order_id), seconds)

    return forward
