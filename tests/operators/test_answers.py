"""Answers that are none, with real workers: the order is settled by the book, sent once, and told in words."""

import asyncio
import socket
from decimal import Decimal

import pytest

from durable_orders.trading.orders.order import Status
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite, Handler, Request
from tests.operators.desk import USER


def dead_host() -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}/orders"


@pytest.mark.parametrize("order_type", ["MARKET", "LIMIT"])
async def test_redirect_to_a_dead_host_is_a_lost_answer_and_nothing_is_sent_again(
    kite_desks: KiteDesks, kite: CountingKite, order_type: str
) -> None:
    to = dead_host()

    def redirects(handler: Handler, request: Request) -> bool:
        if request.method != "POST":
            return False
        handler.server.kite.book(USER, request.form)
        return handler.say(None, 303, Location=to)

    kite.instead = redirects
    desk = await kite_desks(reconciliation_interval=3)
    order = await desk.place(order_type=order_type)
    standing = await desk.reached(order, Status.PLACED)
    (row,) = kite.rows()
    assert (len(kite.sent()), standing.broker_order_id) == (1, row["order_id"])
    told = "\n".join(event.message for event in await desk.events(order.order_id))
    assert "answer lost after sending: " in told
    assert "(303" in told


async def test_book_that_drips_is_alerted_and_what_happened_meanwhile_is_booked(
    kite_desks: KiteDesks, kite: CountingKite
) -> None:
    desk = await kite_desks(timeout=1)
    order = await desk.resting()
    (row,) = kite.rows()
    begun = asyncio.Event()

    def drips(handler: Handler, request: Request) -> bool:
        if request.path != "/orders":
            return False
        loop.call_soon_threadsafe(begun.set)
        return handler.drip()

    loop = asyncio.get_running_loop()
    kite.instead = drips
    await begun.wait()  # one that was under way may still show what is filled now
    kite.fill(USER, row["order_id"], 1500.0)
    await desk.alerted("the order book cannot be read: no answer within the time limit")
    assert (await order.now()).status is Status.PLACED
    kite.instead = None
    await desk.alerted("the order book can be read again")
    filled = await desk.reached(order, Status.FILLED)
    assert (filled.filled_quantity, filled.average_price) == (10, Decimal(1500))
