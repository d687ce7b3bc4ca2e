"""The older in-process engine: its order of checks, its words, its rows, and what it keeps of a session."""

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta
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
from tests.durable_orders.v2.sessions import Exchange, Journal, ShortStore, Store, TaglessExchange, intent


def paper(
    state: Any = None, journal: Any = None, throttler: Any = None, market: Any = None, **config: Any
) -> ExecutionEngineV2:
    return ExecutionEngineV2("PAPER", None, state, journal, throttler, None, config, market or markets.LatestCandle())


def live(
    exchange: Any, state: Any = None, journal: Any = None, clock: Any = None, **execution: Any
) -> ExecutionEngineV2:
    config = {"execution": execution}
    now = clock or (lambda: datetime.now(UTC))
    return ExecutionEngineV2("live", exchange, state, journal, None, None, config, clock=now)


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


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_closed_engine_takes_no_more_orders_and_still_hears_of_those_it_has(mode: str) -> None:
    exchange, store = Exchange(), Store()
    engine = paper(store) if mode == "paper" else live(exchange, store)
    assert engine.execute_intent(intent()).status in ("FILLED", "PLACED")
    engine.close()
    engine.close()
    refused = engine.execute_intent(intent())
    assert (refused.status, refused.message) == ("REJECTED", "Execution error: the engine is closed")
    assert len(exchange.sent) == (0 if mode == "paper" else 1)
    engine.on_order_update({"order_id": "B1", "status": "COMPLETE", "quantity": 10, "average_price": 100.0})
    assert store.state["positions"][0]["qty"] == 10


def test_a_live_order_and_its_payload() -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    engine = live(exchange, store, journal)
    result = engine.execute_intent(
        intent(order_type="LIMIT", price=101.5, product="NRML", tag="run-1", metadata={"exchange": "MCX"})
    )
    assert (result.status, result.order_id, result.avg_price) == ("PLACED", "B1", None)
    [sent] = exchange.sent
    assert re.fullmatch(r"[0-9a-f]{20}", sent.pop("tag"))
    assert sent == {
        "symbol": "NIFTY24DECFUT",
        "side": "BUY",
        "qty": 10,
        "order_type": "LIMIT",
        "product": "NRML",
        "validity": "DAY",
        "price": 101.5,
        "trigger_price": None,
        "exchange": "MCX",
    }
    assert [row["status"] for row in journal.rows] == ["PLACED"]
    [entry] = store.state["open_orders"]
    assert (entry["order_id"], entry["status"], entry["quantity"], entry["side"]) == ("B1", "PLACED", 10, "BUY")


@pytest.mark.parametrize(
    ("answer", "status", "average"),
    [
        ({"order_id": "X", "status": "SUBMITTED"}, "PLACED", None),
        ({"order_id": "X", "status": "COMPLETE", "average_price": 99.5}, "FILLED", 99.5),
        (
            {"order_id": "X", "status": "OPEN", "quantity": 10, "filled_quantity": 4, "average_price": 99.0},
            "PARTIAL",
            99.0,
        ),
        ({"order_id": "X", "status": "REJECTED", "message": "no margin"}, "REJECTED", None),
        ({"order_id": "X", "status": "TRIGGER PENDING"}, "PLACED", None),
        ("X", "PLACED", None),
    ],
)
def test_what_a_broker_answers(answer: Any, status: str, average: float | None) -> None:
    exchange = Exchange()
    exchange.answers = [answer]
    result = live(exchange).execute_intent(intent())
    assert (result.status, result.order_id, result.avg_price) == (status, "X", average)


def test_a_dry_run_sends_nothing() -> None:
    exchange, journal = Exchange(), Journal()
    result = live(exchange, None, journal, dry_run=True).execute_intent(intent())
    assert exchange.sent == []
    assert re.fullmatch(r"DRY-RUN-\d+", result.order_id or "")
    assert (result.status, result.message) == ("PLACED", "Dry run - order not actually placed")


