"""What is wrong with a whole account, said once when it begins and once when it is over."""

import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime

from durable_orders.activities.missing_orders import MissingOrder, MissingOrders, Overdue
from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.errors import BookUnreadable, LoginNeeded, WrongLogin
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.funds import save_funds
from durable_orders.trading.ledger.sweeping import Leak, sweep
from durable_orders.trading.orders.order import Account, BrokerOrderId
from durable_orders.trading.reconciliation.whole_book import Reading

LOOK_EVERY = 60.0
"""Seconds between two looks at what need not be seen at once."""

READ_MARGIN_EVERY = 10.0
LAG = 5.0
"""Seconds for which a book may lag behind what was received before it is told."""
NOT_WHOLE = "the book"

log = logging.getLogger(__name__)


class AccountMonitor:
    """One account's. Its methods block."""

    def __init__(
        self,
        account: Account,
        broker: Broker,
        database: Database,
        missing: MissingOrders | None = None,
        *,
        reads_margin: bool = False,
    ) -> None:
        """`reads_margin` says whether a check of the guardian asks for the broker's margin."""
        self._account = account
        self._missing = missing
        self._reads_margin = reads_margin
        self._margin_read_at: float | None = None
        self._not_whole = Overdue(LAG)
        self._odd: set[str] = set()
        self._broker = broker
        self._database = database
        self._unreadable: type[BookUnreadable] | None = None
        self._looked_at: float | None = None
        self._leaks: set[Leak] = set()

    def book_was_not_read(self, error: BookUnreadable) -> None:
        """Say it once for each kind of trouble."""
        if self._unreadable is type(error):
            return
        log.warning("the order book of %s cannot be read: %s", self._account, error)
        self._unreadable = type(error)
        words = "the broker's session has ended: orders wait for `durable-orders login`, up to their deadlines"
        if isinstance(error, WrongLogin):
            words = f"orders wait, and no book is read: {error}"
        self._alert(words if isinstance(error, LoginNeeded) else f"the order book cannot be read: {error}")

    def book_was_read(self, reading: Reading) -> bool:
        """Whether trouble is over with this reading. One that is not whole is trouble if it stays so for some seconds:
        what was just received may not be shown yet."""
        self._tell_of_odd_rows(reading)
        if reading.missing:
            if self._not_whole.of([NOT_WHOLE]):
                self.book_was_not_read(reading.what_is_missing)
            return False
        self._not_whole.begin_anew()
        over, self._unreadable = self._unreadable is not None, None
        if over:
            self._alert("the order book can be read again")
        return over

    def _tell_of_odd_rows(self, reading: Reading) -> None:
        for odd in reading.odd:
            if odd.what not in self._odd:
                self._odd.add(odd.what)
                self._alert(f"{odd.what} at the broker is left out, its row is not understood: look at it there")

    def look_further(self, ids: Collection[BrokerOrderId]) -> list[MissingOrder]:
        """Now and then: read the margin, and look for orders of earlier days that the book with these ids lacks."""
        elapsed = time.monotonic()
        self._read_margin(elapsed)
        if self._looked_at is not None and elapsed - self._looked_at < LOOK_EVERY:
            return []
        self._looked_at = elapsed
        self.report_leaks()
        return self._missing.of_earlier_days(ids, datetime.now(UTC)) if self._missing is not None else []

    def report_leaks(self) -> None:
        """What is reserved and should not be, or should be and is not: each once."""
        found = set(sweep(self._database, self._account))
        for leak in sorted(found - self._leaks, key=lambda leak: leak.order_id):
            self._alert(f"the reservations are wrong: {leak.order_id}: {leak.problem}")
        self._leaks = found

    def _read_margin(self, elapsed: float) -> None:
        if not self._reads_margin:
            return
        if self._margin_read_at is not None and elapsed - self._margin_read_at < READ_MARGIN_EVERY:
            return
        try:
            save_funds(self._database, self._account, self._broker.margins(), datetime.now(UTC))
        except BookUnreadable as error:
            log.warning("the margin of %s cannot be read now: %s", self._account, error)
            return
        self._margin_read_at = elapsed

    def _alert(self, words: str) -> None:
        alert(self._database, self._account, words, datetime.now(UTC))
