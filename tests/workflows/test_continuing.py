"""Continue as new, on a server that suggests it early: an order loses nothing on the way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from durable_orders.order_handle import OrderHandle
from durable_orders.trading.errors import DuplicateOrder
from durable_orders.trading.orders.order import Amendment, Status
from durable_orders.workflows import names
from tests.conftest import eventually
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import time_skipping
from tests.workflows.desk import Desk, at_work, finished, now, open_desk

EARLY = 40
"""History events; the server's own suggestion comes at 4,096."""


@pytest.fixture(scope="module")
async def impatient() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping({"limit.historyCount.suggestContinueAsNew": str(EARLY)}) as environment:
        yield environment


@pytest.fixture
async def desk(impatient: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(impatient.client, tmp_path, {"max_retries": 8}) as desk, at_work(desk):
        yield desk


async def run_id(desk: Desk, order: OrderHandle) -> str:
    return (await desk.workflow(order).describe()).run_id


async def continued(desk: Desk, order: OrderHandle) -> None:
    """Tell the order what it knows already, until it has continued as new."""
    first, known = await run_id(desk, order), desk.broker.report(desk.broker.only)

    async def is_another() -> bool:
        await desk.tell(order, known)
        return await run_id(desk, order) != first

    await eventually(is_another)


async def test_working_order(desk: Desk) -> None:
    intent = desk.intent(client_order_id="mine", reason="the trend")
    order = await desk.orders.place(intent)
    await order.placed()
    desk.broker.trade(desk.broker.only, 4)
    await desk.look()
    before = await desk.recorded(order, Status.PARTIAL)
    for _ in range(2):
        await continued(desk, order)
        assert await desk.standing(order) == before

    again = await desk.orders.place_and_wait(intent)
    assert (again.broker_order_id, len(desk.broker.sent)) == (desk.broker.only, 1)
    with pytest.raises(DuplicateOrder):
        await desk.orders.place(intent.model_copy(update={"quantity": 11}))

    desk.broker.trade(desk.broker.only, 6)
    await desk.look()
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity, ended.reason) == (Status.FILLED, 10, "the trend")


async def test_what_the_ui_shows(desk: Desk) -> None:
    order = await desk.resting()
    await continued(desk, order)
    described = await desk.workflow(order).describe()
    attributes = described.typed_search_attributes
    assert attributes.get(names.STATUS) == Status.PLACED
    assert attributes.get(names.SYMBOL) == "NSE:INFY"
    assert attributes.get(names.ACCOUNT) == desk.account
    await order.cancel()
    await finished(desk, order)


async def test_cancel_that_the_broker_does_not_do_yet(desk: Desk, impatient: WorkflowEnvironment) -> None:
    order = await desk.resting()
    desk.broker.on_cancel.extend([says.is_being_processed] * 4)
    first = await run_id(desk, order)
    await desk.workflow(order).signal("cancel")
    await impatient.fast_forward(desk.workflow(order), 600)
    ended = await finished(desk, order)
    assert (ended.status, len(desk.broker.cancels)) == (Status.CANCELLED, 5)
    assert await run_id(desk, order) != first


async def test_attempts_are_counted_on(desk: Desk, impatient: WorkflowEnvironment) -> None:
    order = await desk.start(*[says.cannot_be_reached] * 99)
    first = await run_id(desk, order)
    await impatient.fast_forward(desk.workflow(order), 600)
    ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert "not sent in 9 attempts" in ended.reasons[-1]
    assert len(desk.broker.sent) == 9
    assert await run_id(desk, order) != first


async def test_deadline_stands(desk: Desk, impatient: WorkflowEnvironment) -> None:
    order = await desk.start(*[says.wants_a_login] * 99, place_by=now() + timedelta(seconds=200))
    await impatient.fast_forward(desk.workflow(order), 600)
    ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert "TOO_LATE" in ended.reasons[-1]
    assert desk.broker.rows == {}


async def test_amendment_and_changes_after_it(desk: Desk) -> None:
    order = await desk.resting()
    await order.amend(Amendment(quantity=20))
    await continued(desk, order)
    assert (await desk.standing(order)).quantity == 20
    desk.broker.rows[desk.broker.only] = replace(desk.broker.rows[desk.broker.only], quantity=15)
    await desk.look()
    desk.broker.trade(desk.broker.only, 15)
    await desk.look()
    ended = await finished(desk, order)
    assert (ended.status, ended.quantity, ended.filled_quantity) == (Status.FILLED, 15, 15)
