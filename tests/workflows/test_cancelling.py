"""Cancelling: by signal, update, client or native cancellation; before, in flight, and against a fill."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.api.enums.v1 import EventType as EventKind

from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderType, Status
from tests.conftest import until
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Ahead, Desks
from tests.workflows.desk import Desk, at_work, finished, messages

Way = Callable[[Desk, str], Awaitable[object]]


async def by_signal(desk: Desk, order_id: str) -> None:
    await desk.client.get_workflow_handle(order_id).signal("cancel", "by the risk desk")


async def by_update(desk: Desk, order_id: str) -> None:
    await desk.client.get_workflow_handle(order_id).execute_update("cancel_and_wait", "by the risk desk")


async def by_client(desk: Desk, order_id: str) -> Order:
    return await desk.orders.handle(order_id).cancel("by the risk desk")


async def natively(desk: Desk, order_id: str) -> None:
    await desk.client.get_workflow_handle(order_id).cancel()


REQUESTS = {
    EventKind.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventKind.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventKind.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
}


async def heard(desk: Desk, order_id: str) -> None:
    """Until the request is in the order's history."""
    async for event in desk.client.get_workflow_handle(order_id).fetch_history_events(wait_new_event=True):
        if event.event_type in REQUESTS:
            return


every_way = pytest.mark.parametrize("cancel", [by_signal, by_update, by_client, natively])


@every_way
async def test_working_order(desk: Desk, cancel: Way) -> None:
    order = await desk.resting()
    await cancel(desk, order.order_id)
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.CANCELLED, 0)
    assert desk.broker.cancels == [desk.broker.only]
    assert desk.broker.rows[desk.broker.only].state is BookState.CANCELLED
    assert "cancel requested: " in messages(await order.events())


@every_way
async def test_while_it_waits_to_be_sent_again(desk: Desk, cancel: Way) -> None:
    order = await desk.start(says.cannot_be_reached)
    await desk.event(order, EventType.ORDER_UPDATED, "not sent")
    await cancel(desk, order.order_id)
    ended = await finished(desk, order)
    assert (ended.status, ended.broker_order_id) == (Status.CANCELLED, None)
    assert len(desk.broker.sent) == 1
    assert desk.broker.rows == {}


@pytest.mark.parametrize("cancel", [by_signal, natively])
async def test_before_any_worker_came(desks: Desks, cancel: Way) -> None:
    desk = await desks(staffed=False)
    order = await desk.start()
    await cancel(desk, order.order_id)
    async with at_work(desk):
        ended = await finished(desk, order)
    assert ended.status is Status.CANCELLED
    assert desk.broker.sent == []


@every_way
async def test_in_flight(desk: Desk, cancel: Way) -> None:
    held = says.Held(says.takes)
    order = await desk.start(held)
    await until(held.began.is_set)
    cancelling = asyncio.ensure_future(cancel(desk, order.order_id))
    await heard(desk, order.order_id)
    held.go()
    await cancelling
    ended = await finished(desk, order)
    assert ended.status is Status.CANCELLED
    assert desk.broker.cancels == [desk.broker.only]
    assert desk.broker.rows[desk.broker.only].state is BookState.CANCELLED


@every_way
async def test_against_a_fill_the_book_decides(desk: Desk, cancel: Way) -> None:
    order = await desk.resting()
    desk.broker.on_cancel.append(says.is_filled_first)
    await cancel(desk, order.order_id)
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    assert "Order cannot be cancelled as it is already complete" in messages(await order.events())


async def test_what_was_filled_before_stays(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.trade(desk.broker.only, 4)
    ended = await order.cancel()
    assert (ended.status, ended.filled_quantity, ended.average_price) == (Status.CANCELLED, 4, says.PRICE)
    assert await finished(desk, order) == ended


@pytest.mark.parametrize("reply", [says.is_being_processed, says.loses_the_reply, says.is_taken_only])
async def test_asked_again_until_the_book_shows_an_end(desk: Desk, ahead: Ahead, reply: says.Reply) -> None:
    order = await desk.resting()
    desk.broker.on_cancel.extend([reply] * 2)
    await desk.workflow(order).signal("cancel")
    await ahead(order)
    ended = await finished(desk, order)
    assert ended.status is Status.CANCELLED
    assert len(desk.broker.cancels) == 3


async def test_taken_cancel_is_seen_by_the_watch(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.on_cancel.append(says.is_taken_only)
    await desk.workflow(order).signal("cancel")
    await until(lambda: desk.broker.cancels)
    desk.broker.end(desk.broker.only, BookState.CANCELLED)
    await desk.look()
    assert (await finished(desk, order)).status is Status.CANCELLED


async def test_asked_for_twice_is_sent_once(desk: Desk) -> None:
    order = await desk.resting()
    await asyncio.gather(*(by_signal(desk, order.order_id) for _ in range(3)), natively(desk, order.order_id))
    await finished(desk, order)
    assert desk.broker.cancels == [desk.broker.only]
    assert messages(await order.events()).count("cancel requested") == 1


async def test_after_the_end_changes_nothing(desk: Desk) -> None:
    order = await desk.start(says.fills_at_once, order_type=OrderType.MARKET)
    filled = await finished(desk, order)
    assert await order.cancel() == filled
    assert desk.broker.cancels == []


async def test_unasked_for_cancel_by_the_broker(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.end(desk.broker.only, BookState.CANCELLED, "cancelled by RMS")
    await desk.look()
    ended = await finished(desk, order)
    assert (ended.status, ended.cancel_requested) == (Status.CANCELLED, False)
    assert ended.reasons == ("cancelled by RMS",)
