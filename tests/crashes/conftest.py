"""A paper market of one steady price, which shows a tick four times a second."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.orders import Orders
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick
from durable_orders.trading.orders.order import OrderIntent, OrderType, Side
from tests.conftest import eventually
from tests.crashes.processes import Process

INFY = "NSE:INFY"
LAST = Decimal("1500.0")
OPENS = datetime(2026, 1, 5, 9, 15, tzinfo=IST)
STEP = timedelta(seconds=15)
SPEED = 60.0
PAPER = {"slippage_enabled": False, "reconciliation_interval": 0.2, "settle_window": 0.5}
NEXT_TICK = {"stale_tick_seconds": 0}
"""Nothing is filled when it is placed: it rests until the next tick, of which only the watch can tell."""
IN_HALVES = {"partial_fill_enabled": True, "partial_fill_probability": 1}


@pytest.fixture(scope="session")
def steady_ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole session, which lasts some six minutes at `SPEED`."""
    file = tmp_path_factory.mktemp("ticks") / "steady.csv"
    moments = (OPENS + number * STEP for number in range(1500))
    rows = [f"{moment.isoformat()},{LAST}" for moment in moments]
    file.write_text("\n".join(["timestamp,last_price", *rows]) + "\n", encoding="utf-8")
    return file


def market(ticks: Path, **paper: Any) -> dict[str, Any]:
    """The settings of a home with that market."""
    return {
        "execution": {"paper": PAPER | paper},
        "market": {"ticks": str(ticks), "symbol": INFY, "speed": SPEED},
    }


async def market_shows(orders: Orders, process: Process) -> None:
    """Until there is a price to trade at, of which that process takes care."""

    async def shown() -> LastTick | None:
        assert process.poll() is None, "the worker has ended; what it said is in its home"
        return await orders.read(lambda ledger: last_tick(ledger, orders.settings.account, INFY))

    await eventually(shown, "a tick")


def buy(orders: Orders, price: Decimal | None, **more: Any) -> OrderIntent:
    """BUY 10 INFY, LIMIT at that price, MARKET without one."""
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    content = {"account": orders.settings.account, "symbol": INFY, "side": Side.BUY, "quantity": 10}
    return OrderIntent.model_validate(content | {"order_type": kind, "price": price} | more)
