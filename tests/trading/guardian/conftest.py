"""A guardian over a ledger of its own, at a moment that stands still."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order, OrderIntent
from durable_orders.trading.orders.verdict import Verdict
from tests.ledgers import open_empty_ledger

NOW = datetime(2025, 5, 5, 5, 0, tzinfo=UTC)
"""10:30 IST on a Monday."""
SESSION_END = NOW + timedelta(hours=5)
FUTURE = "NFO:NIFTY25MAYFUT"
"""Lot 75, tick 0.05."""
LAST_PRICE = Decimal("24300.00")
INSTRUMENTS = Instruments.shipped()


class MakeGuardian(Protocol):
    def __call__(self, **limits: Any) -> Guardian: ...


def an_order(**terms: Any) -> Order:
    """A market order for one lot, or whatever else is given."""
    intent = OrderIntent(**{"symbol": FUTURE, "side": "BUY", "quantity": 75} | terms)
    return Order.from_intent(intent, NOW)


def admitted(guardian: Guardian, order: Order, place_by: datetime | None = None, run_id: str = "run") -> Verdict:
    return guardian.admit(order, run_id, f"content of {order.order_id}", place_by)


def guardian_over(database: Database, limits: dict[str, Any]) -> Guardian:
    settings = Settings.model_validate({"guardian": limits})
    return Guardian(database, INSTRUMENTS, settings, lambda _connection, _moment: SESSION_END, lambda: NOW)


def show_tick(database: Database, price: Decimal = LAST_PRICE) -> None:
    with database.write() as connection:
        save_ticks(connection, "paper", [Tick(FUTURE, price, NOW)], NOW)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    """A ledger that has seen a tick of the future."""
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        show_tick(database)
        yield database


@pytest.fixture
def guardian_with(ledger: Database) -> MakeGuardian:
    """Makes guardians with these limits: `guardian_with(max_order_quantity=75)`."""
    return lambda **limits: guardian_over(ledger, limits)


@pytest.fixture
def guardian(guardian_with: MakeGuardian) -> Guardian:
    """A guardian without limits."""
    return guardian_with()
