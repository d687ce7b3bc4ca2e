"""An account at a sandbox whose engines go over Kite's client, and what it has there."""

import threading
from pathlib import Path
from typing import Any

from kiteconnect import KiteConnect

from durable_orders.engines import LiveExecutionEngine
from durable_orders.trading.orders.order import Order
from tests.conftest import eventually, new_account
from tests.sandbox.serving import Served

QUICK: dict[str, Any] = {"settle_window": 0.5, "retry_delay": 0.01, "reconciliation_interval": 0.1}
LIMIT: dict[str, Any] = {"order_type": "LIMIT", "price": 1490.0}


class Account:
    """An account at a sandbox, and its folder: engines over its broker are made one after the other, or at once."""

    def __init__(self, path: Path, served: Served, broker: Any) -> None:
        self.served, self.broker = served, broker
        self.name, self.folder = new_account(), path / "desk"

    def engine(
        self, broker: Any = None, guardian: Any = None, state_store: Any = None, journal_store: Any = None
    ) -> LiveExecutionEngine:
        execution = {"live": QUICK, "folder": str(self.folder)}
        config = {"account": self.name, "execution": execution, "guardian": {"enabled": True}}
        return LiveExecutionEngine(broker or self.broker, guardian, state_store, journal_store, config)


async def polled(engine: LiveExecutionEngine, order: Order) -> Order:
    """As it stands after a look at the book."""
    [found] = [each for each in await engine.poll_orders() if each.order_id == order.order_id]
    return found


async def stands(engine: LiveExecutionEngine, order: Order, *statuses: str) -> Order:
    """The order, once it has one of these statuses."""

    async def reached() -> Order | None:
        found = await polled(engine, order)
        return found if found.status in statuses else None

    found = await eventually(reached, f"{order.order_id} {statuses}")
    assert found is not None
    return found


def accepted(served: Served) -> int:
    return sum(len(ids) for ids in served.tally()["accepted"].values())


def rows(served: Served, order: Order) -> list[Any]:
    """The broker's, with the order's tag."""
    return [row for row in served.kite().orders() if row["tag"] == order.tag]


class Slow:
    """Kite's client, with a place order that is on its way until it is let go, and may end its thread then."""

    def __init__(self, kite: KiteConnect, *, dies: bool = False) -> None:
        self.kite = kite
        self.dies = dies
        self.began = threading.Event()
        self.go_on = threading.Event()

    def place_order(self, tradingsymbol: str, **terms: Any) -> str:
        self.began.set()
        assert self.go_on.wait(60)
        placed = str(self.kite.place_order(tradingsymbol=tradingsymbol, **terms))
        if self.dies:
            raise SystemExit
        return placed

    def cancel_order(self, variety: str, order_id: str) -> str:
        return str(self.kite.cancel_order(variety, order_id))

    def orders(self) -> Any:
        return self.kite.orders()
