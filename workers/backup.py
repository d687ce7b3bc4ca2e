"""Copies a home's databases while it runs: SQLite's own online backup, which blocks nobody and is of one moment each.

The ledger is copied first and the histories after it. So the histories know at least what the ledger knows, and what
the ledger lacks of them `durable-orders rebuild` brings back; the other way round, orders would have no workflow.
"""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import LedgerUnusable, RefusedError
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.state_files import LastState, Said, StateFiles
from durable_orders.trading.ledger.tables import accounts
from durable_orders.trading.orders.order import Frozen
from durable_orders.workers.directories import new_directory
from durable_orders.workers.home import SETTINGS_FILE, Home


class Copied(Frozen):
    """One file of a backup."""

    name: str
    size: int
    """Bytes."""


class Backup(Frozen):
    """What was copied, and what was not."""

    directory: str
    files: tuple[Copied, ...]
    left_out: tuple[str, ...]
    """Each with the reason: a database that is somewhere else has its own way to be backed up."""


def back_up(home: Home, settings: Settings, directory: Path) -> Backup:
    """Copy ledger, histories and settings file into a new directory, which is there when it is whole, and not before.
    A home that is made of it is HALTED, whatever account it serves: what is said of them from now on is not in it.

    Raises `RefusedError` if there is something of that name already or nothing to copy, `LedgerUnusable` for a database
    that is damaged, and `HomeUnusable` where a file cannot be written.
    """
    with new_directory(directory, "a backup") as half:
        left_out = _fill(half, home, settings)
        if not any(half.iterdir()):
            raise RefusedError(f"home {home.path}: there is nothing to back up; `durable-orders up` starts one")
        served = {settings.account, *_accounts(half / home.ledger_db.name), *StateFiles(home.path).accounts()}
        for account in sorted(served):
            _halted(half, account)
    files = tuple(Copied(name=file.name, size=file.stat().st_size) for file in sorted(directory.iterdir()))
    return Backup(directory=str(directory), files=files, left_out=tuple(left_out))


def _fill(half: Path, home: Home, settings: Settings) -> list[str]:
    """Copy what there is. Gives what was left out."""
    left_out = []
    url = sa.make_url(home.ledger_url(settings))
    if url.get_backend_name() != "sqlite":
        left_out.append("the ledger: it is on PostgreSQL, whose pg_dump copies it")
    elif Path(str(url.database)).exists():
        _copy(Path(str(url.database)), half / home.ledger_db.name)
    if home.temporal_db.exists():
        _copy(home.temporal_db, half / home.temporal_db.name)
    else:
        left_out.append(f"the histories: {home.temporal_db} is not there; a cluster has backups of its own")
    own = home.path / SETTINGS_FILE
    if own.exists():
        shutil.copyfile(own, half / SETTINGS_FILE)
        (half / SETTINGS_FILE).chmod(0o600)  # it may hold an API secret
    return left_out


def _accounts(ledger: Path) -> list[str]:
    """Those of the copied ledger, which its home may serve in turn. One without tables has none."""
    if not ledger.exists():
        return []
    with closing(sqlite3.connect(ledger)) as copy:
        if copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (accounts.name,)).fetchone() is None:
            return []
        return [account for (account,) in copy.execute(str(sa.select(accounts.c.account)))]


def _halted(half: Path, account: str) -> None:
    """Nobody can tell a home that is put back whole what was said of its account meanwhile."""
    at = datetime.now(UTC)
    reason = f"this home is a backup of {at.astimezone(IST):%d %B %Y %H:%M} IST, and what was said since is not in it"
    files, said = StateFiles(half), Said(at=at, message=reason)
    files.write(account, LastState(state=AccountState.HALTED, reason=reason, who="by the backup", since=at, said=said))


def _copy(source: Path, target: Path) -> None:
    """In one step, whatever is written meanwhile; then checked."""
    try:
        asked = f"{source.resolve().as_uri()}?mode=rw"
        with closing(sqlite3.connect(asked, uri=True)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
            [sound] = new.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise LedgerUnusable(f"{source}: cannot be copied: {error}") from None
    if sound != "ok":
        raise LedgerUnusable(f"{source}: is damaged: {sound}")
