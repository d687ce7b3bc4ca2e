"""An order that is UNKNOWN: its answer was lost, or it is gone from the book. A part of `process.py`, and pure as that.

The book is read until it shows the order, or has not shown it through the whole settle window. Where it cannot show it
any more, a human has to say what became of it, or the book shows it after all.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from durable_orders.trading.orders import lifecycle, slices
from durable_orders.trading.orders.absence import Absence, is_of_an_earlier_book
from durable_orders.trading.orders.actions import FIND, WAIT, Find, Wait
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.lookup import BookLookup, Found, Unreadable
from durable_orders.trading.orders.order import Order
from durable_orders.trading.orders.record import OrderRecord
from durable_orders.trading.orders.verdict import Policy

REVIEW = "say it with `durable-orders settle`, as the contract note has it"
BOOK_OF_ONE_DAY = "the book is of one day"
SLICES_ARE_LOOKED_FOR = "slices of an order that a ledger had forgotten are looked for"
"""Rules that the replay of an older history does without."""


class Settling:
    """From the moment at which the order became UNKNOWN to that at which it is no more."""

    def __init__(self, record: OrderRecord, policy: Policy, sent_at: datetime, follows: Callable[[str], bool]) -> None:
        self._record = record
        self._policy = policy
        self._sent_at = sent_at
        self._follows = follows
        self._absence = Absence(timedelta(seconds=policy.settle_window))
        self.has_begun = False
        self.is_unsettled = False
        """Whether the account takes no new risk over it, and a human may settle it."""
        self.is_in_review = False
        """Whether only a human, or a later book, can tell."""

    def next(self, now: datetime) -> Find | Wait:
        """May alert that it comes to a review."""
        self.has_begun = True
        if not self._is_beyond_the_book(now):
            return FIND
        if not self.is_in_review:
            self.is_in_review = True
            words = f"to be reviewed: what became of it, the broker's book cannot tell any more ({REVIEW})"
            self._record.alert(words, now)
        self.is_unsettled = True
        return WAIT

    def saw_it(self, report: lifecycle.Reported, now: datetime) -> None:
        """Whoever read the book. Slices that do not add up yet leave it UNKNOWN; none of them can be absent again."""
        self._absence.was_seen = True
        found = lifecycle.Noted(f"found in the order book as {report.report.row.broker_order_id}")
        self._record.apply(found, now)

    def looked(self, look: BookLookup, now: datetime) -> lifecycle.ProvedAbsent | lifecycle.Receipt | None:
        """What a reading of the book proves. How long that took is told by the times of the events: a sentence with it
        would read differently if the task is done again."""
        order, absence = self._record.order, self._absence
        if isinstance(look, Found):
            return absence.found(order, look.report.row, now)
        if isinstance(look, Unreadable):
            absence.not_read()
            self._hold_up(look, now)
            return None
        is_beyond = not absence.was_seen and self._is_beyond_the_book(now)
        self._let_go(now)
        return absence.not_found(order, now, is_beyond_the_book=is_beyond)

    @property
    def misses(self) -> int:
        """Readings in a row that told nothing."""
        return self._absence.misses

    def _hold_up(self, look: Unreadable, now: datetime) -> None:
        """New risk is held up for as long as the book cannot be read, and no longer."""
        if not self.is_unsettled:
            self.is_unsettled = True
            said = f"the order book cannot be read ({look.evidence})"
            self._record.alert(f"{said}: the outcome stays unknown, and no new risk is taken", now)

    def _let_go(self, now: datetime) -> None:
        if self.is_unsettled:
            self.is_unsettled = False
            words = "the order book can be read again, and does not show it so far"
            self._record.note(words, EventType.ORDER_UPDATED, now)

    def _is_beyond_the_book(self, now: datetime) -> bool:
        order = self._record.order
        if order.broker_order_id is not None and not self._may_have_more_slices(order):  # it was there, and is gone
            return True
        return is_of_an_earlier_book(order, self._sent_at, now) and self._follows(BOOK_OF_ONE_DAY)

    def _may_have_more_slices(self, order: Order) -> bool:
        """A ledger that had forgotten it has found some of them in the book, and took over the id of the first."""
        return slices.are_unknown(order) and self._follows(SLICES_ARE_LOOKED_FOR)
