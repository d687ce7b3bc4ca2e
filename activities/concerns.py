"""What is wrong with a whole account, said once when it begins and once when it is over."""

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from trading.brokers.book import BrokerPosition
from trading.brokers.broker import Broker
from trading.errors import BookUnreadable, LoginNeeded
from trading.ledger.alerts import alert
from trading.ledger.database import Database
from trading.ledger.funds import save_funds
from trading.ledger.positions import Position
from trading.ledger.reading import OpenView, open_views, positions_of
from trading.market.calendar import IST
from trading.order import Account, BrokerOrderId

COMPARE_EVERY = timedelta(seconds=60)
"""Positions are compared this often; a difference counts only when it is seen twice, for they lag behind fills."""

READ_MARGIN_EVERY = timedelta(seconds=10)

log = logging.getLogger(__name__)

Net = dict[tuple[str, str], int]
"""Signed quantity by symbol and product."""


class Concerns:
    """One account's. Its methods block."""

    def __init__(self, account: Account, broker: Broker, database: Database, *, reads_margin: bool = False) -> None:
        """`reads_margin` says whether a check of the guardian asks for the broker's margin."""
        self._account = account
        self._reads_margin = reads_margin
        self._margin_read_at: datetime | None = None
        self._broker = broker
        self._database = database
        self._unreadable: type[BookUnreadable] | None = None
        self._compared_at: datetime | None = None
        self._difference: Net = {}
        self._reported: Net = {}
        self._missing: set[str] = set()

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

    def look_further(self, ids: Collection[BrokerOrderId]) -> None:
        """Now and then: read the margin, compare the positions, and look for orders that the book, with these ids, does
        not show.
        """
        now = datetime.now(UTC)
        self._read_margin(now)
        if self._compared_at is not None and now - self._compared_at < COMPARE_EVERY:
            return
        self._compared_at = now
        self.report_missing(ids, now)
        try:
            self.compare_positions()
        except BookUnreadable as error:
            log.warning("the positions of %s cannot be compared now: %s", self._account, error)

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

    def report_missing(self, ids: Collection[BrokerOrderId], now: datetime) -> None:
        """Open orders of earlier days that today's book does not have: nobody closes them, a human is to look.

        Kite's book is of one day. What such an order did in the meantime only its contract note can prove.
        """
        with self._database.read() as connection:
            views = open_views(connection, self._account)
        today = now.astimezone(IST).date()
        for view in views:
            gone = view.broker_order_id is not None and view.broker_order_id not in ids
            if gone and not view.status.terminal and view.created_at.astimezone(IST).date() < today:
                self._report_once(view)

    def _report_once(self, view: OpenView) -> None:
        if view.order_id not in self._missing:
            self._missing.add(view.order_id)
            words = f"{view.order_id} is {view.status} and not in the broker's book of today any more: to be reviewed"
            self._alert(words)

    def compare_positions(self) -> None:
        """The broker's net positions against the ledger's. Raises `BookUnreadable`."""
        theirs = _net(self._broker.positions())
        with self._database.read() as connection:
            ours = _net(positions_of(connection, self._account))
        difference = {
            key: theirs.get(key, 0) - ours.get(key, 0)
            for key in sorted(theirs.keys() | ours.keys())
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
