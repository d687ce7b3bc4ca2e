"""Orders whose answer was lost, and what the broker's book shows of them. No I/O and no clock.

A row with the order's tag is the order. A caller's broker object may drop tags, though, and then a row without one
could be the order as well. When it counts as never placed is `trading/orders/absence.py`'s to say.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from durable_orders.callers.broker import Line
from durable_orders.callers.figures import moment_of
from durable_orders.trading.orders.absence import Absence, could_be


@dataclass(frozen=True, slots=True)
class Lost:
    """An order that was sent, or may have been, and what has been looked up since."""

    tag: str
    symbol: str
    """As the caller wrote it."""
    side: str
    quantity: int
    sent_at: datetime
    strategy: str = ""
    order_type: str = "MARKET"
    price: float | None = None
    words: str = ""
    """What the call ended with."""
    absent_since: datetime | None = None
    """The first of the readings that showed nothing."""
    reads: int = 0

    def entry(self) -> dict[str, Any]:
        """As it stands among the `open_orders` of a state."""
        content = {key: _iso(value) for key, value in asdict(self).items()}
        return {"order_id": self.tag, "status": "UNKNOWN", **content}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> "Lost":
        """The other way. Raises `ValueError` for an entry that is not whole."""
        content: dict[str, Any] = {key: entry[key] for key in cls.__slots__ if key in entry}
        content |= {key: moment_of(entry.get(key)) for key in ("sent_at", "absent_since")}
        if content["sent_at"] is None:
            raise ValueError(f"open_orders: the unknown order {entry.get('tag')!r:.40} does not say when it was sent")
        try:
            return cls(**content)
        except TypeError as error:
            raise ValueError(f"open_orders: an unknown order is not whole: {error}") from None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one whole book says: the order's own row, or that it is absent, or neither."""

    lost: Lost
    """With what this reading adds."""
    row: Line | None = None
    absent: bool = False
    others: tuple[str, ...] = ()
    """Broker order ids that could be it."""
    twins: tuple[str, ...] = ()
    """Broker order ids with the same tag beside the row."""


def found_in_book(
    lost: Lost, book: Sequence[Line], known: Collection[str], now: datetime, settle_window: timedelta
) -> Finding:
    """What a whole book proves. `known` are the broker order ids that are certainly other orders."""
    own = [line for line in book if lost.tag in line.tags]
    if own:
        return Finding(lost, own[0], twins=tuple(line.order_id for line in own[1:]))
    others = tuple(line.order_id for line in book if line.order_id not in known and _could_be(lost, line))
    if others:
        return Finding(unread(lost), others=others)
    absence = Absence(settle_window, tags_may_be_dropped=True, absent_since=lost.absent_since, reads=lost.reads)
    is_absent = absence.is_absent(now)
    return Finding(replace(lost, absent_since=absence.since, reads=absence.reads), absent=is_absent)


def unread(lost: Lost) -> Lost:
    """A book that could not be read breaks the row of those that showed nothing."""
    return replace(lost, absent_since=None, reads=0)


def _could_be(lost: Lost, line: Line) -> bool:
    asked = (lost.symbol.rpartition(":")[2], lost.side, lost.quantity)
    return could_be(asked, (line.symbol, line.side, line.quantity), lost.sent_at, line.placed_at)


def _iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