def test_a_plain_no_is_a_rejection_and_blocks_nothing() -> None:
    exchange = Exchange()
    exchange.places = False
    exchange.answers = [{"status": "REJECTED", "message": "no margin"}]
    engine = live(exchange)
    refused = engine.execute_intent(intent())
    assert (refused.status, refused.message) == ("REJECTED", "Broker error: no margin")
    assert engine.execute_intent(intent()).status == "PLACED"


def test_a_lost_answer_is_looked_up_by_its_tag() -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    exchange.answers = [TimeoutError("no answer")]
    result = live(exchange, store, journal).execute_intent(intent())
    assert (result.status, result.order_id) == ("PLACED", "B1")
    assert result.message == "Broker error: no answer"
    assert len(exchange.sent) == 1
    assert [entry["status"] for entry in store.state["open_orders"]] == ["PLACED"]


def test_a_lost_answer_that_the_book_cannot_tell_is_unknown_and_blocks_until_it_tells() -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    exchange.answers = [TimeoutError("no answer")]
    exchange.readable = False
    engine = live(exchange, store, journal)
    result = engine.execute_intent(intent())
    assert (result.status, result.order_id) == ("UNKNOWN", None)
    assert (result.message or "").startswith("Broker error: no answer; it may have been placed")
    assert not engine.apply_circuit_breakers(intent())
    for one in (engine, live(exchange, store, journal)):  # after a restart, too
        blocked = one.execute_intent(intent("SELL", 1))
        assert blocked.status == "REJECTED"
        assert (blocked.message or "").startswith("Blocked: no new risk while the outcome of BUY 10 NIFTY24DECFUT")
    assert len(exchange.sent) == 1
    exchange.readable = True
    exchange.book[0] |= {"status": "COMPLETE", "filled_quantity": 10, "average_price": 100.0}
    assert engine.execute_intent(intent("SELL", 1)).status == "PLACED"
    assert store.state["positions"][0]["qty"] == 10
    assert [row["status"] for row in journal.rows] == ["UNKNOWN", "REJECTED", "REJECTED", "FILLED", "PLACED"]


@pytest.mark.parametrize("wrong", [{"average_price": 0}, {"filled_quantity": 0}], ids=["no price", "nothing filled"])
def test_an_end_that_does_not_add_up_holds_what_comes_after_it_until_it_does(wrong: dict[str, Any]) -> None:
    exchange, store = Exchange(), Store()
    engine = live(exchange, store)
    assert engine.execute_intent(intent()).status == "PLACED"
    exchange.book[0] |= {"status": "COMPLETE", "filled_quantity": 10, "average_price": 100.0} | wrong
    engine.on_order_update(exchange.book[0])
    after = live(exchange, store)
    for one in (engine, after):  # after a restart, too
        blocked = one.execute_intent(intent("SELL"))
        assert (blocked.status, len(exchange.sent)) == ("REJECTED", 1)
        assert "no new risk while the outcome of BUY 10 NIFTY24DECFUT (B1) is unknown" in (blocked.message or "")
    exchange.book[0] |= {"filled_quantity": 10, "average_price": 101.0}
    assert after.execute_intent(intent("SELL")).status == "PLACED"
    assert live(exchange, store).execute_intent(intent("SELL")).status == "PLACED", "and that is kept as well"
    [position] = store.state["positions"]
    assert (position["qty"], position["avg_price"]) == (10, 101.0)


def test_a_price_that_is_not_told_is_not_taken_from_the_fills_before() -> None:
    exchange, store = Exchange(), Store()
    engine = live(exchange, store)
    assert engine.execute_intent(intent()).status == "PLACED"
    engine.on_order_update(exchange.book[0] | {"filled_quantity": 4, "average_price": 100.0})
    engine.on_order_update(exchange.book[0] | {"status": "COMPLETE", "filled_quantity": 10, "average_price": 0})
    assert store.state["positions"][0]["qty"] == 4
    engine.on_order_update(exchange.book[0] | {"status": "COMPLETE", "filled_quantity": 10, "average_price": 106.0})
    [position] = store.state["positions"]
    assert (position["qty"], position["avg_price"]) == (10, 106.0)


