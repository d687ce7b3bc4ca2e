"""Both engines of the older interface over Kite's own client, against the sandbox and its faults."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from durable_orders.v2 import ExecutionResult, OrderIntent, create_execution_engine
from tests.conftest import new_account
from tests.durable_orders.v2.sessions import Journal, Store
from tests.sandbox.conftest import clock, database, kite, serve, served
from tests.sandbox.serving import Served, until

QUICK = {"settle_window": 0.5, "retry_delay": 0.01, "reconciliation_interval": 0.1}


class Session:
    """An engine, and what it writes to."""

    def __init__(self, kite: KiteConnect, folder: Path, *, use_v3: bool) -> None:
        self.kite, self.store, self.journal = kite, Store(), Journal()
        config = {"account": new_account(), "execution": {"live": QUICK, "folder": str(folder)}}
        self.engine = create_execution_engine("live", config, self.store, self.journal, broker=self.kite, use_v3=use_v3)

    def buy(self, symbol: str = "INFY", price: float | None = None) -> ExecutionResult:
        kind = "MARKET" if price is None else "LIMIT"
        intent = OrderIntent(symbol, "s", "BUY", 10, kind, price=price, metadata={"exchange": "NSE"})
        return self.engine.execute_intent(intent)

    def hear(self) -> None:
        """The broker's updates, each of them twice."""
        for row in self.kite.orders() * 2:
            self.engine.on_order_update(row)

    def is_over(self) -> bool:
        self.hear()
        return not self.store.state["open_orders"]


@pytest.fixture(params=[True, False], ids=["v3", "v2"])
def session(
    request: pytest.FixtureRequest, kite: KiteConnect, tmp_path: Path, over_the_shared_server: None
) -> Iterator[Session]:
    session = Session(kite, tmp_path / "desk", use_v3=request.param)
    yield session
    session.engine.close()


def accepted(served: Served) -> int:
    return sum(len(ids) for ids in served.tally()["accepted"].values())


def test_an_order_is_placed_filled_and_booked_once(session: Session) -> None:
    assert session.buy().status in ("PLACED", "FILLED")
    until(session.is_over)
    [position] = session.store.state["positions"]
    assert (position["symbol"], position["qty"], position["avg_price"]) == ("INFY", 10, 1500.0)
    assert session.store.state["open_orders"] == []
    assert [row["status"] for row in session.journal.rows].count("FILLED") == 1


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_504", "empty_body"])
def test_an_order_whose_answer_was_lost_is_found_and_not_sent_again(
    session: Session, served: Served, fault: str
) -> None:
    served.fault(fault)
    assert session.buy(price=1490.0).status == "PLACED"
    assert accepted(served) == 1
    assert [entry["status"] for entry in session.store.state["open_orders"]] == ["PLACED"]


def test_kites_no_is_a_rejection(session: Session, served: Served) -> None:
    refused = session.buy("NOSUCH")
    assert (refused.status, refused.order_id) == ("REJECTED", None)
    assert (refused.message or "").startswith("Broker error: ")
    assert accepted(served) == 0
    assert session.buy().status in ("PLACED", "FILLED")


__all__: list[Any] = ["clock", "database", "kite", "serve", "served"]
