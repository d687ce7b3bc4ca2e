"""Makes a ledger anew from what the histories tell, and keeps what only the old ledger knows.

The order in which a ledger was written decides how profit is split among fills, and is in no history. Where the old
ledger has an event, its feed tells the order; where it has not, or where there is no old ledger, the time does.
"""

from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import book_entry, entry_of
from durable_orders.trading.ledger.ledger_writes import Feed, OrphanEvent, Received, Recorded, SpooledWrites, sensible
from durable_orders.trading.ledger.reading import FeedEvent, find_order
from durable_orders.trading.ledger.recording import receive, record_within
from durable_orders.trading.ledger.reservations import own_price, reserve
from durable_orders.trading.ledger.rows import CHUNK, OF_FILL, chunks, upsert
from durable_orders.trading.ledger.tables import (
    accounts,
    api_tokens,
    breaker_trips,
    broker_positions,
    certificates,
    day_peaks,
    events,
    exchange_history,
    exchange_markets,
    exchange_orders,
    exchange_trades,
    fills,
    funds,
    gtt_changes,
    gtts,
    lots,
    news_cursors,
    order_requests,
    orders,
    page_sessions,
    page_users,
    plans,
    position_differences,
    position_entries,
    positions,
    refusals,
    reservations,
    risk_flags,
    strategy_positions,
    strategy_states,
    ticks,
)
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import (
    RESERVED_NAMES,
    BrokerOrderId,
    Fill,
    Frozen,
    Order,
    Status,
    TradeId,
    is_adopted,
)

DERIVED = (orders, events, fills, position_entries, positions, strategy_positions, lots)
"""What recording writes, and so can be written again."""
KEPT = (
    accounts,
    breaker_trips,
    broker_positions,
    certificates,
    day_peaks,
    gtts,
    gtt_changes,
    plans,
    position_differences,
    risk_flags,
    funds,
    reservations,
    ticks,
    exchange_markets,
    exchange_orders,
    exchange_history,
    exchange_trades,
    order_requests,
    refusals,
    strategy_states,
    api_tokens,
    page_users,
    page_sessions,
    news_cursors,
)
"""What no history of an order tells. `reservations` are made again where there is no old ledger to keep them from."""


class Sources(Frozen):
    """Where the rebuilt ledger has its content from."""

    replayed_orders: int = 0
    """Orders that were told by their histories."""
    adopted_orders: int = 0
    """Only in the old ledger: found at the broker, without a workflow."""
    other_orders: int = 0
    """Only in the old ledger: their histories are gone from the server, or belong to another account."""
    late_events: int = 0
    """Only in the old ledger: what the account's watch added to orders that have a history, such as late fills."""
    late_fills: int = 0
    account_events: int = 0
    """Only in the old ledger: alerts of the whole account."""


