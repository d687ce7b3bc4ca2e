"""New ledgers for tests: copies of one that was migrated once, 2 ms each where the migrations take 150."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import open_database


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "ledger.db"
        open_database(f"sqlite:///{file}").close()
        return file.read_bytes()


def empty_ledger(file: Path) -> Path:
    """A SQLite ledger at that place, with all tables and nothing in them."""
    file.write_bytes(_migrated())
    return file


def open_empty_ledger(file: Path) -> Database:
    """The same, opened."""
    return open_database(f"sqlite:///{empty_ledger(file)}")
