"""The proof, from the rows themselves: what the ledger says is what the exchange has, and nothing is told twice."""

from collections import Counter
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.tables import (
    events,
    exchange_orders,
    exchange_trades,
    fills,
    orders,
    positions,
    reservations,
)
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Order, Side, Status

ENDS = {
    BookState.COMPLETE: Status.FILLED,
    BookState.CANCELLED: Status.CANCELLED,
    BookState.EXPIRED: Status.EXPIRED,
    BookState.REJECTED: Status.REJECTED,
}


def assert_agreement(url: str, ended: Order, *, at_the_exchange: int = 1) -> None:
    """The order, as its workflow gave it back, against the exchange's tables and the ledger's."""
    database = Database(url)
    with database.read() as connection:
        rows = _rows(connection, exchange_orders, exchange_orders.c.tag == ended.tag)
        assert len(rows) == at_the_exchange
        if rows:
            _assert_row(ended, rows[0])
            trades = exchange_trades.c.broker_order_id == rows[0].broker_order_id
            _assert_fills(connection, ended, _rows(connection, exchange_trades, trades))
        _assert_recorded(connection, ended)
        _assert_events(connection, ended)
        _assert_positions(connection, ended.account)
    database.close()


def _rows(connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> list[Any]:
    return list(connection.execute(sa.select(table).where(condition)))


def _assert_row(ended: Order, row: Any) -> None:
    assert ended.status is ENDS[BookState(row.state)]
    assert ended.broker_order_id == row.broker_order_id
    assert (ended.quantity, ended.filled_quantity, ended.price) == (row.quantity, row.filled_quantity, row.price)


def _assert_fills(connection: sa.Connection, ended: Order, trades: list[Any]) -> None:
    theirs = Counter((trade.trade_id, trade.quantity, trade.price) for trade in trades)
    recorded = _rows(connection, fills, fills.c.order_id == ended.order_id)
    assert Counter((fill.trade_id, fill.quantity, fill.price) for fill in recorded) == theirs
    assert Counter((fill.trade_id, fill.quantity, fill.price) for fill in ended.fills) == theirs
    assert sorted(fill.number for fill in recorded) == list(range(len(trades)))
    if trades:
        value = sum((trade.price * trade.quantity for trade in trades), Decimal(0))
        assert ended.average_price == (value / ended.filled_quantity).quantize(Decimal("0.0001"))


def _assert_recorded(connection: sa.Connection, ended: Order) -> None:
    (row,) = _rows(connection, orders, orders.c.order_id == ended.order_id)
    assert row.status == ended.status
    assert (row.filled_quantity, row.filled_value) == (ended.filled_quantity, ended.filled_value)
    assert (row.quantity, row.price, row.broker_order_id) == (ended.quantity, ended.price, ended.broker_order_id)
    assert row.reasons == list(ended.reasons)
    assert row.unsettled is False
    held = reservations.c.order_id == ended.order_id
    assert _rows(connection, reservations, held & reservations.c.released_at.is_(None)) == []


def _assert_events(connection: sa.Connection, ended: Order) -> None:
    told = sorted(_rows(connection, events, events.c.order_id == ended.order_id), key=lambda event: event.sequence)
    assert [event.sequence for event in told] == list(range(len(told)))
    assert told[-1].status == ended.status
    sentences = [event.message for event in told]
    assert len(set(sentences)) == len(sentences), sentences


def _assert_positions(connection: sa.Connection, account: str) -> None:
    theirs: Counter[tuple[str, str]] = Counter()
    for trade in _rows(connection, exchange_trades, exchange_trades.c.account == account):
        theirs[trade.symbol, trade.product] += Side(trade.side).sign * trade.quantity
    ours = {(row.symbol, row.product): row.quantity for row in _rows(connection, positions, sa.true())}
    assert ours == dict(theirs)
