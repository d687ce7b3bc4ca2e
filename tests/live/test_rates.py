"""Three workers and a burst of orders: the broker's limits hold over all of them."""

import asyncio
import os
from contextlib import ExitStack
from decimal import Decimal

from durable_orders.trading.orders.order import Order, OrderType, Status
from tests.crashes.processes import PROGRAM, running
from tests.live.conftest import Desks
from tests.live.desk import Desk

ORDERS = int(os.environ.get("RATE_ORDERS", "100"))
"""Five hundred are a matter of two minutes."""
WORKERS = 3


async def all_placed(desk: Desk) -> list[Order]:
    """All orders, once none of them is on its way any more. One question for all of them, and as much time as the
    limits make it take."""
    while True:
        orders = await desk.orders.list()
        if len(orders) == ORDERS and not any(order.status in (Status.PENDING, Status.UNKNOWN) for order in orders):
            return orders
        await asyncio.sleep(0.5)


async def test_limits_hold_over_three_workers(desks: Desks) -> None:
    """Every order gets there in time, and cancels, which go first, keep within the same limits."""
    desk = await desks(staffed=False)
    with ExitStack() as stack:
        for _ in range(WORKERS):
            words = ("worker", "--live", "--no-limits", "--home", str(desk.home.path))
            stack.enter_context(running(desk.home, PROGRAM, *words))
        prices = [Decimal(1400 + number % 50) for number in range(ORDERS)]
        placed = await asyncio.gather(*(desk.place(OrderType.LIMIT, price=price) for price in prices))
        standing = await all_placed(desk)
        assert [order.reasons for order in standing if order.status is not Status.PLACED] == []
        cancelled = await asyncio.gather(*(order.cancel(timeout=120) for order in placed[: ORDERS // 4]))
        assert {order.status for order in cancelled} == {Status.CANCELLED}
        tally = await desk.venue.tally()
    assert tally["order_requests"]["most_in_a_second"] <= 10
    assert tally["order_requests"]["most_in_a_minute"] <= 400
    assert [route for route, answers in tally["requests"].items() if "429" in answers] == []
    assert len(tally["accepted"]) == ORDERS
    assert {len(ids) for ids in tally["accepted"].values()} == {1}
