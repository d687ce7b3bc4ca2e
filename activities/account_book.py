"""The broker's book of one account, and whether a reading of it is whole."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from durable_orders.activities.first_reading import FirstReading
from durable_orders.activities.other_homes import OtherHomes
from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.brokers.shared_reading import SharedReading
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.book import BrokerOrder, OddRow
from durable_orders.trading.reconciliation.whole_book import Reading, ReceivedToday, missing_from

AGAIN = (0.5, 1.5)
"""Seconds before a book that is not whole is read again: it may only lag behind what was just received."""


class AccountBook:
    """Thread-safe, and blocks. A reading answers all who asked before it began, however many they are."""

    def __init__(
        self,
        broker: Broker,
        database: Database,
        received: ReceivedToday | None = None,
        odd_rows: Callable[[], Sequence[OddRow]] = tuple,
        sleep: Callable[[float], object] = time.sleep,
        others: OtherHomes | None = None,
    ) -> None:
        """`received` is what it must show; without it, as of the paper exchange whose book is in the ledger itself, it
        is always whole. `odd_rows` are those of the broker's latest readings. `others` judges the first one."""
        self._broker = broker
        self._database = database
        self._odd_rows = odd_rows
        self._sleep = sleep
        self._received = received
        self.read = SharedReading(self._read)
        """What the book shows, whole or not. Raises `BookUnreadable`."""
        judge = others.begin if others is not None else _nothing
        self.first = None if received is None else FirstReading(self.read_whole, broker.trades, judge)
        """`None` where the book is in the ledger itself: it is never older, and never newer."""

    def read_whole(self) -> Reading:
        """A reading that is whole; read again if it is not. Raises `BookUnreadable`, such as `BookNotWhole`."""
        for pause in AGAIN:
            reading = self.read()
            if not reading.missing:
                return reading
            self._sleep(pause)
        reading = self.read()
        reading.must_be_whole()
        return reading

    def _read(self) -> Reading:
        """What must be in it is asked for first: what is received meanwhile need not be shown yet."""
        if self._received is None:
            return Reading(self._broker.order_book(), ())
        with self._database.read() as connection:
            received = self._received.read(connection, datetime.now(UTC))
        rows = self._broker.order_book()
        if self.first is not None:
            self.first.note(rows)
        return Reading(rows, missing_from(rows, received), self._odd_rows())


def _nothing(_rows: Sequence[BrokerOrder]) -> None:
    """Nobody judges them."""
