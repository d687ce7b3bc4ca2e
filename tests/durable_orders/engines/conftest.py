"""The real Kite client against the sandbox, and the callers' own objects on files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_orders.trading.orders.order import Order
from durable_orders.v2 import JournalStateStore, StateStore
from tests.live.conftest import desks
from tests.sandbox.conftest import clock, database, kite, serve, served


@pytest.fixture
def state_store(tmp_path: Path) -> StateStore:
    return StateStore(checkpoint_path=tmp_path / "state.json", log_path=tmp_path / "events.jsonl")


@pytest.fixture
def journal_store(tmp_path: Path) -> JournalStateStore:
    return JournalStateStore(artifacts_dir=tmp_path / "artifacts", mode="live")


def older(symbol: str = "INFY", **fields: Any) -> Order:
    """An order as older code makes it: to buy 10 at the market."""
    content: dict[str, Any] = {
        "order_id": "",
        "symbol": symbol,
        "side": "BUY",
        "qty": 10,
        "order_type": "MARKET",
        "strategy": "s",
    }
    return Order(**content | {"tags": {"exchange": "NSE"}} | fields)


def rows_of(journal: JournalStateStore) -> Iterator[tuple[str, str]]:
    """Status and filled quantity of each row."""
    path = journal.latest_journal_path_for_today()
    assert path is not None
    header, *lines = [line.split(",") for line in path.read_text().splitlines()]
    for line in lines:
        yield line[header.index("status")], line[header.index("filled_quantity")]


__all__ = ["clock", "database", "desks", "kite", "serve", "served"]
