"""Notices that another home serves the account, by what that has sent."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.homes import stop_for_other_home
from durable_orders.trading.ledger.reading import views_for
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.order import Account, BrokerOrderId
from durable_orders.trading.orders.tags import mark_in

ON_ITS_WAY = 60.0
"""Seconds for which what an earlier process has sent may still be on its way."""


class OtherHomes:
    """One account's. A row that the ledger knows already was judged when it was found."""

    def __init__(self, account: Account, database: Database, mark: str) -> None:
        """`mark` is that of this home."""
        self.mark = mark
        self._account = account
        self._database = database
        self._first: frozenset[BrokerOrderId] = frozenset()
        self._first_at: float | None = None

    def begin(self, rows: Sequence[BrokerOrder]) -> None:
        """What the book has as this process begins, before anything is sent."""
        foreign = [row for row in rows if mark_in(row.tag) not in (None, self.mark)]
        if foreign:
            ids = {row.broker_order_id for row in foreign}
            with self._database.write(self._account) as connection:
                found = views_for(connection, self._account, tags=(), broker_order_ids=ids)
                known = {view.broker_order_id for view in found}
                for row in foreign:
                    if row.broker_order_id not in known:
                        stop_for_other_home(connection, self._account, row, self.mark, datetime.now(UTC))
        self._first = frozenset(row.broker_order_id for row in rows)
        self._first_at = time.monotonic()

    def found(self, connection: sa.Connection, row: BrokerOrder) -> None:
        """A row that neither the ledger nor the server knows. One of this home's own that comes long after this process
        began was sent by a copy of it."""
        mark = mark_in(row.tag)
        is_at_work = self._first_at is not None and time.monotonic() - self._first_at > ON_ITS_WAY
        is_late = is_at_work and row.broker_order_id not in self._first
        if mark is not None and (mark != self.mark or is_late):
            stop_for_other_home(connection, self._account, row, self.mark, datetime.now(UTC))
