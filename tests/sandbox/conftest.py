"""A fresh sandbox for each test. Its database is a copy of one that has all tables, which is quicker than making it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from tests.sandbox.serving import Clock, Served, pushed
from trading.ledger.migrate import open_database

Serve = Callable[..., Served]
"""The fixture `serve`: settings by name."""


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sandbox") / "exchange.db"
    open_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "exchange.db"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve(database: Path, clock: Clock) -> Iterator[Serve]:
    """Serves until the end of the test. The same database each time: a second one goes on where the first was."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Served:
            served = Served(pushed(**{"database": database} | settings), clock)
            stack.callback(served.stop)
            return served

        yield start


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve()


@pytest.fixture
def kite(served: Served) -> KiteConnect:
    """INFY stands at 1500."""
    served.tick(1500)
    return served.kite()