class Rebuilding:
    """One rebuilding. `old` is a read transaction of the old ledger, if there is one that can be read."""

    def __init__(self, old: sa.Connection | None) -> None:
        self._old = old
        self._feed = Feed(old)
        self._pile = SpooledWrites()
        self._taken: set[str] = set()
        self._tags: set[str] = set()
        self._unreceived: list[str] = []
        self._whole: list[str] = []
        self._forgotten: list[str] = []
        """Rows of the book under which the old ledger had adopted orders whose histories tell of them."""
        self._standing: dict[str, Order] = {}
        self._counts = dict.fromkeys(Sources.model_fields, 0)

    def take(self, order_id: str, told: Sequence[Received | Recorded]) -> None:
        """All that the histories of one order tell, in that order. One that tells nothing is left to the old ledger."""
        if not told:
            return
        self._taken.add(order_id)
        self._tags |= {each.order.tag for each in told}
        self._counts["replayed_orders"] += 1
        left = {event.sequence: event for event in self._feed.of(order_id)}
        trades: set[TradeId] = set()
        for each in told:
            sequences = [entry.sequence for entry in each.entries] if isinstance(each, Recorded) else [0]
            known = [left.pop(sequence).feed_id for sequence in sequences if sequence in left]
            self._pile.add(min(known) if known else self._feed.place_at(each.at.timestamp()), each)
            trades |= {fill.trade_id for fill in each.order.fills}
        if not any(isinstance(each, Received) for each in told):
            self._unreceived.append(order_id)
        late = self._keep(order_id, list(left.values()), trades)
        self._counts["late_events"] += len(left)
        self._counts["late_fills"] += late

    def write(self, new: Database) -> Sources:
        """Write it all, in one transaction, into a ledger that has nothing in it yet."""
        if self._old is not None:
            self._take_the_rest(self._old)
        with new.write() as connection:
            for each in self._pile.in_order():
                self._tell(connection, each)
            if self._old is not None:
                self._restore(self._old, connection)
        self._pile.close()
        return Sources(**self._counts)

    def _take_the_rest(self, old: sa.Connection) -> None:
        """Orders without a history, and events of no order."""
        for order_id, tag in old.execute(sa.select(orders.c.order_id, orders.c.tag)).all():
            if order_id not in self._taken and is_adopted(order_id) and tag in self._tags:
                self._forgotten.append(order_id)
                self._keep(order_id, self._feed.of(order_id), {fill.trade_id for fill in self._old_fills(order_id)})
            elif order_id not in self._taken:
                self._whole.append(order_id)
                self._keep(order_id, self._feed.of(order_id), set())
                adopted = order_id.rsplit(":", 1)[-1].startswith(RESERVED_NAMES)
                self._counts["adopted_orders" if adopted else "other_orders"] += 1
        of_an_order = sa.exists().where(orders.c.order_id == events.c.order_id)
        for own_id in old.execute(sa.select(events.c.order_id).where(~of_an_order).distinct()).scalars().all():
            if own_id not in self._taken:
                found = self._feed.of(own_id)
                self._keep(own_id, found, set())
                self._counts["account_events"] += len(found)

    def _keep(self, order_id: str, left: Sequence[FeedEvent], told: set[TradeId]) -> int:
        """Put these events of the old ledger on the pile, and the fills that nobody else told. Returns how many."""
        fresh = [fill for fill in (self._old_fills(order_id) if left else ()) if fill.trade_id not in told]
        for event, trades in zip(left, _assigned(fresh, left), strict=True):
            self._pile.add(event.feed_id, OrphanEvent(event=event, fills=tuple(trades)))
        return len(fresh)

    def _old_fills(self, order_id: str) -> list[Fill]:
        """Raises `LedgerUnusable` for what cannot have been a fill."""
        if self._old is None:
            return []
        asked = sa.select(*(fills.c[name] for name in OF_FILL)).where(fills.c.order_id == order_id)
        rows = self._old.execute(asked.order_by(fills.c.number, fills.c.trade_id)).mappings()
        with sensible(order_id):
            return [Fill(**row) for row in rows]

    def _tell(self, connection: sa.Connection, told: Received | Recorded | OrphanEvent) -> None:
        if isinstance(told, Received):
            receive(connection, told.order, told.run_id, told.fingerprint)
            if told.approved:
                reserve(connection, told.order, own_price(told.order) or Decimal(0), told.at)
        elif isinstance(told, Recorded):
            record_within(connection, told.order, told.entries, unsettled=told.unsettled)
        else:
            self._tell_kept(connection, told)

    def _tell_kept(self, connection: sa.Connection, kept: OrphanEvent) -> None:
        """An event that changes an order made of histories, or comes with fills, is recorded. Of an order that only the
        old ledger has, the row is taken over in the end.
        """
        event = kept.event
        if not (event.status and (kept.fills or event.order_id in self._taken)):
            connection.execute(sa.insert(events), event.model_dump(exclude={"feed_id"}))
            if event.type is EventType.POSITION_SETTLED:
                self._enter_again(connection, event)
            return
        after = self._with_late(connection, kept)
        entry = Entry(**event.model_dump(include=set(Entry.model_fields)))
        record_within(connection, after, [entry])

    def _enter_again(self, connection: sa.Connection, event: FeedEvent) -> None:
        """What moved a position without an order, where the feed has it: it counts what was held then."""
        entry = entry_of(self._old, event.account, event.sequence) if self._old is not None else None
        if entry is not None:
            book_entry(connection, event.account, entry, event.sequence, event.at)

    def _with_late(self, connection: sa.Connection, kept: OrphanEvent) -> Order:
        """The order after a kept event. Its terms do not change any more, and an end is never left."""
        own_id, event = kept.event.order_id, kept.event
        is_taken = own_id in self._taken
        before = find_order(connection, own_id) if is_taken else self._standing.get(own_id)
        if before is None:
            before = self._first_of(own_id)
        trades = self._old_fills(own_id)
        after = before.model_copy(
            update={
                "fills": before.fills + tuple(fill for fill in trades if fill.trade_id in kept.fills),
                "broker_order_id": before.broker_order_id or self._old_broker_order_id(own_id),
                "status": before.status if before.status.terminal else Status(event.status),
                "updated_at": event.at,
            }
        )
        if not is_taken:
            self._standing[own_id] = after
            if len(after.fills) == len(trades):
                del self._standing[own_id]
        return after

    def _first_of(self, order_id: str) -> Order:
        """The old ledger's order, as long as nothing had been filled of it."""
        with sensible(order_id):
            order = find_order(self._old, order_id) if self._old is not None else None
        if order is None:
            raise LedgerUnusable(f"order {order_id} has events in the old ledger, and no row")
        return order.model_copy(update={"fills": (), "status": Status.PENDING})

    def _old_broker_order_id(self, order_id: str) -> BrokerOrderId | None:
        if self._old is None:
            return None
        asked = sa.select(orders.c.broker_order_id).where(orders.c.order_id == order_id)
        return self._old.execute(asked).scalar_one_or_none()

    def _restore(self, old: sa.Connection, new: sa.Connection) -> None:
        """What recording does not write."""
        for chunk in chunks(self._whole):
            asked = sa.select(orders).where(orders.c.order_id.in_(chunk))
            upsert(new, orders, [dict(row) for row in old.execute(asked).mappings()])
        for order_id in self._unreceived:
            asked = sa.select(orders.c.run_id, orders.c.fingerprint).where(orders.c.order_id == order_id)
            row = old.execute(asked).mappings().one_or_none()
            new.execute(sa.update(orders).where(orders.c.order_id == order_id).values(dict(row or {"run_id": None})))
        for table in KEPT:
            new.execute(sa.delete(table))
            for rows in old.execute(sa.select(table)).mappings().partitions(CHUNK):
                new.execute(sa.insert(table), [dict(row) for row in rows])
        for chunk in chunks(self._forgotten):
            new.execute(sa.delete(reservations).where(reservations.c.order_id.in_(chunk)))


def _assigned(trades: Sequence[Fill], left: Sequence[FeedEvent]) -> list[list[TradeId]]:
    """Which trades became known with which event: with the first one after it was made, else with the last one."""
    with_event: list[list[TradeId]] = [[] for _ in left]
    number = 0
    for fill in trades if left else ():
        while number < len(left) - 1 and left[number].at < fill.at:
            number += 1
        with_event[number].append(fill.trade_id)
    return with_event
