"""What a ledger is told about an order, as values, so that another ledger can be told the same."""

import sqlite3
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from trading.events import Entry
from trading.ledger.reading import FeedEvent
from trading.order import Frozen, Order, TradeId


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


class Kept(Frozen):
    """An event that only a ledger has, and the fills that became known with it."""

    kind: Literal["kept"] = "kept"
    event: FeedEvent
    fills: tuple[TradeId, ...] = ()


Told = Annotated[Received | Recorded | Kept, Field(discriminator="kind")]
_TOLD: TypeAdapter[Received | Recorded | Kept] = TypeAdapter(Told)


class Pile:
    """Any number of them, given back in the order of their places. Kept in a temporary file, not in memory."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")  # SQLite's own name for a file that is gone with the connection
        self._file.execute("CREATE TABLE told (place REAL NOT NULL, content TEXT NOT NULL)")

    def add(self, place: float, told: Received | Recorded | Kept) -> None:
        self._file.execute("INSERT INTO told VALUES (?, ?)", (place, told.model_dump_json()))

    def in_order(self) -> Iterator[Received | Recorded | Kept]:
        """By place; those of the same place in the order in which they were added."""
        for (content,) in self._file.execute("SELECT content FROM told ORDER BY place, rowid"):
            yield _TOLD.validate_json(content)

    def close(self) -> None:
        self._file.close()
