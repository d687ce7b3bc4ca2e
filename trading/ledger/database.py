"""One engine over SQLite (WAL) or PostgreSQL. On SQLite there is one writer at a time, on PostgreSQL one an account."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger import turns
from durable_orders.trading.ledger.prepared import PreparedConnection

BUSY_SECONDS = 30.0
"""How long a writer waits for another process's transaction before it fails and is tried again."""
CONNECT_SECONDS = 10
"""How long a PostgreSQL server may take to answer before it counts as not reachable."""
FILE = "file"
"""Under which name a connection's info has its file's identity."""
SYNCHRONOUS = "synchronous"
"""And under which how it writes to the disk."""
NORMAL, FULL = "NORMAL", "FULL"
CHANGED = "changed"
"""And under which the accounts whose state this transaction changes."""
ACCOUNT = "account"
"""And under which the only account that this transaction writes; none where it may write all."""
SETTLED = "settled"
"""And under which how far the feed of all accounts can be read in it; nothing where it was not asked."""
GONE = "the file was deleted or replaced while it was open"
POOL = 16
"""Connections that are kept open."""
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


class LedgerBusy(Exception):
    """Somebody else is writing, and who asked does not wait. Nothing was done."""


class States(Protocol):
    """Keeps the states of accounts beside the ledger, in the transactions that change them."""

    def agrees(self, connection: sa.Connection, account: str) -> bool: ...
    def keep(self, connection: sa.Connection, account: str) -> None: ...


class Database:
    """Short transactions over the ledger. Thread-safe, but `write` must not be entered twice by one thread, whatever
    the accounts.

    A transaction either commits whole or leaves nothing: a killed process, a full disk or a lost connection
    in the middle of it changes nothing.
    """

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS, states: States | None = None) -> None:
        """Raises `LedgerUnusable` for a URL that is not one. Connects only when used."""
        self.url = _checked(url)
        self.states = states
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._busy_seconds = busy_seconds
        self._writing: dict[str | None, threading.Lock] = {}
        self._was_open = False
        self._asks = threading.local()
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgresql_engine()
        self._reader = self.engine
        if not self.is_sqlite:
            self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ")

    def _sqlite_engine(self) -> sa.Engine:
        engine = sa.create_engine(self.url, connect_args={"timeout": self._busy_seconds}, pool_size=POOL)
        sa.event.listen(engine, "do_connect", self._make_no_second_file)
        sa.event.listen(engine, "connect", self._prepare_sqlite)
        return engine

    def _postgresql_engine(self) -> sa.Engine:
        """READ COMMITTED whatever the server's default: a writer must see what was committed before its turn."""
        connect = {} if "connect_timeout" in self.url.query else {"connect_timeout": CONNECT_SECONDS}
        return sa.create_engine(
            self.url, connect_args=connect, pool_pre_ping=True, pool_size=POOL, isolation_level="READ COMMITTED"
        )

    @property
    def place(self) -> str:
        """Where it is, for messages: a file, or user, host and database. Never holds a password."""
        if self.is_sqlite:
            return str(self.url.database)
        shown = sa.URL.create("postgresql", self.url.username, None, self.url.host, self.url.port, self.url.database)
        return shown.render_as_string()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; what other transactions do meanwhile is not seen. Raises `LedgerUnusable` if a file that
        was open is gone."""
        with self._connected(self._reader) as connection:
            if self.is_sqlite:
                self._must_be_there(connection)
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def read_feed(self) -> Iterator[sa.Connection]:
        """The same for the feed of all accounts: `feed_of_all` is how far it can be read in it, so that nothing turns
        up later under a smaller number."""
        settled = None if self.is_sqlite else turns.settled(self.engine)
        with self.read() as connection, _noted(connection.info, {SETTLED: settled}):
            yield connection

    @contextmanager
    def write(self, account: str | None = None, *, durable: bool = False) -> Iterator[sa.Connection]:
        """A transaction that is alone in writing; committed at the end of the block, undone by any exception.

        With an `account`, it writes nothing of any other one, and on PostgreSQL those write meanwhile. A `durable` one
        outlives a power cut, too: what depends on it may be done as soon as the block has ended. Raises SQLAlchemy's
        `OperationalError` if another process writes for longer than `busy_seconds`, and `LedgerUnusable` if a file that
        was open is gone; within `without_waiting`, `LedgerBusy`.
        """
        waits = not getattr(self._asks, "without_waiting", False)
        with self._alone(account, waits=waits), self._connected(self.engine) as connection, connection.begin():
            if self.is_sqlite:
                self._must_be_there(connection)
                _synchronize(connection, FULL if durable else NORMAL)
                self._begin(connection, waits=waits)
            else:
                turns.take(connection, account, self._busy_seconds)
            changed: set[str] = set()
            whole = {SETTLED: None} if account is None else {}
            with _noted(connection.info, {CHANGED: changed, ACCOUNT: account} | whole):
                yield connection
            if self.states is not None:
                for each in sorted(changed):
                    self.states.keep(connection, each)

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """For a thread that must not stand still: within, a transaction that would have to wait for another one's
        raises `LedgerBusy` before it begins. A server's ledger always waits, for its answers."""
        if not self.is_sqlite:
            raise LedgerBusy
        self._asks.without_waiting = True
        try:
            yield
        finally:
            self._asks.without_waiting = False

    @contextmanager
    def _alone(self, account: str | None, *, waits: bool) -> Iterator[None]:
        """Threads wait here, where no connection is taken up by that."""
        writing = self._writing.setdefault(None if self.is_sqlite else account, threading.Lock())
        if not writing.acquire(blocking=waits):
            raise LedgerBusy
        try:
            yield
        finally:
            writing.release()

    def _begin(self, connection: sa.Connection, *, waits: bool) -> None:
        if waits:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        driver = connection.connection.cursor()
        driver.execute("PRAGMA busy_timeout=0")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                raise
            raise LedgerBusy from None
        finally:
            driver.execute(f"PRAGMA busy_timeout={round(self._busy_seconds * 1000)}")

    def _connected(self, engine: sa.Engine) -> sa.Connection:
        return PreparedConnection(engine) if self.is_sqlite else engine.connect()

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _must_be_there(self, connection: sa.Connection) -> None:
        """A file that was deleted or replaced goes on taking writes that nobody will ever read."""
        if connection.info[FILE] != _identity(self.place):
            self.engine.dispose()
            raise LedgerUnusable(f"ledger {self.place}: {GONE}")

    def _make_no_second_file(self, *_arguments: Any) -> None:
        """Nor is a new one made in its place, which would be an empty ledger."""
        if self._was_open and _identity(self.place) is None:
            raise LedgerUnusable(f"ledger {self.place}: {GONE}")

    def _prepare_sqlite(self, connection: sqlite3.Connection, record: Any) -> None:
        """WAL with synchronous=NORMAL survives a killed process whole; power loss may take the last commits, but for
        those before a `durable` one."""
        connection.isolation_level = None  # transactions begin where `read` and `write` say so
        _switch_to_wal(connection, time.monotonic() + self._busy_seconds)
        connection.execute(f"PRAGMA synchronous={NORMAL}")
        record.info[SYNCHRONOUS] = NORMAL
        record.info[FILE] = _identity(self.place)
        self._was_open = True


