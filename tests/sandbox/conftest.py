"""A fresh sandbox for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from tests.ledgers import empty_ledger
from tests.sandbox.serving import Clock, Served, pushed

Serve = Callable[..., Served]
"""The fixture `serve`: settings by name."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return empty_ledger(tmp_path / "exchange.db")


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
