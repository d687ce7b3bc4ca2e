"""One client order id is one order: at once, after the end, and after the server has forgotten it."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from durable_orders.order_handle import OrderHandle
from durable_orders.trading.errors import DuplicateOrder
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Status
from tests.conftest import until
from tests.workflows import scripted_broker as says
from tests.workflows.desk import Desk, finished, forgotten, messages

Ask = Callable[[Desk, OrderIntent], Awaitable[Order]]


async def place_and_follow(desk: Desk, intent: OrderIntent) -> Order:
    return await (await desk.orders.place(intent)).placed()


async def place_and_wait(desk: Desk, intent: OrderIntent) -> Order:
    return await desk.orders.place_and_wait(intent)


both_ways = pytest.mark.parametrize("ask", [place_and_follow, place_and_wait])


def other(intent: OrderIntent) -> OrderIntent:
    return intent.model_copy(update={"quantity": intent.quantity + 1})


async def forget(desk: Desk, order: OrderHandle) -> None:
    await forgotten(desk, order.order_id)


async def test_started_many_times_at_once(desk: Desk) -> None:
    intent = desk.intent(client_order_id="mine")
    answers = await asyncio.gather(*(ask(desk, intent) for ask in [place_and_follow, place_and_wait] * 3))
    assert {order.broker_order_id for order in answers} == {desk.broker.only}
    assert len(desk.broker.sent) == 1


@both_ways
async def test_started_again_after_the_end(desk: Desk, ask: Ask) -> None:
    intent = desk.intent(OrderType.MARKET, client_order_id="mine")
    desk.broker.on_place.append(says.fills_at_once)
    ended = await (await desk.orders.place(intent)).result()
    again = await ask(desk, intent)
    assert (again.status, again.fills, again.created_at) == (Status.FILLED, ended.fills, ended.created_at)
    assert len(desk.broker.sent) == 1


async def test_started_again_leaves_no_error_behind(desk: Desk) -> None:
    """Asyncio prints a traceback for an error that nobody has taken, which a trader would read."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    intent = desk.intent(OrderType.MARKET, client_order_id="mine")
    desk.broker.on_place.append(says.fills_at_once)
    await (await desk.orders.place(intent)).result()
    await desk.orders.place_and_wait(intent)
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert complaints == []


@both_ways
@pytest.mark.parametrize("ended", [False, True])
async def test_other_content_is_an_error(desk: Desk, ask: Ask, ended: bool) -> None:
    intent = desk.intent(client_order_id="mine")
    order = await desk.orders.place(intent)
    before = await (order.cancel() if ended else order.placed())
    with pytest.raises(DuplicateOrder, match="mine is the id of another order"):
        await ask(desk, other(intent))
    assert await order.now() == before
    assert len(desk.broker.sent) == 1


async def test_forgotten_by_the_server_and_known_to_the_ledger(desk: Desk) -> None:
    intent = desk.intent(OrderType.MARKET, client_order_id="mine")
    desk.broker.on_place.append(says.fills_at_once)
    order = await desk.orders.place(intent)
    ended, events = await order.result(), await order.events()
    await forget(desk, order)
    again = await desk.orders.place_and_wait(intent)
    assert (again.status, again.fills) == (Status.FILLED, ended.fills)
    assert await order.result() == await order.now() == ended
    assert await order.events() == events
    assert len(desk.broker.sent) == 1


@both_ways
async def test_forgotten_by_the_server_and_other_content(desk: Desk, ask: Ask) -> None:
    intent = desk.intent(OrderType.MARKET, client_order_id="mine")
    desk.broker.on_place.append(says.fills_at_once)
    order = await desk.orders.place(intent)
    ended = await order.result()
    await forget(desk, order)
    for _ in range(2):
        with pytest.raises(DuplicateOrder, match=r"mine is the id of another order"):
            await ask(desk, other(intent))
    assert (await ask(desk, intent)).fills == ended.fills, "the one that failed does not keep the id"
    assert await order.now() == ended
    assert len(desk.broker.sent) == 1


async def test_terminated_by_hand_goes_on_when_it_is_started_again(desk: Desk) -> None:
    intent = desk.intent(client_order_id="mine")
    order = await desk.orders.place(intent)
    await order.placed()
    await desk.workflow(order).terminate()
    again = await desk.orders.place(intent)
    assert (await again.placed()).broker_order_id == desk.broker.only
    desk.broker.trade(desk.broker.only, 10)
    assert await desk.look() == 1
    ended = await finished(desk, again)
    assert (ended.status, ended.filled_quantity, len(desk.broker.sent)) == (Status.FILLED, 10, 1)


async def test_terminated_while_it_was_being_sent_is_looked_up_first(desk: Desk) -> None:
    held = says.Held(says.fills_at_once)
    desk.broker.on_place.append(held)
    intent = desk.intent(OrderType.MARKET, client_order_id="mine")
    order = await desk.orders.place(intent)
    await until(held.began.is_set)
    await desk.workflow(order).terminate()
    held.go()
    await until(lambda: desk.broker.fills)
    again = await desk.orders.place(intent)
    ended = await finished(desk, again)
    assert (ended.status, ended.filled_quantity, len(desk.broker.sent)) == (Status.FILLED, 10, 1)
    assert "its earlier workflow is gone" in messages(await order.events())
