"""What is wrong with a whole account, said once when it begins and once when it is over."""

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from activities.rollover import Gone, Rollover
from trading.brokers.book import BrokerPosition
from trading.brokers.broker import Broker
from trading.errors import BookUnreadable, LoginNeeded
from trading.ledger.alerts import alert
from trading.ledger.database import Database
from trading.ledger.delivery import carried
from trading.ledger.funds import save_funds
from trading.ledger.positions import Position
from trading.ledger.reading import positions_of
from trading.ledger.sweeping import Leak, sweep
from trading.order import Account, BrokerOrderId

COMPARE_EVERY = timedelta(seconds=60)
"""Positions are compared this often; a difference counts only when it is seen twice, for they lag behind fills."""

READ_MARGIN_EVERY = timedelta(seconds=10)

log = logging.getLogger(__name__)

Net = dict[tuple[str, str], int]
"""Signed quantity by symbol and product."""


class Concerns:
    """One account's. Its methods block."""

    def __init__(
        self,
        account: Account,
        broker: Broker,
        database: Database,
        rollover: Rollover | None = None,
        *,
        reads_margin: bool = False,
    ) -> None:
        """`reads_margin` says whether a check of the guardian asks for the broker's margin."""
        self._account = account
        self._rollover = rollover
        self._is_of_one_day = rollover is not None and rollover.is_of_one_day
        self._reads_margin = reads_margin
        self._margin_read_at: datetime | None = None
        self._broker = broker
        self._database = database
        self._unreadable: type[BookUnreadable] | None = None
        self._compared_at: datetime | None = None
        self._difference: Net = {}
        self._reported: Net = {}
        self._leaks: set[Leak] = set()

    def book_was_not_read(self, error: BookUnreadable) -> None:
        """Say it once for each kind of trouble."""
        if self._unreadable is type(error):
            return
        log.warning("the order book of %s cannot be read: %s", self._account, error)
        self._unreadable = type(error)
        words = "the broker's session has ended: orders wait for `durable-orders login`, up to their deadlines"
        self._alert(words if isinstance(error, LoginNeeded) else f"the order book cannot be read: {error}")

    def book_was_read(self) -> bool:
        """Whether trouble is over with this reading."""
        over, self._unreadable = self._unreadable is not None, None
        if over:
            self._alert("the order book can be read again")
        return over

    def look_further(self, ids: Collection[BrokerOrderId]) -> list[Gone]:
        """Now and then: read the margin, compare the positions, and look for orders of earlier days that the book, with
        these ids, does not show.
        """
        now = datetime.now(UTC)
        self._read_margin(now)
        if self._compared_at is not None and now - self._compared_at < COMPARE_EVERY:
            return []
        self._compared_at = now
        self.report_leaks()
        gone = self._rollover.gone(ids, now) if self._rollover is not None else []
        try:
            self.compare_positions()
        except BookUnreadable as error:
            log.warning("the positions of %s cannot be compared now: %s", self._account, error)
        return gone

    def report_leaks(self) -> None:
        """What is reserved and should not be, or should be and is not: each once."""
        found = set(sweep(self._database, self._account))
        for leak in sorted(found - self._leaks, key=lambda leak: leak.order_id):
            self._alert(f"the reservations are wrong: {leak.order_id}: {leak.problem}")
        self._leaks = found

    def _read_margin(self, now: datetime) -> None:
        if not self._reads_margin:
            return
        if self._margin_read_at is not None and now - self._margin_read_at < READ_MARGIN_EVERY:
            return
        try:
            save_funds(self._database, self._account, self._broker.margins(), now)
        except BookUnreadable as error:
            log.warning("the margin of %s cannot be read now: %s", self._account, error)
            return
        self._margin_read_at = now

    def compare_positions(self) -> None:
        """The broker's net positions against the ledger's, without Kite's holdings. Raises `BookUnreadable`."""
        theirs = _net(self._broker.positions())
        with self._database.read() as connection:
            ours = _net(positions_of(connection, self._account))
            holdings = carried(connection, self._account, datetime.now(UTC)) if self._is_of_one_day else set()
        difference = {
            key: theirs.get(key, 0) - ours.get(key, 0)
            for key in sorted((theirs.keys() | ours.keys()) - holdings)
            if theirs.get(key, 0) != ours.get(key, 0)
        }
        if difference and difference == self._difference and difference != self._reported:
            said = ", ".join(f"{symbol} {product} by {by:+}" for (symbol, product), by in difference.items())
            self._alert(f"the broker's positions differ from the ledger's: {said}")
            self._reported = difference
        self._difference = difference

    def _alert(self, words: str) -> None:
        alert(self._database, self._account, words, datetime.now(UTC))


def _net(positions: Iterable[BrokerPosition | Position]) -> Net:
    return {(held.symbol, held.product.value): held.quantity for held in positions if held.quantity}
