"""What the commands say when the ledger fails, and what is left behind: nothing by halves."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.order import Amendment
from durable_orders.trading.orders.outcome import NotSent, Unknown
from tests.trading.exchange.exchange import ACCOUNT, PLAIN, Exchange, approved, limit, tick_size


@pytest.fixture
def hasty(exchange: Exchange) -> Iterator[PaperBroker]:
    """Another process, that does not wait long for a lock."""
    with Database(exchange.url, busy_seconds=0.01) as database:
        yield PaperBroker(database, ACCOUNT, PLAIN, tick_size, exchange.clock)


def fail(_connection: sa.Connection) -> None:
    raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))


def test_what_could_not_even_begin_was_not_sent(exchange: Exchange, hasty: PaperBroker, url: str) -> None:
    order = exchange.place(**limit("90")).row
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = [
            hasty.place(approved()),
            hasty.modify(order.broker_order_id, Amendment(quantity=20)),
            hasty.cancel(order.broker_order_id),
        ]
        assert hasty.order_book() == [order], "reading goes on"
    for outcome in outcomes:
        assert isinstance(outcome, NotSent)
        assert outcome.evidence.message == "ledger: database is locked"
    assert exchange.broker.order_book() == [order]


def test_what_did_not_fit_on_the_disk_was_not_sent_and_left_nothing(exchange: Exchange, tmp_path: Path) -> None:
    exchange.show("100")
    full = exchange.again()
    with full.database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    full.database.close()

    def limit_pages(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 1}")

    sa.event.listen(full.database.engine, "connect", limit_pages)
    outcomes = [full.broker.place(approved()) for _ in range(60)]
    placed = sum(outcome.kind == "accepted" for outcome in outcomes)
    assert isinstance(outcomes[-1], NotSent)
    assert outcomes[-1].evidence.message == "ledger: database or disk is full"
    assert len(exchange.broker.order_book()) == len(exchange.broker.trades()) == placed < 60


def test_a_commit_that_fails_may_have_been_done(exchange: Exchange) -> None:
    order = exchange.place(**limit("90")).row.broker_order_id
    sa.event.listen(exchange.database.engine, "commit", fail)
    for outcome in (
        exchange.broker.place(approved()),
        exchange.broker.modify(order, Amendment(quantity=20)),
        exchange.broker.cancel(order),
    ):
        assert isinstance(outcome, Unknown)
        assert outcome.evidence.message == "ledger: disk I/O error"
        assert outcome.evidence.error_type == "OperationalError"


def test_ticks_that_could_not_be_written_have_filled_nothing_and_can_be_shown_again(exchange: Exchange) -> None:
    order = exchange.place(**limit("90")).row
    sa.event.listen(exchange.database.engine, "commit", fail)
    with pytest.raises(SQLAlchemyError):
        exchange.show("90")
    assert exchange.broker.order_book() == [order]
    assert exchange.broker.trades() == []
    sa.event.remove(exchange.database.engine, "commit", fail)
    assert exchange.show("90") == [order.broker_order_id]
