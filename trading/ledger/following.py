"""The ledger's feed as events for a bus: in any process, in order, each once, from any point.

No event is missed because it became visible late: writers of an account take turns (`Database.write`), and a row gets
its feed id within its writer's turn, so whoever sees a row of an account has seen all its rows before it. On PostgreSQL
accounts write beside each other: there the feed of all of them ends before the first number that may still turn up
(`Database.read_feed`).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from durable_orders.trading.bus.bus import Event, EventBus
from durable_orders.trading.bus.event_data import OrderAtEvent, order_data, position_data
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import Entered, entered_of
from durable_orders.trading.ledger.reading import FeedEvent, events_after
from durable_orders.trading.ledger.tables import events, fills, orders
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Side
from durable_orders.trading.orders.position_entry import EntryKind

EVERY = 0.1
"""Seconds between two looks at a feed that has nothing new."""
AT_ONCE = 500
"""Events in one look, so many that their orders still fit into one question."""


class Traded(NamedTuple):
    """One trade, as the events tell of it."""

    quantity: int
    price: Decimal


class Background(NamedTuple):
    """What the rows of the feed do not say: whose orders they are about, and what was traded."""

    orders: dict[str, Any]
    trades: dict[str, list[Traded]]
    before: dict[str, int]
    """How many trades of an order were known before its first event here."""
    entries: dict[tuple[str, int], list[Entered]]
    """What moved positions without an order, by account and the number of its event."""


def newest_id(connection: sa.Connection, account: str) -> int:
    """The feed id of the account's last event; 0 without one. What of the account is asked for `after` it is new."""
    asked = sa.select(sa.func.coalesce(sa.func.max(events.c.feed_id), 0)).where(events.c.account == account)
    return int(connection.execute(asked).scalar_one())


def told_after(
    connection: sa.Connection, feed_id: int, *, account: str | None = None, limit: int = AT_ONCE
) -> list[Event]:
    """The next events of the feed as the bus tells them: behind an event with new trades, one `position_updated` for
    each, under the same feed id; behind an entry that moved a position, one for each strategy. `limit` counts the
    feed's own. Without an `account`, as `events_after`.
    """
    found = events_after(connection, feed_id, account=account, limit=limit)
    if not found:
        return []
    background = _background(connection, found)
    return [event for row in found for event in _told(row, background)]


async def follow(
    database: Database, after: int = 0, *, account: str | None = None, every: float = EVERY
) -> AsyncGenerator[list[Event], None]:
    """Batches of the events behind the feed id `after`, without end; an empty feed is looked at `every` so many
    seconds. Whoever goes on from the last `feed_id` that it dealt with misses none and gets none twice.
    """

    def look() -> list[Event]:
        with database.read_feed() if account is None else database.read() as connection:
            return told_after(connection, after, account=account)

    while True:
        batch = await asyncio.to_thread(look)
        if batch:
            yield batch
            after = batch[-1].feed_id or after
        else:
            await asyncio.sleep(every)


async def feed(
    bus: EventBus, database: Database, after: int = 0, *, account: str | None = None, every: float = EVERY
) -> None:
    """Publish on the bus what is recorded behind `after`, without end; cancel it to stop."""
    async for batch in follow(database, after, account=account, every=every):
        bus.post(*batch)


def _background(connection: sa.Connection, found: Sequence[FeedEvent]) -> Background:
    ids = sorted({row.order_id for row in found})
    asked = sa.select(orders.c.order_id, orders.c.symbol, orders.c.side, orders.c.quantity, orders.c.strategy)
    rows = connection.execute(asked.where(orders.c.order_id.in_(ids))).mappings()
    trades: dict[str, list[Traded]] = defaultdict(list)
    known = sa.select(fills.c.order_id, fills.c.quantity, fills.c.price).where(fills.c.order_id.in_(ids))
    for order_id, quantity, price in connection.execute(known.order_by(fills.c.number, fills.c.trade_id)):
        trades[order_id].append(Traded(quantity, price))
    known_before = _known_before(connection, ids, found[0].feed_id)
    return Background({row["order_id"]: row for row in rows}, trades, known_before, _entries(connection, found))


def _entries(connection: sa.Connection, found: Sequence[FeedEvent]) -> dict[tuple[str, int], list[Entered]]:
    settled = [(row.account, row.sequence) for row in found if row.type is EventType.POSITION_SETTLED]
    return {key: entered_of(connection, *key) for key in settled}


def _known_before(connection: sa.Connection, ids: Sequence[str], feed_id: int) -> dict[str, int]:
    """How many trades of these orders the feed had told of before that event."""
    earlier = sa.select(events.c.order_id, sa.func.max(events.c.fills)).where(
        events.c.order_id.in_(ids), events.c.feed_id < feed_id
    )
    return {order_id: count or 0 for order_id, count in connection.execute(earlier.group_by(events.c.order_id))}


def _told(row: FeedEvent, background: Background) -> Iterator[Event]:
    order, trades = background.orders.get(row.order_id), background.trades.get(row.order_id, [])
    if order is None:
        data = {"account": row.account, "order_id": row.order_id, "message": row.message}
        yield Event(row.type, row.at, data, row.feed_id)
        yield from _entered(row, background.entries.get((row.account, row.sequence), ()))
        return
    before, is_counted = background.before.get(row.order_id, 0), row.fills is not None
    known = trades[: row.fills] if is_counted else trades
    yield Event(row.type, row.at, order_data(_of_row(row, order, known)), row.feed_id)
    if is_counted and len(known) > before:
        background.before[row.order_id] = len(known)
        for trade in known[before:]:
            yield Event(EventType.POSITION_UPDATED, row.at, _moved(row, order, trade), row.feed_id)


def _entered(row: FeedEvent, legs: Sequence[Entered]) -> Iterator[Event]:
    """What an entry added to each strategy's position, at what it cost: nothing for a split. A conversion adds nothing,
    as these events name no product."""
    for leg in legs:
        for strategy, share in leg.shares.items() if leg.kind is not EntryKind.CONVERSION else ():
            price = leg.price or Decimal(0)
            data = position_data(row.account, row.order_id, leg.symbol, strategy, share.moved, price)
            yield Event(EventType.POSITION_UPDATED, row.at, data, row.feed_id)


def _of_row(row: FeedEvent, order: Any, known: Sequence[Traded]) -> OrderAtEvent:
    return OrderAtEvent(
        type=row.type,
        order_id=row.order_id,
        account=row.account,
        symbol=order["symbol"],
        side=order["side"],
        strategy=order["strategy"],
        quantity=order["quantity"],
        filled=sum(trade.quantity for trade in known),
        value=sum((trade.price * trade.quantity for trade in known), Decimal(0)),
        status=str(row.status),
        message=row.message,
    )


def _moved(row: FeedEvent, order: Any, trade: Traded) -> dict[str, Any]:
    quantity = Side(order["side"]).sign * trade.quantity
    return position_data(row.account, row.order_id, order["symbol"], order["strategy"], quantity, trade.price)
