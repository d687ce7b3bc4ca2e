"""Makes the ledger anew out of the workflow histories, in a file beside it, and puts it in its place if told to."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from temporalio.client import Client

from durable_orders.histories import Histories, runs_of
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import LedgerUnusable, RefusedError, ServerUnreachable
from durable_orders.trading.ledger.comparing import Comparison, compared
from durable_orders.trading.ledger.homes import take_mark
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.rebuilding import Rebuilding, Sources
from durable_orders.trading.orders.order import Frozen
from durable_orders.workers import ports, server
from durable_orders.workers.connection import connect
from durable_orders.workers.environment import configured_server
from durable_orders.workers.home import Home
from durable_orders.workers.one_home import mark_at

Progress = Callable[[int, int], None]
"""Called with how many orders are replayed, and how many there are."""


class Rebuilt(Frozen):
    """What came of it."""

    ledger: str
    """Where the rebuilt ledger is."""
    sources: Sources
    troubles: tuple[str, ...]
    """Histories that today's program cannot follow. What the old ledger has of those orders is kept."""
    comparison: Comparison | None
    """`None` without an old ledger that could be read."""
    backup: str | None
    """Where the old ledger was put aside; `None` where it was not replaced."""


async def rebuild(home: Home, settings: Settings, *, replace: bool, progress: Progress) -> Rebuilt:
    """Build the new ledger from the histories of the settings' account, and compare it with the old one.

    The old one is replaced only if asked for, and if nothing uses it: `RefusedError` or `HomeUnusable` otherwise.
    """
    place = Place.of(home, settings)
    if replace and place.present is None:
        raise RefusedError("ledger.url: is PostgreSQL, and only a SQLite ledger can be replaced")
    async with AsyncExitStack() as stack:
        is_up = configured_server() is not None or await server.adopt(home) is not None
        if replace or not is_up:
            stack.enter_context(home.make().locked())
        if not is_up:
            await stack.enter_async_context(_own_server(home))
        if replace:
            place.must_be_unused()
        rebuilt = await _built(await connect(home, settings), settings.account, place, alone=replace, progress=progress)
        return place.put_in(rebuilt) if replace else rebuilt


async def _built(client: Client, account: str, place: "Place", *, alone: bool, progress: Progress) -> Rebuilt:
    place.clear()
    try:
        with ExitStack() as stack:
            old = stack.enter_context(place.old_ledger(alone=alone))
            new = stack.enter_context(open_database(f"sqlite:///{place.target}"))
            rebuilding = Rebuilding(old)
            troubles = await _replay(client, account, rebuilding, progress)
            sources = rebuilding.write(new)
            if (mark := await mark_at(client, account)) is not None:
                take_mark(new, account, mark, datetime.now(UTC))
            with new.read() as connection:
                comparison = compared(old, connection) if old is not None else None
    except BaseException:
        place.clear()
        raise
    target = str(place.target)
    return Rebuilt(ledger=target, sources=sources, troubles=troubles, comparison=comparison, backup=None)


async def _replay(client: Client, account: str, rebuilding: Rebuilding, progress: Progress) -> tuple[str, ...]:
    histories, troubles = Histories(client), []
    runs_by_order = await runs_of(client, account)
    for number, (order_id, runs) in enumerate(runs_by_order.items(), 1):
        replayed = [await histories.replayed(run) for run in runs]
        broken = [f"{order_id}: {each.trouble}" for each in replayed if each.trouble]
        troubles += broken
        rebuilding.take(order_id, [] if broken else [told for each in replayed for told in each.told])
        progress(number, len(runs_by_order))
    return tuple(troubles)


@asynccontextmanager
async def _own_server(home: Home) -> AsyncIterator[None]:
    """The home's server, for this alone. On ports of its own: workers that wait for the other one do not find it."""
    if not home.temporal_db.exists():
        raise ServerUnreachable(f"home {home.path}: there are no histories to rebuild from")
    async with server.running(home, ports.ANY, ports.ANY):
        yield


@dataclass(frozen=True, slots=True)
class Place:
    """Where the old ledger is, and where the new one is made."""

    url: str
    present: Path | None
    """The old ledger's file, there or not; `None` where it is PostgreSQL."""
    target: Path

    @classmethod
    def of(cls, home: Home, settings: Settings) -> "Place":
        url = home.ledger_url(settings)
        parsed = sa.make_url(url)
        present = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
        return cls(url, present, (present or home.ledger_db).resolve().with_suffix(".rebuilt.db"))

    def clear(self) -> None:
        """Nothing is left of an earlier new one."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.target.with_name(self.target.name + suffix).unlink(missing_ok=True)

    @contextmanager
    def old_ledger(self, *, alone: bool) -> Iterator[sa.Connection | None]:
        """The old ledger as it is in this moment; `None` if there is none, or only a file that is damaged.

        With `alone`, nobody writes to it meanwhile.
        """
        if self.present is not None and (not self.present.exists() or _is_damaged(self.present)):
            yield None
            return
        with open_database(self.url) as database, database.write() if alone else database.read() as connection:
            yield connection

    def must_be_unused(self) -> None:
        """Raises `RefusedError`."""
        if self.present is not None and self.present.exists():
            _settle(self.present)

    def put_in(self, rebuilt: Rebuilt) -> Rebuilt:
        """The new file under the old one's name, in one step; the old one stays under a name of its own."""
        if self.present is None:
            return rebuilt
        _settle(self.target)
        backup = None
        if self.present.exists():
            _settle(self.present)
            backup = self.present.with_suffix(f".{datetime.now(UTC):%Y%m%dT%H%M%S}.db")
            try:
                os.link(self.present, backup)
            except OSError:  # a file system without hard links
                shutil.copy2(self.present, backup)
        self.target.replace(self.present)
        return rebuilt.model_copy(update={"ledger": str(self.present), "backup": str(backup) if backup else None})


def _is_damaged(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(file)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.OperationalError as error:
        raise LedgerUnusable(f"ledger {file}: {error}") from None
    except sqlite3.DatabaseError:
        return True


def _settle(file: Path) -> None:
    """Bring everything into the one file. SQLite does that only for somebody who is alone with it."""
    try:
        with closing(sqlite3.connect(file, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError:
        raise RefusedError(f"ledger {file}: something still uses it, such as a worker; it was not replaced") from None
    except sqlite3.DatabaseError:
        return  # damaged: it is put aside as it is
    with file.open("rb") as written:
        os.fsync(written.fileno())
