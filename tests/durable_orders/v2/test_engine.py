"""The older engine on paper: its order of checks, its words, its rows, and what it keeps of a session."""

import asyncio
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from durable_orders.v2 import (
    ExecutionEngineV2,
    JournalStateStore,
    OrderIntent,
    StateStore,
    ThrottlerConfig,
    TradeThrottler,
)
from durable_orders.v2.guardian import TradeGuardian
from tests.durable_orders.v2 import markets
from tests.durable_orders.v2.sessions import Journal, ShortStore, Store, intent


def paper(
    state: Any = None, journal: Any = None, throttler: Any = None, market: Any = None, **config: Any
) -> ExecutionEngineV2:
    return ExecutionEngineV2("PAPER", None, state, journal, throttler, None, config, market or markets.LatestCandle())


def test_what_each_mode_needs() -> None:
    with pytest.raises(ValueError, match=r"^MarketDataEngine required for paper mode$"):
        ExecutionEngineV2("paper", None, None, None, None, None, {})
    with pytest.raises(ValueError, match=r"^Broker required for live mode$"):
        ExecutionEngineV2("LIVE", None, None, None, None, None, {}, markets.LatestCandle())


def test_its_attributes() -> None:
    breakers = {"max_daily_loss_rupees": 900, "max_loss_streak": 2}
    engine = paper(execution={"circuit_breakers": breakers})
    assert engine.mode == "paper"
    assert isinstance(engine.guardian, TradeGuardian)
    assert engine.smart_fill is not None
    limits = (
        engine.max_daily_loss_rupees,
        engine.max_daily_drawdown_pct,
        engine.max_trades_per_day,
        engine.max_trades_per_strategy_per_day,
        engine.max_loss_streak,
    )
    assert limits == (900.0, 0.02, 100, 50, 2)


def test_a_paper_order_from_intent_to_journal() -> None:
    store, journal = Store(equity={"paper_capital": 500_000.0}), Journal()
    engine = paper(store, journal)
    result = engine.execute_intent(intent(qty=50))
    assert (result.status, result.symbol, result.side, result.qty) == ("FILLED", "NIFTY24DECFUT", "BUY", 50)
    assert result.avg_price == 100.05
    assert datetime.fromisoformat(str(result.timestamp)).utcoffset() == timedelta(0)
    [row] = journal.rows
    assert row == {
        "order_id": result.order_id,
        "timestamp": result.timestamp,
        "symbol": "NIFTY24DECFUT",
        "strategy": "trend",
        "side": "BUY",
        "qty": 50,
        "order_type": "MARKET",
        "status": "FILLED",
        "avg_price": 100.05,
        "message": "Paper order filled successfully",
        "mode": "paper",
        "reason": "cross",
    }
    [position] = store.state["positions"]
    assert (position["symbol"], position["qty"], position["quantity"]) == ("NIFTY24DECFUT", 50, 50)
    engine.execute_intent(intent("SELL", 50))
    assert store.state["positions"] == []
    assert store.state["equity"] == {"paper_capital": 500_000.0, "realized_pnl": -5.0}


@pytest.mark.parametrize("make", [Store, ShortStore])
def test_both_pairs_of_names_of_a_store(make: type) -> None:
    store = make()
    paper(store).execute_intent(intent())
    assert store.state["positions"][0]["qty"] == 10


def test_with_the_stores_of_this_package(tmp_path: Any) -> None:
    journal = JournalStateStore(artifacts_dir=tmp_path, mode="paper")
    store = StateStore(checkpoint_path=journal.checkpoint_path)
    engine = paper(store, journal)
    engine.execute_intent(intent(qty=50))
    engine.execute_intent(intent("HOLD"))
    assert store.load()["positions"][0]["quantity"] == 50
    state = journal.rebuild_from_journal()
    assert state["broker"]["positions"][0]["quantity"] == 50
    assert [order["status"] for order in state["broker"]["orders"]] == ["FILLED"]


class SaysNo:
    def can_trade(self, symbol: str, strategy: str, expected_edge: float) -> tuple[bool, str]:
        return False, "LOSS_STREAK"


class Fails:
    def can_trade(self, symbol: str, strategy: str, expected_edge: float) -> tuple[bool, str]:
        raise OSError("no")


GUARDED = {"guardian": {"enabled": True, "max_lot_size": 20}}
BLOCKED = "Circuit breaker blocked execution"


@pytest.mark.parametrize(
    ("state", "throttler", "config", "order", "message"),
    [
        ({}, None, {}, intent("HOLD"), "Invalid order: side: "),
        ({}, None, {}, intent(qty=0), "Invalid order: qty: must be greater than 0, was 0"),
        ({}, None, {}, OrderIntent(" ", "s", "BUY", 1), "Invalid order: symbol: must not be empty"),
        ({}, None, {}, intent(order_type="LIMIT"), "Invalid order: price: a LIMIT order needs one"),
        ({}, SaysNo(), GUARDED, intent(qty=21), "Guardian blocked: Order quantity 21 exceeds max_lot_size 20"),
        ({}, SaysNo(), {}, intent(), BLOCKED),
        ({}, Fails(), {}, intent(), BLOCKED),
        ({}, object(), {}, intent(), BLOCKED),
        ({"equity": {"realized_pnl": -5000.01, "paper_capital": 1e6}}, None, {}, intent(), BLOCKED),
        ({"equity": {"realized_pnl": -2000.01}}, None, {}, intent(), BLOCKED),
        ({"risk": {"trading_halted": True}}, None, {}, intent(), BLOCKED),
    ],
)
def test_what_refuses_and_in_which_order(
    state: dict[str, Any], throttler: Any, config: dict[str, Any], order: OrderIntent, message: str
) -> None:
    journal = Journal()
    result = paper(Store(**state), journal, throttler, **config).execute_intent(order)
    assert (result.status, result.order_id) == ("REJECTED", None)
    assert (result.message or "").startswith(message)
    assert [row["status"] for row in journal.rows] == ["REJECTED"]


