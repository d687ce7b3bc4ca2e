"""What a ledger is told about an order, as values, so that another ledger can be told the same."""

import sqlite3
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import AwareDatetime, Field, TypeAdapter

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.audit import why
from durable_orders.trading.ledger.reading import FeedEvent, events_of
from durable_orders.trading.ledger.tables import events
from durable_orders.trading.orders.events import Entry
from durable_orders.trading.orders.order import Frozen, Order, TradeId


class Received(Frozen):
    """A new order, entered by the guard."""

    kind: Literal["received"] = "received"
    order: Order
    run_id: str
    fingerprint: str
    approved: bool
    """Whether something was reserved for it."""
    at: AwareDatetime
    """When the ledger had it, as this and the next one's histories tell it: to the workflow task."""


class Recorded(Frozen):
    """An order as it stood, and what had happened to it."""

    kind: Literal["recorded"] = "recorded"
    order: Order
    entries: tuple[Entry, ...]
    unsettled: bool
    at: AwareDatetime


class OrphanEvent(Frozen):
    """An event that only a ledger has, and the fills that became known with it."""

    kind: Literal["kept"] = "kept"
    event: FeedEvent
    fills: tuple[TradeId, ...] = ()


LedgerWrite = Annotated[Received | Recorded | OrphanEvent, Field(discriminator="kind")]
_TOLD: TypeAdapter[Received | Recorded | OrphanEvent] = TypeAdapter(LedgerWrite)


class SpooledWrites:
    """Any number of them, given back in the order of their places. Kept in a temporary file, not in memory."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")  # SQLite's own name for a file that is gone with the connection
        self._file.execute("CREATE TABLE told (place REAL NOT NULL, content TEXT NOT NULL)")

    def add(self, place: float, told: Received | Recorded | OrphanEvent) -> None:
        self._file.execute("INSERT INTO told VALUES (?, ?)", (place, told.model_dump_json()))

    def in_order(self) -> Iterator[Received | Recorded | OrphanEvent]:
        """By place; those of the same place in the order in which they were added."""
        for (content,) in self._file.execute("SELECT content FROM told ORDER BY place, rowid"):
            yield _TOLD.validate_json(content)

    def close(self) -> None:
        self._file.close()


class Feed:
    """The old ledger's order of recording. Without an old ledger, a place is a time."""

    def __init__(self, old: sa.Connection | None) -> None:
        self._old = old
        self._ids = array("q")
        self._moments = array("d")

    def of(self, order_id: str) -> list[FeedEvent]:
        """The order's events in the old ledger, by their sequence. Raises `LedgerUnusable`."""
        with sensible(order_id):
            return events_of(self._old, order_id) if self._old is not None else []

    def place_at(self, moment: float) -> float:
        """Just behind the last event that the old ledger had by then (seconds since 1970)."""
        if self._old is None:
            return moment
        if not self._ids:
            self._load(self._old)
        behind = bisect_right(self._moments, moment)
        return (self._ids[behind - 1] if behind else 0) + 0.5

    def _load(self, old: sa.Connection) -> None:
        latest = 0.0
        for feed_id, at in old.execute(sa.select(events.c.feed_id, events.c.at).order_by(events.c.feed_id)):
            latest = max(latest, at.timestamp())  # a step that was done again is recorded with its earlier time
            self._ids.append(feed_id)
            self._moments.append(latest)


@contextmanager
def sensible(order_id: str) -> Iterator[None]:
    """Turns the `ValueError` of a row that cannot have been recorded into `LedgerUnusable`."""
    try:
        yield
    except ValueError as error:
        words = f"what the old ledger has of order {order_id}, and no history tells, makes no sense: {why(error)}"
        raise LedgerUnusable(words) from None