def test_a_broker_that_drops_tags_leaves_it_unknown_while_a_row_could_be_it() -> None:
    exchange = TaglessExchange()
    exchange.answers = [TimeoutError("no answer")]
    engine = live(exchange)
    assert engine.execute_intent(intent()).status == "UNKNOWN"
    assert engine.execute_intent(intent()).status == "REJECTED"
    assert len(exchange.sent) == 1


def test_an_order_that_no_book_shows_for_the_whole_window_was_never_placed() -> None:
    now = [datetime(2026, 11, 20, 5, 0, tzinfo=UTC)]
    exchange, store, journal = Exchange(), Store(), Journal()
    exchange.places = False
    exchange.answers = [TimeoutError("no answer")]
    engine = live(exchange, store, journal, clock=lambda: now[0], live={"settle_window": 60})
    assert engine.execute_intent(intent()).status == "UNKNOWN"
    allowed = []
    for _ in range(3):
        now[0] += timedelta(seconds=30)
        allowed.append(engine.apply_circuit_breakers(intent()))
    assert allowed == [False, True, True]
    assert store.state["open_orders"] == []
    assert [(row["status"], row.get("message", "")) for row in journal.rows][-1] == (
        "REJECTED",
        "never placed: the broker's book did not show it",
    )
    assert len(exchange.sent) == 1


def test_a_crash_while_sending_leaves_the_order_unknown_not_forgotten() -> None:
    class Dies(Exchange):
        def place_order(self, order: dict[str, Any]) -> Any:
            super().place_order(order)
            raise KeyboardInterrupt

    exchange, store = Dies(), Store()
    with pytest.raises(KeyboardInterrupt):
        live(exchange, store).execute_intent(intent())
    [entry] = store.state["open_orders"]
    assert entry["status"] == "UNKNOWN"
    assert live(exchange, store).apply_circuit_breakers(intent())  # the book tells
    assert [one["order_id"] for one in store.state["open_orders"]] == ["B1"]


def test_what_cannot_be_noted_is_not_sent() -> None:
    class Full(Store):
        def save_checkpoint(self, state: dict[str, Any]) -> None:
            raise OSError("disk full")

    exchange = Exchange()
    result = live(exchange, Full()).execute_intent(intent())
    assert (result.status, result.message) == ("REJECTED", "Execution error: disk full (nothing was sent)")
    assert exchange.sent == []


def test_a_fill_that_the_store_did_not_take_is_kept_with_the_next_one() -> None:
    class Flaky(Store):
        broken = False

        def save_checkpoint(self, state: dict[str, Any]) -> None:
            if self.broken:
                raise OSError("disk full")
            super().save_checkpoint(state)

    store, market = Flaky(), markets.LatestCandle()
    engine = paper(store, market=market)
    store.broken = True
    assert engine.execute_intent(intent()).status == "FILLED"
    assert "positions" not in store.state
    store.broken = False
    engine.execute_intent(intent())
    assert store.state["positions"][0]["qty"] == 20


def test_an_intent_with_an_id_of_its_own_is_sent_once_even_after_a_restart() -> None:
    exchange, store = Exchange(), Store()
    named = intent(metadata={"client_order_id": "monday-1"})
    first = live(exchange, store).execute_intent(named)
    again = live(exchange, store).execute_intent(named)
    assert (again.order_id, again.status) == (first.order_id, "PLACED")
    assert again.message == "executed before: it is the same order"
    assert len(exchange.sent) == 1


def test_an_unknown_order_that_comes_again_is_unknown_and_not_refused() -> None:
    exchange, store = Exchange(), Store()
    exchange.answers = [TimeoutError("no answer")]
    exchange.readable = False
    named = intent(metadata={"client_order_id": "monday-1"})
    engine = live(exchange, store)
    assert [engine.execute_intent(named).status for _ in range(2)] == ["UNKNOWN", "UNKNOWN"]
    exchange.readable = True
    again = live(exchange, store).execute_intent(named)
    assert (again.order_id, again.status, len(exchange.sent)) == ("B1", "PLACED", 1)


