"""Reads what the broker has, and keeps the last whole reading in the ledger."""

from datetime import UTC, date, datetime, timedelta

from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.brokers.shared_reading import SharedReading
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.broker_positions import BrokerReading, last_reading
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.deliverable import HOLDINGS_EVERY
from durable_orders.trading.orders.book import BrokerHolding, BrokerPosition
from durable_orders.trading.orders.order import Account
from durable_orders.trading.reconciliation.splits import keep_reading

FRESH = timedelta(seconds=5)
"""A reading of this age still tells what may be closed, while a newer one is not to be had."""


class PositionReader:
    """One account's. Its methods block; any number of threads may call them."""

    def __init__(self, account: Account, broker: Broker, database: Database) -> None:
        self._account = account
        self._broker = broker
        self._database = database
        self.read = SharedReading(self._read)
        """What the broker has now. One reading answers all who asked before it began. Raises `BookUnreadable`."""
        self.rows: list[BrokerPosition] = []
        """The broker's positions of the last reading, flat ones with a result included."""
        self._holdings: list[BrokerHolding] = []
        self._holdings_read: tuple[datetime, date] | None = None

    def _read(self) -> BrokerReading:
        now = datetime.now(UTC)
        rows = self._broker.positions()
        reading = BrokerReading.of(now, rows, self._read_holdings(now))
        with self._database.write(self._account) as connection:
            keep_reading(connection, self._account, reading, now)
        self.rows = rows
        return reading

    def fresh(self) -> BrokerReading | None:
        """What was read last, by whomever, if that is at most a few seconds ago."""
        with self._database.read() as connection:
            found = last_reading(connection, self._account)
        return found if found is not None and datetime.now(UTC) - found.at <= FRESH else None

    def _read_holdings(self, now: datetime) -> list[BrokerHolding]:
        today = now.astimezone(IST).date()
        known = self._holdings_read
        if known is None or known[1] != today or now - known[0] >= HOLDINGS_EVERY:
            self._holdings = self._broker.holdings()
            self._holdings_read = now, today
        return self._holdings
