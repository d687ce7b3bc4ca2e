"""The older interface over today's paper engine: in this process, and over the desk of a home."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from durable_orders.v2 import ExecutionEngineV2ToV3Adapter, JournalStateStore, OrderIntent, create_execution_engine
from tests.durable_orders.program import Program
from tests.durable_orders.v2 import markets
from tests.durable_orders.v2.sessions import Journal, Store, intent

Make = Callable[..., ExecutionEngineV2ToV3Adapter]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[ExecutionEngineV2ToV3Adapter] = []

    def adapter(market: Any, state: Any = None, journal: Any = None, **config: Any) -> ExecutionEngineV2ToV3Adapter:
        engine = create_execution_engine("paper", config, state, journal, mde=market)
        assert isinstance(engine, ExecutionEngineV2ToV3Adapter)
        made.append(engine)
        return engine

    yield adapter
    for one in made:
        one.close()


@pytest.mark.parametrize("market", markets.ALL)
def test_every_way_to_ask_for_the_last_price(make: Make, market: type) -> None:
    result = make(market(200.0)).execute_intent(intent())
    assert (result.status, result.avg_price) == ("FILLED", 200.1)


def test_the_fill_models_of_the_settings(make: Make) -> None:
    models = {"slippage_enabled": False, "partial_fill_enabled": True, "partial_fill_probability": 1.0}
    result = make(markets.LatestCandle(), execution={"paper": models}).execute_intent(intent(qty=50))
    assert (result.status, result.qty, (result.raw or {})["filled_qty"], result.avg_price) == ("PARTIAL", 50, 25, 100.0)


def test_a_limit_away_from_the_market_rests_and_meets_the_next_price(make: Make) -> None:
    market, store, journal = markets.LatestCandle(), Store(), Journal()
    engine = make(market, store, journal)
    resting = engine.execute_intent(intent(order_type="LIMIT", price=95.0))
    assert resting.status == "PLACED"
    market.close = 94.0
    engine.on_order_update({})
    assert store.state["positions"][0]["qty"] == 10
    last = journal.rows[-1]
    assert (last["order_id"], last["status"], last["avg_price"]) == (resting.order_id, "FILLED", 94.05)


def test_a_round_trip_is_booked_and_journaled(make: Make, tmp_path: Any) -> None:
    store, journal = Store(), JournalStateStore(artifacts_dir=tmp_path)
    engine = make(markets.LatestCandle(), store, journal)
    engine.execute_intent(intent(qty=50))
    engine.execute_intent(intent("SELL", 20))
    assert store.state["equity"] == {"realized_pnl": -2.0}
    [position] = journal.rebuild_from_journal()["broker"]["positions"]
    assert (position["quantity"], position["avg_price"]) == (30, 100.05)


class Silent:
    def get_latest_candle(self, symbol: str, timeframe: str) -> None:
        return None


@pytest.mark.parametrize(
    ("market", "config", "order", "message"),
    [
        (Silent(), {}, intent(), "No market data available for NIFTY24DECFUT"),
        (markets.LatestCandle(0.0), {}, intent(), "Invalid price data for NIFTY24DECFUT"),
        (markets.LatestCandle(), {}, intent("HOLD"), "Invalid order: side: "),
        (
            markets.LatestCandle(),
            {"guardian": {"enabled": True, "max_lot_size": 20}},
            intent(qty=21),
            "Guardian blocked: Order quantity 21 exceeds max_lot_size 20",
        ),
    ],
)
def test_what_refuses(make: Make, market: Any, config: Any, order: OrderIntent, message: str) -> None:
    journal = Journal()
    result = make(market, None, journal, **config).execute_intent(order)
    assert (result.status, result.order_id) == ("REJECTED", None)
    assert (result.message or "").startswith(message)
    assert journal.rows[-1]["status"] == "REJECTED"


def test_a_trade_counts_after_a_restart(make: Make) -> None:
    store, config = Store(), {"execution": {"circuit_breakers": {"max_trades_per_day": 1}}}
    assert make(markets.LatestCandle(), store, **config).execute_intent(intent()).status == "FILLED"
    refused = make(markets.LatestCandle(), store, **config).execute_intent(intent())
    assert refused.raw == {"reason": "CAP_TOTAL"}


def test_an_id_of_another_order_is_refused_and_its_order_left_alone(make: Make) -> None:
    store = Store()
    engine = make(markets.LatestCandle(), store)
    engine.execute_intent(intent(metadata={"client_order_id": "one"}))
    result = engine.execute_intent(intent("SELL", metadata={"client_order_id": "one"}))
    assert (result.status, result.order_id) == ("REJECTED", None)
    assert store.state["positions"][0]["qty"] == 10


def test_a_closed_engine_takes_nothing(make: Make) -> None:
    engine = make(markets.LatestCandle())
    engine.close()
    engine.close()
    assert engine.execute_intent(intent()).message == "Execution error: the engine is closed"


def test_an_older_configuration_with_a_least_edge_is_taken(make: Make) -> None:
    engine = make(markets.LatestCandle(), trading={"trade_throttler": {"min_edge_vs_cost_rupees": 50.0}})
    assert engine.execute_intent(intent()).status == "FILLED"


def lot(side: str = "BUY", qty: int = 75, **more: Any) -> OrderIntent:
    return OrderIntent("NIFTY25MAYFUT", "v2", side, qty, **more)


def test_over_a_home_orders_are_durable(make: Make, desk: Program, own_id: str) -> None:
    store, journal = Store(), Journal()
    engine = make(None, store, journal, execution={"home": str(desk.home)})
    named = lot(metadata={"client_order_id": own_id})
    first = engine.execute_intent(named)
    assert (first.status, first.order_id) == ("FILLED", f"order:paper:{own_id}")
    shown = desk.here("show", own_id, "--json").json["order"]
    assert (shown["status"], shown["strategy"], float(shown["average_price"])) == ("FILLED", "v2", first.avg_price)
    assert store.state["positions"][0]["qty"] == 75
    assert journal.rows[-1]["status"] == "FILLED"
    engine.close()
    again = make(None, store, journal, execution={"home": str(desk.home)}).execute_intent(named)
    assert (again.order_id, again.avg_price) == (first.order_id, first.avg_price)
    assert store.state["positions"][0]["qty"] == 75


def test_over_a_home_its_guardian_checks(make: Make, desk: Program) -> None:
    engine = make(None, None, None, execution={"home": str(desk.home)})
    result = engine.execute_intent(lot(qty=1875))
    assert result.status == "REJECTED"
    assert "quantity may be at most 1800, was 1875" in (result.message or "")


def test_without_a_server_nothing_is_sent(make: Make, tmp_path: Any) -> None:
    engine = make(None, None, None, execution={"home": str(tmp_path)})
    result = engine.execute_intent(lot())
    assert result.status == "REJECTED"
    assert (result.message or "").startswith("Execution error: ")
    assert engine.apply_circuit_breakers(lot())
