"""The broker's book as it was when this worker began: before it was read whole once, nothing is sent.

What is remembered may be older than the book: a ledger that was restored, a server's file that lost its last moments.
An order that any reading of this process has shown by its tag is at the broker, whatever is remembered of it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.order import Fill, Order
from durable_orders.trading.orders.tags import of_order
from durable_orders.trading.reconciliation.whole_book import Reading

AGAIN = 1.0
"""Seconds before a book that could not be read is tried again, however many orders wait for it."""
FRESH = 60.0
"""Seconds for which it tells orders where they stand."""


class FirstReading:
    """One account's, in one process. Thread-safe, and blocks."""

    def __init__(
        self,
        read_whole: Callable[[], Reading],
        trades: Callable[[], Sequence[Fill]],
        begin: Callable[[Sequence[BrokerOrder]], None] = lambda _rows: None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read_whole` and `trades` raise `BookUnreadable`. `begin` is told of the rows before anything is sent."""
        self._begin = begin
        self._read_whole = read_whole
        self._trades = trades
        self._timer = timer
        self._making = threading.Lock()
        self._at: float | None = None
        self._failure: tuple[float, BookUnreadable] | None = None
        self._shown: dict[str, BrokerOrder] = {}
        self._under_any_mark: dict[str, BrokerOrder] = {}
        self._untold: dict[str, BrokerOrder] = {}
        self._fills: Sequence[Fill] | None = None

    def note(self, rows: Iterable[BrokerOrder]) -> None:
        """A reading has shown these. So the book can be read again, at once."""
        self._failure = None
        shown: dict[str, BrokerOrder] = {row.tag: row for row in rows if row.tag is not None}
        self._shown |= shown
        self._under_any_mark |= {of_order(tag): row for tag, row in shown.items()}

    def row_of(self, order: Order) -> BrokerOrder | None:
        """The row with the order's tag that a reading has shown, this one or a later one; else one with what a home
        with another mark, or none, makes its tag.

        Raises `BookUnreadable` while the book has not been read whole.
        """
        self._make()
        return self._shown.get(order.tag) or self._under_any_mark.get(of_order(order.tag))

    def tell(self, order: Order) -> tuple[BrokerOrder, list[Fill]] | None:
        """Row and trades of an order that is taken up as this process begins: once each, and only what was there. So
        they are all answered by the one reading; what changes after it, the account's watch tells.

        Raises `BookUnreadable`.
        """
        self._make()
        with self._making:
            row = self._untold.pop(order.tag, None)
            if row is None or order.broker_order_id not in (None, row.broker_order_id) or self._is_old():
                return None
            if self._fills is None:
                self._fills = self._trades()
        return row, [fill for fill in self._fills if fill.broker_order_id == row.broker_order_id]

    def is_outdated_for(self, order: Order) -> None:
        """Something was asked of the broker that changes the order."""
        self._untold.pop(order.tag, None)

    def _is_old(self) -> bool:
        return self._at is None or self._timer() - self._at > FRESH

    def _make(self) -> None:
        if self._at is not None:
            return
        with self._making:
            if self._at is not None:
                return
            if self._failure is not None and self._timer() - self._failure[0] < AGAIN:
                raise self._failure[1]
            try:
                rows = self._read_whole().rows
            except BookUnreadable as error:
                self._failure = (self._timer(), error)
                raise
            self._begin(rows)
            self.note(rows)
            self._untold = {row.tag: row for row in rows if row.tag is not None}
            self._at = self._timer()
