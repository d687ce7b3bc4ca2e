"""The day's order book in memory: every order at every status it has passed, so that it can be shown as it was."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from durable_orders.sandbox.store import OrderDetails
from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.order import BrokerOrderId, Fill

FIRST_TRADE = 10_000_001
"""Trade ids count from here, on each exchange and each day anew (Kite: unique only per exchange and day)."""


@dataclass(frozen=True, slots=True)
class DayTrade:
    sequence: int
    """Of the day's trades on all exchanges, in the order of their execution."""
    trade_id: str
    """Kite's kind of it; the exchange's own is longer."""
    fill: Fill


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as somebody sees it at some moment: its statuses and trades up to then."""

    details: OrderDetails
    snapshots: Sequence[BrokerOrder]
    """At least one, oldest first."""
    trades: Sequence[DayTrade]

    @property
    def row(self) -> BrokerOrder:
        return self.snapshots[-1]

    def until(self, number: int) -> "OrderView":
        """The same order when it had passed only so many statuses."""
        snapshots = self.snapshots[:number]
        filled, trades = 0, []
        for trade in self.trades:
            filled += trade.fill.quantity
            if filled > snapshots[-1].filled_quantity:
                break
            trades.append(trade)
        return OrderView(self.details, snapshots, trades)


@dataclass(slots=True)
class _Entry:
    details: OrderDetails
    snapshots: list[BrokerOrder] = field(default_factory=list)
    trades: list[DayTrade] = field(default_factory=list)
    hidden_until: datetime | None = None

    def view(self) -> OrderView:
        return OrderView(self.details, self.snapshots, self.trades)


class Book:
    """Lives in the event loop's thread only."""

    def __init__(self) -> None:
        self._entries: dict[BrokerOrderId, _Entry] = {}
        self._traded = 0
        self._numbers: dict[str, int] = {}

    def absorb(
        self, history: Sequence[BrokerOrder], fills: Iterable[Fill], details: OrderDetails
    ) -> tuple[int, list[DayTrade]]:
        """Take in an order's whole history and all its fills; give what was not known: from which status on, and
        which trades."""
        order = history[-1].broker_order_id
        entry = self._entries.setdefault(order, _Entry(details))
        entry.details = details
        known = len(entry.snapshots)
        entry.snapshots = list(history)
        seen = {trade.fill.trade_id for trade in entry.trades}
        fresh = [self._numbered(fill, entry) for fill in fills if fill.trade_id not in seen]
        entry.trades += fresh
        return known, fresh

    def hide(self, order: BrokerOrderId, until: datetime) -> None:
        self._entries[order].hidden_until = until

    def get(self, order: BrokerOrderId) -> OrderView | None:
        """The order itself, hidden or not."""
        entry = self._entries.get(order)
        return entry.view() if entry is not None else None

    def seen(self, order: BrokerOrderId, now: datetime, as_of: datetime | None = None) -> OrderView | None:
        """The order as a client sees it; `as_of` an earlier moment if the book is stale."""
        entry = self._entries.get(order)
        if entry is None or (entry.hidden_until is not None and now < entry.hidden_until):
            return None
        view = entry.view()
        if as_of is None:
            return view
        number = sum(1 for row in view.snapshots if row.updated_at <= as_of)
        return view.until(number) if number else None

    def all_seen(self, now: datetime, as_of: datetime | None = None) -> list[OrderView]:
        """In the order of placing."""
        views = (self.seen(order, now, as_of) for order in self._entries)
        return [view for view in views if view is not None]

    def all(self) -> list[OrderView]:
        """The orders themselves, hidden or not, in the order of placing."""
        return [entry.view() for entry in self._entries.values()]

    def working_rows(self) -> Iterator[BrokerOrder]:
        rows = (entry.snapshots[-1] for entry in self._entries.values())
        return (row for row in rows if row.state is BookState.WORKING)

    def working(self) -> list[OrderView]:
        return [view for view in self.all() if view.row.state is BookState.WORKING]

    def working_with_ttl(self) -> list[OrderView]:
        timed = (entry.view() for entry in self._entries.values() if entry.details.validity_ttl is not None)
        return [view for view in timed if view.row.state is BookState.WORKING]

    def legs(self) -> list[OrderView]:
        """Of iceberg orders, hidden or not."""
        return [entry.view() for entry in self._entries.values() if entry.details.leg is not None]

    def covers(self) -> list[OrderView]:
        """Both legs of cover orders, hidden or not."""
        return [entry.view() for entry in self._entries.values() if entry.details.cover is not None]

    def wipe(self) -> list[BrokerOrderId]:
        """Begin a new day: forget what has ended, and all trades. Gives the orders that are forgotten."""
        ended = [view.row.broker_order_id for view in self.all() if view.row.state is not BookState.WORKING]
        for order in ended:
            del self._entries[order]
        self._traded = 0
        self._numbers = {}
        return ended

    def _numbered(self, fill: Fill, entry: _Entry) -> DayTrade:
        exchange = entry.snapshots[-1].symbol.partition(":")[0]
        number = self._numbers.get(exchange, FIRST_TRADE)
        self._numbers[exchange] = number + 1
        self._traded += 1
        return DayTrade(self._traded, str(number), fill)