def test_an_order_of_that_id_is_the_answer_whatever_would_refuse_it_now() -> None:
    named = intent(metadata={"client_order_id": "monday-1"})
    store = Store()
    first = paper(store).execute_intent(named)
    store.state["risk"] = {"trading_halted": True}
    for engine in (paper(store), paper(store, throttler=SaysNo())):
        again = engine.execute_intent(named)
        assert (again.order_id, again.status, again.avg_price) == (first.order_id, "FILLED", first.avg_price)
    assert store.state["positions"][0]["qty"] == 10


UPDATE = {
    "order_id": "B1",
    "tradingsymbol": "NIFTY24DECFUT",
    "transaction_type": "BUY",
    "quantity": 10,
}


def test_updates_are_booked_once_and_each_part_once() -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    engine = live(exchange, store, journal)
    engine.execute_intent(intent())
    part = UPDATE | {"status": "OPEN", "filled_quantity": 4, "average_price": 100.0}
    whole = UPDATE | {"status": "COMPLETE", "filled_quantity": 10, "average_price": 106.0}
    for update in (part, part, whole, whole, part):
        engine.on_order_update(update)
    [position] = store.state["positions"]
    assert (position["qty"], position["avg_price"]) == (10, 106.0)
    assert store.state["open_orders"] == []
    assert [(row["status"], row.get("filled_qty")) for row in journal.rows] == [
        ("PLACED", None),
        ("PARTIAL", 4),
        ("FILLED", 10),
    ]
    assert journal.rows[-1]["raw"] == whole
    assert journal.rows[-1]["strategy"] == "trend"
    live(exchange, store, journal).on_order_update(whole)  # after a restart, too
    assert store.state["positions"][0]["qty"] == 10


def test_an_update_of_a_cancel_books_what_had_filled() -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    engine = live(exchange, store, journal)
    engine.execute_intent(intent())
    cancelled = UPDATE | {"status": "CANCELLED", "filled_quantity": 3, "average_price": 100.0}
    engine.on_order_update(cancelled)
    assert store.state["positions"][0]["qty"] == 3
    assert store.state["open_orders"] == []
    assert journal.rows[-1]["status"] == "CANCELLED"


def test_an_update_of_a_lost_order_settles_it() -> None:
    exchange = Exchange()
    exchange.answers = [TimeoutError("no answer")]
    exchange.readable = False
    engine = live(exchange)
    assert engine.execute_intent(intent()).status == "UNKNOWN"
    engine.on_order_update(UPDATE | {"status": "OPEN", "tag": exchange.sent[0]["tag"]})
    assert engine.apply_circuit_breakers(intent())


def test_an_update_without_a_tag_proves_no_absence() -> None:
    """It may be of the order that is lost: that one stays unknown, and what was filled is booked."""
    now = [datetime(2026, 11, 20, 5, 0, tzinfo=UTC)]
    exchange, store = TaglessExchange(), Store()
    exchange.answers = [TimeoutError("no answer")]
    window = {"settle_window": 60}
    engine = live(exchange, store, clock=lambda: now[0], live=window)
    assert engine.execute_intent(intent()).status == "UNKNOWN"
    engine.on_order_update(exchange.book[0] | {"status": "COMPLETE", "filled_quantity": 10, "average_price": 100.0})
    assert store.state["positions"][0]["qty"] == 10
    for one in (engine, live(exchange, store, clock=lambda: now[0], live=window)):
        for _ in range(4):
            now[0] += timedelta(seconds=60)
            assert not one.apply_circuit_breakers(intent())


def test_updates_that_say_nothing_harm_nothing() -> None:
    store = Store()
    engine = live(Exchange(), store)
    for update in ({}, {"order_id": "B9"}, {"order_id": "B9", "status": "COMPLETE", "quantity": "many"}):
        engine.on_order_update(update)
    assert "positions" not in store.state
    paper(store).on_order_update(UPDATE | {"status": "COMPLETE"})
    assert "positions" not in store.state