def writes(connection: sa.Connection, account: str) -> None:
    """This transaction writes something of that account. Raises `RuntimeError` if it is another one's: two that write
    one account at once would break its books."""
    own = connection.info.get(ACCOUNT)
    if own is not None and own != account:
        raise RuntimeError(f"account: this transaction writes {own} alone, and not {account}")


def feed_of_all(connection: sa.Connection) -> int | None:
    """The last number up to which the feed of all accounts is whole in this transaction; `None` where all of it is.
    Raises `RuntimeError` in one that was not begun for it."""
    if connection.dialect.name == "sqlite":
        return None
    if SETTLED not in connection.info:
        raise RuntimeError("feed of all accounts: it is read within Database.read_feed")
    settled: int | None = connection.info[SETTLED]
    return settled


def changes_state(connection: sa.Connection, account: str) -> None:
    """This transaction changes how far the account may trade, or whose it is."""
    connection.info.setdefault(CHANGED, set()).add(account)


@contextmanager
def _noted(info: dict[Any, Any], notes: Mapping[str, Any]) -> Iterator[None]:
    """A connection outlives its transaction: what is noted of that goes with it."""
    info.update(notes)
    try:
        yield
    finally:
        for name in notes:
            info.pop(name, None)


def _synchronize(connection: sa.Connection, how: str) -> None:
    if connection.info[SYNCHRONOUS] != how:
        connection.exec_driver_sql(f"PRAGMA synchronous={how}")
        connection.info[SYNCHRONOUS] = how


def _identity(path: str) -> tuple[int, int] | None:
    """Which file has that name now; `None` for none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _checked(url: str) -> sa.URL:
    """The URL with its driver. The text of a bad one is not shown: it may hold a password."""
    try:
        parsed = sa.make_url(url)
        url.encode()
    except (SQLAlchemyError, ValueError):
        raise LedgerUnusable("ledger.url: not a database URL") from None
    if "\0" in url or "\n" in url:
        raise LedgerUnusable("ledger.url: must be one line of text")
    if parsed.drivername not in DRIVERS:
        raise LedgerUnusable("ledger.url: must begin with sqlite:/// or postgresql://")
    parsed = parsed.set(drivername=DRIVERS[parsed.drivername])
    if parsed.drivername == "sqlite":
        if not parsed.database or parsed.database.startswith(("file:", ":memory:")) or parsed.host or parsed.query:
            raise LedgerUnusable("ledger.url: SQLite takes a file's path and nothing else, as in sqlite:///ledger.db")
    elif "@" in (parsed.host or ""):
        raise LedgerUnusable("ledger.url: an @ in the password must be written as %40")
    return parsed


def _switch_to_wal(connection: sqlite3.Connection, until: float) -> None:
    """SQLite does not wait its turn at this one switch, so two processes that make the file at once try again."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
