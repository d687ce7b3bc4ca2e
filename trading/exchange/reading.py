"""The paper exchange's book as a broker shows it, read cheaply: only what has changed since the last look.

Changes are numbered inside write transactions, of which there is one at a time, so no number becomes visible after
a later one, whichever process wrote it. What has not changed is given again as the same object.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.exchange import rows as paper_rows
from durable_orders.trading.exchange.orders import KiteStatus
from durable_orders.trading.exchange.positions import NetPositions
from durable_orders.trading.exchange.store import read_market
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.tables import exchange_orders, exchange_trades
from durable_orders.trading.orders.book import BookState, BrokerOrder, BrokerPosition
from durable_orders.trading.orders.order import Account, BrokerOrderId, Fill

SHOWN_FOR = timedelta(hours=24)
"""On the wall's clock. A replayed feed turns its sessions quickly; ends that nobody has followed yet stay in sight."""

_orders, _trades = exchange_orders.c, exchange_trades.c


@contextmanager
def reading(database: Database) -> Iterator[sa.Connection]:
    """A read transaction. Raises `BookUnreadable` for whatever the database raises."""
    try:
        with database.read() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise BookUnreadable(f"the paper exchange's book cannot be read ({type(error).__name__})") from error


class BookReader:
    """The reads of one account. Thread-safe.

    The book shows the orders of the current session, those that still work, and those that changed within the last
    24 hours; the trades are the trades of those orders, so the two agree.
    """

    def __init__(self, database: Database, account: Account, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._account = account
        self._clock = clock
        self._cache_lock = threading.Lock()
        self._positions = NetPositions(account)
        self._forget(None)

    def order_book(self) -> list[BrokerOrder]:
        """In the order of placing. Raises `BookUnreadable`, like every read here."""
        horizon = self._clock() - SHOWN_FOR
        with self._cache_lock:
            with reading(self._database) as connection:
                self._catch_up_orders(connection, horizon)
            return self._in_sight(horizon)

    def trades(self) -> list[Fill]:
        """In the order of their execution."""
        horizon = self._clock() - SHOWN_FOR
        with self._cache_lock:
            with reading(self._database) as connection:
                self._catch_up_orders(connection, horizon)
                self._catch_up_trades(connection, horizon)
            shown = {order.broker_order_id for order in self._in_sight(horizon)}
            return [fill for fill in self._fills if fill.broker_order_id in shown]

    def positions(self) -> list[BrokerPosition]:
        """From all trades ever. Flat ones are left out."""
        with self._cache_lock:
            chosen = sa.select(exchange_trades).where(
                _trades.account == self._account, _trades.number > self._positions.number
            )
            with reading(self._database) as connection:
                trades = connection.execute(chosen.order_by(_trades.number)).all()
            self._positions.add(trades)
            return self._positions.open()

    def order_history(self, broker_order_id: BrokerOrderId) -> list[BrokerOrder]:
        """The order at every status it has passed through, oldest first; none for an id that is not known."""
        with reading(self._database) as connection:
            order = paper_rows.find_order(connection, self._account, broker_order_id)
            snapshots = paper_rows.history_of(connection, broker_order_id)
        return [] if order is None else [_as_it_was(order.row, snapshot) for snapshot in snapshots]

    def _forget(self, session: date | None) -> None:
        self._session = session
        self._version = 0
        self._known: dict[BrokerOrderId, tuple[date, BrokerOrder]] = {}
        self._number = 0
        self._fills: list[Fill] = []

    def _catch_up_orders(self, connection: sa.Connection, horizon: datetime) -> None:
        market = read_market(connection, self._account)
        if market is None:
            return  # the first order makes the market, so there is none
        if market.session != self._session:
            self._forget(market.session)
        changed = sa.select(exchange_orders).where(
            _orders.account == self._account, _orders.version > self._version, self._sight(horizon)
        )
        if market.version > self._version:
            rows = connection.execute(changed.order_by(_orders.broker_order_id)).all()
            self._known.update({row.broker_order_id: (row.session, paper_rows.order_from(row)) for row in rows})
            self._version = market.version

    def _catch_up_trades(self, connection: sa.Connection, horizon: datetime) -> None:
        last = sa.select(sa.func.max(_trades.number)).where(_trades.account == self._account)
        number = connection.execute(last).scalar_one() or 0
        if number > self._number:
            made = sa.select(exchange_trades).join(exchange_orders, _orders.broker_order_id == _trades.broker_order_id)
            fresh = made.where(
                _trades.account == self._account,
                _trades.number > self._number,
                self._sight(horizon),
            )
            rows = connection.execute(fresh.order_by(_trades.number)).all()
            self._fills += [paper_rows.fill_from(row) for row in rows]
            self._number = number

    def _sight(self, horizon: datetime) -> sa.ColumnElement[bool]:
        return sa.or_(
            _orders.state == BookState.WORKING, _orders.session == self._session, _orders.updated_at >= horizon
        )

    def _in_sight(self, horizon: datetime) -> list[BrokerOrder]:
        return [
            order
            for session, order in self._known.values()
            if session == self._session or order.state is BookState.WORKING or order.updated_at >= horizon
        ]


def _as_it_was(row: BrokerOrder, snapshot: Any) -> BrokerOrder:
    """The order at one line of its history. What a modification cannot change is taken from the order."""
    ended = snapshot.status in (KiteStatus.COMPLETE, KiteStatus.CANCELLED, KiteStatus.REJECTED)
    return replace(
        row,
        quantity=snapshot.quantity,
        filled_quantity=snapshot.filled_quantity,
        price=snapshot.price,
        trigger_price=snapshot.trigger_price,
        status=snapshot.status,
        state=row.state if ended else BookState.WORKING,
        message=snapshot.message,
        updated_at=snapshot.at,
    )
