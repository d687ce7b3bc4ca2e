"""Orders that the broker's book does not show, though it was received there, and ends that it does not prove.

Kite's book is of one day: what is open of an earlier day is not in it any more. An order of today that is missing from
it, or whose end does not add up with its trades, is waited for through a settle window. Then nobody knows what became
of it, and it is said so.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ist import IST
from durable_orders.trading.ledger import reservations
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import OrderSnapshot, open_views, views_for
from durable_orders.trading.orders.order import Account, BrokerOrderId, Mode, Status
from durable_orders.trading.reconciliation.book_diff import OrderStatusReport
from durable_orders.trading.reconciliation.whole_book import Reading

WORKING = (Status.PLACED, Status.PARTIAL)


@dataclass(frozen=True, slots=True)
class MissingOrder:
    view: OrderSnapshot
    words: str
    amended: bool
    """Whether a change of it is on its way that the book never showed."""


class Overdue:
    """Since when each of some things has been waited for, on a clock that only goes forward."""

    def __init__(self, window: float, timer: Callable[[], float] = time.monotonic) -> None:
        """`window` is in seconds."""
        self._window = window
        self._timer = timer
        self._since: dict[str, float] = {}

    def of(self, awaited: Iterable[str]) -> set[str]:
        """Those that are awaited now, and were all the time through the window; each again after another one."""
        now = self._timer()
        self._since = {each: self._since.get(each, now) for each in awaited}
        over = {each for each, since in self._since.items() if now - since >= self._window}
        for each in over:
            del self._since[each]
        return over

    def begin_anew(self) -> None:
        self._since = {}


class MissingOrders:
    """One account's. Its methods block. A paper exchange keeps its whole book."""

    def __init__(self, account: Account, mode: Mode, database: Database, window: float) -> None:
        """`window` is the settle window, in seconds."""
        self._account = account
        self._mode = mode
        self._database = database
        self._window = window
        self._missing: set[str] = set()
        self._missing_today = Overdue(window)
        self._ended = Overdue(window)

    @property
    def is_of_one_day(self) -> bool:
        """Whether the broker's book, trades and positions are those of the day."""
        return self._mode is Mode.LIVE

    def book_was_not_read(self) -> None:
        """Only an unbroken row of readings that do not show an order tells anything of it."""
        self._missing_today.begin_anew()

    def of_today(self, reading: Reading, ends: Mapping[BrokerOrderId, OrderStatusReport]) -> list[MissingOrder]:
        """Of the account's working orders, those that no reading has shown through the settle window, and of these ends
        those that are still not proved after it."""
        missing = self._missing_today.of(each.broker_order_id for each in reading.missing if each.status in WORKING)
        ended = self._ended.of(ends)
        if not (missing or ended):
            return []
        with self._database.read() as connection:
            found = views_for(connection, self._account, tags=(), broker_order_ids=missing | ended)
            working = [view for view in found if view.status in WORKING]
            words = [self._words(view, ends.get(BrokerOrderId(view.broker_order_id or ""))) for view in working]
            return [_gone(connection, view, said) for view, said in zip(working, words, strict=True)]

    def _words(self, view: OrderSnapshot, end: OrderStatusReport | None) -> str:
        if end is None:
            return f"{view.broker_order_id} was received, and the broker's book has not shown it for {self._window:g} s"
        row = end.row
        return (
            f"{row.broker_order_id} is {row.status} in the broker's book with {row.filled_quantity} of {row.quantity} "
            f"filled, and for {self._window:g} s its trades have added up to {end.traded}"
        )

    def of_earlier_days(self, ids: Collection[BrokerOrderId], now: datetime) -> list[MissingOrder]:
        """Of the account's working orders, those of earlier days that a whole book with these ids does not have. It
        counts when it is seen in two books, some time apart.
        """
        if not self.is_of_one_day:
            return []
        with self._database.read() as connection:
            missing = [view for view in open_views(connection, self._account) if _is_missing(view, ids, now)]
            again = [view for view in missing if view.order_id in self._missing]
            self._missing = {view.order_id for view in missing}
            return [_gone(connection, view, _of_an_earlier_day(view)) for view in again]


def _is_missing(view: OrderSnapshot, ids: Collection[BrokerOrderId], now: datetime) -> bool:
    """One that is PENDING or UNKNOWN looks for itself."""
    is_of_today = view.created_at.astimezone(IST).date() == now.astimezone(IST).date()
    return view.status in WORKING and not is_of_today and view.broker_order_id not in ids


def _of_an_earlier_day(view: OrderSnapshot) -> str:
    day = f"{view.created_at.astimezone(IST):%d %b %Y}"
    return f"{view.broker_order_id} was placed on {day}, and the broker's book of today does not have it"


def _gone(connection: sa.Connection, view: OrderSnapshot, words: str) -> MissingOrder:
    stands = reservations.standing(connection, view.order_id)
    return MissingOrder(view, words, amended=stands is not None and stands.amended_quantity is not None)
