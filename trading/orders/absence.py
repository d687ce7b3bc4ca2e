"""Whether an order whose answer was lost was ever placed: what readings of the broker's book prove. No I/O, no clock.

1. A reading shows the order, or some of its slices; or it is whole and shows none of it; or it tells nothing.
2. Proof takes an unbroken row of readings that all show the same, the last one a settle window after the first. If that
   is none of it, the order was never placed. If it is slices that do not add up, no more of them were taken.
3. A reading that tells nothing breaks the row. Where tags may be dropped, one with a row that could be the order is
   such a reading, and proof takes at least three that show none.
4. What the book has shown once is never absent, however long it does not show it again.
5. A row with the order's tag as a home with another mark makes it may be the order: sent before a restore. So that
   reading tells nothing.
6. An order with a broker's id was there. So may a live order of an earlier day have been: Kite's book is of one day.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from durable_orders.trading.ist import IST
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.lifecycle import ProvedAbsent, Receipt
from durable_orders.trading.orders.order import BrokerOrderId, Mode, Order
from durable_orders.trading.orders.slices import ids_of, is_short
from durable_orders.trading.orders.tags import is_of

CLOCKS_DIFFER_BY = timedelta(minutes=1)
"""A row may be this much older than the sending and still be of it."""
LEAST_READS = 3
"""Where tags may be dropped: the order is looked for when somebody asks, which may be seldom."""


def rows_of(order: Order, book: Sequence[BrokerOrder]) -> list[BrokerOrder]:
    """The rows of a book that are the order: by the broker's id if that is known, and by the tag."""
    return [row for row in book if order.broker_order_id in (None, row.broker_order_id) and row.tag == order.tag]


def under_another_mark(order: Order, book: Sequence[BrokerOrder]) -> BrokerOrder | None:
    """A row that is an order of this id, sent by a home with another mark, or with none."""
    return next((row for row in book if row.tag != order.tag and is_of(row.tag, order.order_id)), None)


def could_be(asked: Sequence[object], shown: Sequence[object], sent_at: datetime, placed_at: datetime | None) -> bool:
    """Whether a row without the order's tag may be the order: its terms are the same, and it is not older than the
    sending. What a row does not say (`None`), it may be."""
    is_the_same = all(said is None or said == wanted for wanted, said in zip(asked, shown, strict=True))
    return is_the_same and (placed_at is None or placed_at >= sent_at - CLOCKS_DIFFER_BY)


def is_of_an_earlier_book(order: Order, sent_at: datetime, now: datetime) -> bool:
    """Whether the book that would show the order is over. The paper exchange's never is."""
    return order.mode is Mode.LIVE and sent_at.astimezone(IST).date() != now.astimezone(IST).date()


class Absence:
    """The readings for one order since its answer was lost."""

    def __init__(
        self,
        window: timedelta,
        *,
        tags_may_be_dropped: bool = False,
        absent_since: datetime | None = None,
        reads: int = 0,
    ) -> None:
        """`absent_since` and `reads` are those of an earlier one that is gone on with: readings that showed none."""
        self._window = window
        self._least = LEAST_READS if tags_may_be_dropped else 1
        self.since = absent_since
        """The first of the readings in a row."""
        self.reads = reads
        self._shown: tuple[BrokerOrderId, ...] = ()
        self.was_seen = False
        """Whether the book has shown the order, or slices of it, to whoever read it."""
        self.misses = 0
        """Readings in a row that told nothing."""

    def found(self, order: Order, row: BrokerOrder, now: datetime) -> Receipt | None:
        """What the answer must have been, if these are slices and it is proved that there are no more."""
        self.was_seen, self.misses = True, 0
        if not is_short(order, row):
            self.since = None
            return None
        if not self._goes_on(ids_of(row), now):
            return None
        shown = f"{len(self._shown)} slices of it, {row.quantity} of {order.quantity}"
        return Receipt(
            row.broker_order_id, self._shown, (f"the order book showed {shown}, {self._row}: no more were taken",)
        )

    def not_found(self, order: Order, now: datetime, *, is_beyond_the_book: bool = False) -> ProvedAbsent | None:
        """`is_beyond_the_book`: this book would not show it any more (rule 6)."""
        if not self.is_absent(now) or self.was_seen or is_beyond_the_book or order.broker_order_id is not None:
            return None
        return ProvedAbsent(f"the order book did not show it {self._row}")

    def is_absent(self, now: datetime) -> bool:
        """Whether, with a reading that shows none of it, no reading has for a settle window."""
        self.misses = 0
        return self._goes_on((), now)

    def not_read(self) -> None:
        self.since, self.reads = None, 0
        self.misses += 1

    def _goes_on(self, shown: tuple[BrokerOrderId, ...], now: datetime) -> bool:
        """Whether the row of readings that show this has now lasted a settle window."""
        if self.since is None or shown != self._shown:
            self.since, self._shown, self.reads = now, shown, 0
        self.reads += 1
        return self.reads >= self._least and now - self.since >= self._window

    @property
    def _row(self) -> str:
        return f"in {self.reads} readings through the settle window of {self._window.total_seconds():g} s"
