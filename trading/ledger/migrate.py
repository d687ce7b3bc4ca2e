"""Opens the ledger, and brings its tables up to this program's revision first."""

import os
import threading
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.database import Database, States
from durable_orders.trading.ledger.tables import metadata

NEWEST = "0035"
"""The revision of `tables.py`. A test holds it equal to the head of `migrations/versions`."""
SCRIPTS = "durable_orders.trading.ledger:migrations"
VERSION_TABLE = "alembic_version"

_upgrading = threading.Lock()
"""Alembic keeps the running migration in its module, so one at a time in a process, whatever the database."""


def open_database(url: str, *, states: States | None = None) -> Database:
    """The ledger at that SQLAlchemy URL, ready for use. A SQLite file is made, with its directory, if missing.
    `states` are kept beside it.

    Raises `LedgerUnusable`, with one line that names the place and the cause, if it cannot be used.
    """
    database = Database(url, states=states)
    try:
        if database.is_sqlite:
            _prepare_file(Path(database.place))
        with database.read() as connection:
            present = _revision(connection)
        if present != NEWEST:
            _upgrade(database)
    except (SQLAlchemyError, OSError, LedgerUnusable) as error:
        database.close()
        raise LedgerUnusable(f"ledger {database.place}: {cause_of(error, database.url)}") from None
    except BaseException:
        database.close()
        raise
    return database


def _prepare_file(path: Path) -> None:
    """SQLite reads a file that it may not write, and writes others beside it; better to hear of that now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise LedgerUnusable(f"{path.parent} is a file, and must be a directory") from None
    except OSError as error:
        raise LedgerUnusable(f"the directory {path.parent} cannot be made: {error.strerror}") from None
    effective = os.access in os.supports_effective_ids
    if path.is_dir():
        raise LedgerUnusable("is a directory, must be a file")
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=effective):
        raise LedgerUnusable(f"the directory {path.parent} is not writable")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=effective):
        raise LedgerUnusable("the file is not writable")


def _revision(connection: sa.Connection) -> str | None:
    """The revision that the database is at; `None` for a new one."""
    inspector = sa.inspect(connection)
    if inspector.has_table(VERSION_TABLE):
        version = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text))
        return connection.execute(sa.select(version.c.version_num)).scalar_one_or_none()
    foreign = sorted(set(inspector.get_table_names()) & set(metadata.tables))
    if foreign:
        raise LedgerUnusable(f"has a table {foreign[0]!r} that is not the ledger's")
    return None


def _upgrade(database: Database) -> None:
    """Runs the missing revisions in one transaction. Whoever comes second waits, and finds nothing left to do."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with _upgrading, database.write() as connection:
        present = _revision(connection)
        if present is not None and present not in known:
            raise LedgerUnusable(f"is at revision {present}, of a newer program; this one knows up to {NEWEST}")
        config.attributes["connection"] = connection
        command.upgrade(config, NEWEST)


def cause_of(error: Exception, url: sa.URL) -> str:
    """The driver's own words on one line, without a password."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    primary = getattr(getattr(driver, "diag", None), "message_primary", None)
    if isinstance(driver, OSError) and driver.strerror:
        primary = driver.strerror
    words = " ".join(str(primary or driver).split()) or type(driver).__name__
    for secret in (url.password, url.query.get("password")):
        if secret:
            words = words.replace(str(secret), "***")
    return words
