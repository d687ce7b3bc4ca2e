"""One engine over SQLite (WAL) or PostgreSQL, with one writer at a time on both."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from trading.errors import LedgerUnusable

BUSY_SECONDS = 30
"""How long a writer waits for another process's transaction before it fails and is tried again."""
WRITER_LOCK = 0x0D0E
"""PostgreSQL advisory lock: writers queue up, so event ids become visible in their order, without gaps."""


class Database:
    """Short transactions over the ledger. Thread-safe.

    A transaction either commits whole or leaves nothing: a killed process, a full disk or a lost connection
    in the middle of it changes nothing.
    """

    def __init__(self, url: str) -> None:
        """Raises `LedgerUnusable` for a URL that is not one. Connects only when used."""
        try:
            self.url = sa.make_url(url)
            self.is_sqlite = self.url.get_backend_name() == "sqlite"
            connect: dict[str, Any] = {"timeout": BUSY_SECONDS} if self.is_sqlite else {}
            self.engine = sa.create_engine(
                self.url, connect_args=connect, pool_pre_ping=not self.is_sqlite, pool_size=16
            )
        except (SQLAlchemyError, ImportError) as error:
            raise LedgerUnusable(f"ledger.url: not a usable database URL ({type(error).__name__})") from None
        self._writing = threading.Lock()
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; what other transactions do meanwhile is not seen."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is alone in writing; committed at the end of the block, undone by any exception."""
        with self._writing, self.engine.begin() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """WAL with synchronous=NORMAL survives a killed process whole; power loss may take the last commits."""
    connection.isolation_level = None  # transactions begin where `read` and `write` say so
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
