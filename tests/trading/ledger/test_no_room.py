"""A disk that is full, a database that is locked or gone: nothing is half-booked, and later it goes on."""

import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.audit import fill_sums
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import find_order, positions_of
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.reservations import reserve
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Order
from tests.ledgers import empty_ledger
from tests.trading.ledger.examples import START, Recording, enter, everything, history, new_order, record_all, rows
from tests.trading.ledger.processes import run

SOON = 0.05
"""Seconds that a writer waits for another one here."""
FULL = "database or disk is full"


def waiting_order(ledger: Database, name: str = "a", parts: int = 2) -> list[Recording]:
    """An order that is received and reserved, and everything that there is to tell of it."""
    order = new_order(name, quantity=parts)
    enter(ledger, order)
    with ledger.write() as connection:
        reserve(connection, order, Decimal(100), START)
    return history(order, [(1, Decimal(100) + number) for number in range(parts)], BookState.COMPLETE)


def must_be_whole(ledger: Database, order: Order) -> None:
    """The order is there with all its fills, and the position is what they add up to."""
    with ledger.read() as connection:
        assert find_order(connection, order.order_id) == order
        [position] = positions_of(connection, "paper")
        sums = fill_sums(connection, "paper")
    assert sums[position.symbol, position.product] == (position.quantity, position.open_value)
    lots = [row["quantity"] for row in rows(ledger, "lots")]
    assert (sum(lots), len(rows(ledger, "fills"))) == (position.quantity, len(lots))


def test_a_full_disk_leaves_every_recording_whole_or_undone(ledger_url: str, backend: str) -> None:
    """The file may grow by no page, by one, and so on, until the fifty fills of the order fit in."""
    if backend != "sqlite":
        pytest.skip("SQLite's own limit")
    with Database(ledger_url) as ledger:
        recordings = waiting_order(ledger, parts=50)
        before, failed, room = everything(ledger), 0, 0
        while not _fits(ledger_url, recordings[-1], room):
            assert everything(ledger) == before
            failed, room = failed + 1, room + 1
        assert failed > 1
        must_be_whole(ledger, recordings[-1].order)


def _fits(url: str, recording: Recording, more: int) -> bool:
    """Whether it could be recorded with so many more pages."""
    with Database(url) as cramped:
        _limit(cramped, more)
        try:
            record(cramped, recording.order, recording.entries)
        except OperationalError as error:
            if FULL not in str(error):
                raise
            return False
    return True


def _limit(database: Database, more: int) -> None:
    """From now on the file may grow by that many pages."""

    @sa.event.listens_for(database.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + more}")


def record_until_the_disk_is_full(url: str, room: int) -> None:
    """In a process whose files may not grow beyond `room` bytes, as on a disk without more. One order after another."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Database(url) as ledger:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        for number in range(10_000):
            order = new_order(f"o{number}", quantity=2)
            try:
                record_all(ledger, history(order, [(1, Decimal(100)), (1, Decimal(101))], BookState.COMPLETE))
            except OperationalError:
                return
    raise AssertionError("the disk was never full")


def test_a_write_that_the_system_refuses_leaves_nothing_half_booked(ledger_url: str, backend: str) -> None:
    if backend != "sqlite":
        pytest.skip("SQLite's files")
    room = Path(str(sa.make_url(ledger_url).database)).stat().st_size + 1_000_000
    assert run([(f"{__name__}:record_until_the_disk_is_full", (ledger_url, room))]) == [0]
    with Database(ledger_url) as ledger:
        [(sound,)] = _answer(ledger_url, "PRAGMA integrity_check")
        assert sound == "ok"
        whole = [row for row in rows(ledger, "orders") if row["status"] == "FILLED"]
        assert len(whole) > 1
        assert len(rows(ledger, "orders")) - len(whole) <= 1, "the one that was being recorded"
        order = new_order("after", quantity=1)
        must_be_whole(ledger, record_all(ledger, history(order, [(1, Decimal(5))], BookState.COMPLETE)))


def _answer(url: str, asked: str) -> Sequence[tuple[object, ...]]:
    with closing(sqlite3.connect(str(sa.make_url(url).database))) as connection:
        return connection.execute(asked).fetchall()


def test_a_writer_that_never_ends_is_waited_for_and_then_reported(ledger: Database, ledger_url: str) -> None:
    recordings = waiting_order(ledger)
    before = everything(ledger)
    with Database(ledger_url, busy_seconds=SOON) as impatient:
        with ledger.write():
            with pytest.raises(OperationalError):
                record(impatient, recordings[-1].order, recordings[-1].entries)
            assert everything(impatient) == before
        record(impatient, recordings[-1].order, recordings[-1].entries)
    must_be_whole(ledger, recordings[-1].order)


def test_a_server_that_ends_a_connection_loses_nothing(ledger: Database, ledger_url: str, backend: str) -> None:
    """In the middle of a recording, and between two."""
    if backend != "postgresql":
        pytest.skip("a server's connections")
    recordings = waiting_order(ledger)
    before = everything(ledger)
    own = "pid <> pg_backend_pid() AND datname = current_database()"
    end_all = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own}"

    def end_at_the_fills(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO fills"):
            _execute(ledger_url, end_all)

    sa.event.listen(ledger.engine, "before_cursor_execute", end_at_the_fills)
    with pytest.raises(DBAPIError):
        record(ledger, recordings[-1].order, recordings[-1].entries)
    sa.event.remove(ledger.engine, "before_cursor_execute", end_at_the_fills)
    assert everything(ledger) == before
    _execute(ledger_url, end_all)
    record(ledger, recordings[-1].order, recordings[-1].entries)
    must_be_whole(ledger, recordings[-1].order)


def _execute(url: str, statement: str) -> None:
    engine = sa.create_engine(Database(url).url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize("gone", [Path.unlink, lambda path: path.rename(path.with_suffix(".away"))])
def test_a_file_that_is_gone_takes_no_more_writes(tmp_path: Path, gone: Callable[[Path], object]) -> None:
    """SQLite itself would go on writing into the file that nobody can open any more."""
    file = empty_ledger(tmp_path / "ledger.db")
    with Database(f"sqlite:///{file}") as ledger:
        recordings = waiting_order(ledger)
        gone(file)
        for _ in range(2):
            with pytest.raises(LedgerUnusable, match="deleted or replaced"):
                record(ledger, recordings[-1].order, recordings[-1].entries)
        with pytest.raises(LedgerUnusable), ledger.read():
            pass
    assert not file.exists(), "an empty ledger in its place would be worse"


def test_a_file_that_was_put_back_is_used_again(tmp_path: Path) -> None:
    file, away = empty_ledger(tmp_path / "ledger.db"), tmp_path / "away.db"
    with Database(f"sqlite:///{file}") as ledger:
        with Database(f"sqlite:///{file}") as other:
            recordings = waiting_order(other)
        enter(ledger, new_order("open"))
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(file, away)
        away.replace(file)
        with pytest.raises(LedgerUnusable, match="deleted or replaced while it was open"):
            record(ledger, recordings[-1].order, recordings[-1].entries)
        record(ledger, recordings[-1].order, recordings[-1].entries)
        must_be_whole(ledger, recordings[-1].order)
