"""What the long measurement reads off the ledger: the market's clock, the watch's looks, and recorded fills."""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from time import perf_counter
from typing import TypeVar

import sqlalchemy as sa

from bench.market import START
from durable_orders.orders import Orders
from durable_orders.trading.ledger.accounts import last_book_read
from durable_orders.trading.ledger.last_ticks import last_tick
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.ledger.tables import events
from durable_orders.trading.ledger.tables import orders as orders_table
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import OrderId, Status

T = TypeVar("T")

MAX_WAIT = 600.0
"""Seconds until something that should happen counts as not happening."""
GRAIN = 0.01
"""Seconds between two questions to the ledger: what is measured with it is no finer."""


async def awaited(orders: Orders, ask: Callable[[sa.Connection], T | None], grain: float = 0.1) -> T:
    """The answer to a question to the ledger, once there is one. Raises `TimeoutError`."""
    async with asyncio.timeout(MAX_WAIT):
        while True:
            if (answer := await orders.read(ask)) is not None:
                return answer
            await asyncio.sleep(grain)


async def market_second(orders: Orders, wanted: Collection[int] | None = None, period: int = 1) -> int:
    """The market's clock in seconds since its start, as soon as it runs and its place in the period is wanted."""

    def ask(connection: sa.Connection) -> int | None:
        tick = last_tick(connection, orders.settings.account, SHIPPED_SYMBOL)
        if tick is None:
            return None
        second = int((tick.at - START).total_seconds())
        return second if wanted is None or second % period in wanted else None

    return await awaited(orders, ask)


async def at_the_broker(orders: Orders, count: int) -> None:
    """Until so many orders of the account rest at the broker."""
    asked = sa.select(sa.func.count()).where(
        orders_table.c.account == orders.settings.account, orders_table.c.status == Status.PLACED.value
    )
    await awaited(orders, lambda connection: connection.execute(asked).scalar_one() >= count or None)


async def book_read_after(orders: Orders, moment: datetime) -> datetime:
    """When the watch read the whole book for the first time after a moment."""

    def ask(connection: sa.Connection) -> datetime | None:
        read_at = last_book_read(connection, orders.settings.account)
        return read_at if read_at is not None and read_at > moment else None

    return await awaited(orders, ask, GRAIN)


async def last_event(orders: Orders) -> int:
    """The newest event's number in the feed."""
    asked = sa.select(sa.func.coalesce(sa.func.max(events.c.feed_id), 0))
    return await orders.read(lambda connection: int(connection.execute(asked).scalar_one()))


async def fills_recorded(orders: Orders, ids: Collection[OrderId], after: int) -> list[float]:
    """Seconds from the exchange's trade until the ledger shows the order as filled, for each of these orders.

    `after` is the event of the feed from which on to look.
    """
    seen: dict[str, datetime] = {}
    async with asyncio.timeout(MAX_WAIT):
        while len(seen) < len(ids):
            fresh = await orders.events(after)
            now = datetime.now(UTC)
            filled = [event.order_id for event in fresh if event.type is EventType.ORDER_FILLED]
            seen |= {order_id: now for order_id in filled if order_id in ids}
            after = fresh[-1].feed_id if fresh else after
            await asyncio.sleep(GRAIN)
    return [(moment - await _traded_at(orders, OrderId(own_id))).total_seconds() for own_id, moment in seen.items()]


async def _traded_at(orders: Orders, own_id: OrderId) -> datetime:
    order = await orders.read(lambda connection: find_order(connection, own_id))
    assert order is not None
    return order.fills[-1].at


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        return round(perf_counter() - self._began, 2)
