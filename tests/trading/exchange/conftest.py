"""A fresh exchange for each test, on SQLite; `any_exchange` runs on a real PostgreSQL server too."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from durable_orders.trading.config.settings import Paper
from tests.ledgers import empty_ledger
from tests.trading.exchange.exchange import PLAIN, Exchange
from tests.trading.ledger.conftest import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite ledger with all tables, and nothing in them."""
    return f"sqlite:///{empty_ledger(tmp_path / 'exchange.db')}"


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[Paper], Exchange]]:
    """Opens the exchange with other settings; its market is owned, and has shown nothing yet."""
    with ExitStack() as stack:

        def open_exchange(settings: Paper) -> Exchange:
            exchange = stack.enter_context(closing(Exchange(url, settings)))
            exchange.market.take_over()
            return exchange

        yield open_exchange


@pytest.fixture
def exchange(opened: Callable[[Paper], Exchange]) -> Exchange:
    return opened(PLAIN)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    with closing(Exchange(_any_url(request))) as exchange:
        exchange.market.take_over()
        yield exchange


def _any_url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return str(request.getfixturevalue("url"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_ledger()