@pytest.mark.parametrize("pnl", [5000.0 * 20, -2000.0])
def test_profits_and_a_loss_at_the_limit_block_nothing(pnl: float) -> None:
    engine = paper(Store(equity={"realized_pnl": pnl}))
    assert engine.apply_circuit_breakers(intent())
    assert engine.execute_intent(intent()).status == "FILLED"


def test_a_state_that_cannot_be_read_blocks() -> None:
    class Broken(Store):
        def load_checkpoint(self) -> dict[str, Any] | None:
            raise OSError("disk gone")

    engine = paper(Broken())
    assert not engine.apply_circuit_breakers(intent())
    assert engine.execute_intent(intent()).message == BLOCKED


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_trades_per_day": 2}, "CAP_TOTAL"),
        ({"max_trades_per_strategy_per_day": 2}, "CAP_STRATEGY"),
        ({"max_loss_streak": 1}, "LOSS_STREAK"),
    ],
)
def test_the_limits_on_trades_and_losses_hold_and_survive_a_restart(limit: dict[str, Any], reason: str) -> None:
    store = Store()
    config = {"circuit_breakers": limit}
    engine = paper(store, execution=config)
    assert [engine.execute_intent(intent(side)).status for side in ("BUY", "SELL")] == ["FILLED", "FILLED"]
    for one in (engine, paper(store, execution=config)):
        result = one.execute_intent(intent())
        assert (result.message, result.raw) == (BLOCKED, {"reason": reason})


def test_the_real_throttler_is_asked() -> None:
    throttler = TradeThrottler(config=ThrottlerConfig(min_edge_vs_cost_rupees=50.0))
    engine = paper(throttler=throttler)
    assert engine.execute_intent(intent()).status == "FILLED"
    assert engine.execute_intent(intent(metadata={"expected_edge": 10.0})).raw == {"reason": "EDGE_BELOW_COST"}


def test_the_guardian_sees_how_old_the_market_is() -> None:
    class Old(markets.LatestCandle):
        def get_latest_candle(self, symbol: str, timeframe: str) -> dict[str, Any]:
            return markets.candle(100.0, ts="2020-01-01T09:15:00")

    result = paper(market=Old(), guardian={"enabled": True}).execute_intent(intent())
    assert (result.message or "").startswith("Guardian blocked: Market data is stale: ")


def test_a_journal_that_fails_does_not_undo_a_fill() -> None:
    class Full:
        def append_orders(self, rows: Any) -> None:
            raise OSError("disk full")

    store = Store()
    result = paper(store, Full()).execute_intent(intent())
    assert result.status == "FILLED"
    assert (result.raw or {})["journal_error"] == "disk full"
    assert store.state["positions"][0]["qty"] == 10


def test_from_many_threads_and_inside_a_running_loop() -> None:
    store, journal = Store(), Journal()
    engine = paper(store, journal)

    async def inside() -> str:
        return engine.execute_intent(intent(qty=1)).status

    threads = [threading.Thread(target=lambda: engine.execute_intent(intent(qty=1))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(inside()) == "FILLED"
    assert store.state["positions"][0]["qty"] == 21
    assert len({row["order_id"] for row in journal.rows}) == 21


def test_a_closed_engine_takes_no_more_orders() -> None:
    store = Store()
    with paper(store) as engine:
        assert engine.execute_intent(intent()).status == "FILLED"
    engine.close()
    refused = engine.execute_intent(intent())
    assert (refused.status, refused.message) == ("REJECTED", "Execution error: the engine is closed")
    assert store.state["positions"][0]["qty"] == 10


def test_updates_are_of_live_orders() -> None:
    store = Store()
    paper(store).on_order_update({"order_id": "B1", "status": "COMPLETE", "quantity": 10, "average_price": 100.0})
    assert "positions" not in store.state


class Flaky(Store):
    broken = False

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        if self.broken:
            raise OSError("disk full")
        super().save_checkpoint(state)


def test_a_fill_that_the_store_did_not_take_is_kept_with_the_next_one() -> None:
    store, market = Flaky(), markets.LatestCandle()
    engine = paper(store, market=market)
    store.broken = True
    assert engine.execute_intent(intent()).status == "FILLED"
    assert "positions" not in store.state
    for _ in range(2):  # figures that are not whole allow nothing
        assert engine.execute_intent(intent()).message == BLOCKED
    store.broken = False
    engine.execute_intent(intent())
    assert store.state["positions"][0]["qty"] == 20


def test_a_loss_that_the_store_did_not_take_is_counted_once() -> None:
    store = Flaky()
    engine = paper(store, execution={"circuit_breakers": {"max_loss_streak": 2}})
    engine.execute_intent(intent())
    store.broken = True
    assert engine.execute_intent(intent("SELL")).status == "FILLED"
    assert not engine.apply_circuit_breakers(intent())
    store.broken = False
    assert engine.apply_circuit_breakers(intent())
    assert store.state["equity"]["realized_pnl"] == -1.0


def test_an_order_of_that_id_is_the_answer_whatever_would_refuse_it_now() -> None:
    named = intent(metadata={"client_order_id": "monday-1"})
    store = Store()
    first = paper(store).execute_intent(named)
    store.state["risk"] = {"trading_halted": True}
    for engine in (paper(store), paper(store, throttler=SaysNo())):
        again = engine.execute_intent(named)
        assert (again.order_id, again.status, again.avg_price) == (first.order_id, "FILLED", first.avg_price)
    assert store.state["positions"][0]["qty"] == 10
