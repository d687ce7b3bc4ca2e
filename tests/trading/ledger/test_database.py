"""What happens to a recording when the database does not play along. Activities see plain errors, and try again."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError

from durable_orders.trading.ledger.database import Database, LedgerBusy
from durable_orders.trading.ledger.reading import find_order, list_orders
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.orders.book import BookState
from tests.ledgers import empty_ledger
from tests.trading.ledger.examples import everything, history, new_order, record_all
from tests.trading.ledger.permissions import bound_by_permissions

TRADES = [(100, Decimal(5))]
BUSY_SECONDS = 0.05


def test_a_locked_ledger_fails_in_time_and_nothing_is_half_booked(ledger: Database, ledger_url: str) -> None:
    *_, filled = history(new_order(), TRADES, BookState.COMPLETE)
    before = everything(ledger)
    with Database(ledger_url, busy_seconds=BUSY_SECONDS) as hurried:
        with ledger.write(), pytest.raises(OperationalError):
            record(hurried, filled.order, filled.entries)
        assert everything(ledger) == before
        record(hurried, filled.order, filled.entries)
    with ledger.read() as connection:
        assert find_order(connection, filled.order.order_id) == filled.order


def test_who_does_not_wait_is_told_that_somebody_writes(tmp_path: Path) -> None:
    """Another process, or another thread of this one; and afterwards it waits as ever."""
    url = f"sqlite:///{empty_ledger(tmp_path / 'ledger.db')}"
    with Database(url) as ledger, Database(url) as other, ThreadPoolExecutor(1) as thread:
        with other.write(), ledger.without_waiting(), pytest.raises(LedgerBusy), ledger.write():
            pass
        with ledger.write():
            assert thread.submit(writes_at_once, ledger).exception().__class__ is LedgerBusy
        with ledger.without_waiting(), ledger.write() as connection:
            connection.execute(sa.text("SELECT 1"))
        with ledger.write() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000


def writes_at_once(ledger: Database) -> None:
    with ledger.without_waiting(), ledger.write():
        pass


def test_a_reader_sees_one_moment(ledger: Database) -> None:
    with ledger.read() as connection:
        assert list_orders(connection) == []
        record_all(ledger, history(new_order(), TRADES))
        assert list_orders(connection) == []
    with ledger.read() as connection:
        assert len(list_orders(connection)) == 1


def test_a_file_that_became_read_only_takes_no_recording(public_directory: Path) -> None:
    file = public_directory / "ledger.db"
    empty_ledger(file)
    [placed] = history(new_order(), [])
    file.chmod(0o444)
    with bound_by_permissions(public_directory), Database(f"sqlite:///{file}") as database:
        with pytest.raises(OperationalError, match="readonly"):
            record(database, placed.order, placed.entries)
        with database.read() as connection:
            assert list_orders(connection) == []
    file.chmod(0o644)
    with Database(f"sqlite:///{file}") as database:
        assert record_all(database, [placed]) == placed.order


def test_a_file_that_was_replaced_by_garbage_takes_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"garbage" * 1000)
    [placed] = history(new_order(), [])
    with Database(f"sqlite:///{file}") as database, pytest.raises(DatabaseError, match="not a database"):
        record(database, placed.order, placed.entries)
    assert file.read_bytes() == b"garbage" * 1000
