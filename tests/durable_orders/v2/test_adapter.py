"""The older interface over today's engine, in this process: a live engine over a user's broker object."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_orders.engines import broker_orders
from durable_orders.v2 import (
    ExecutionEngineV2,
    ExecutionEngineV2ToV3Adapter,
    GuardianDecision,
    OrderIntent,
    create_execution_engine,
)
from durable_orders.v2.guardian import TradeGuardian
from tests.conftest import new_account
from tests.durable_orders.v2 import markets
from tests.durable_orders.v2.sessions import Exchange, Journal, ShortStore, Store, TaglessExchange, intent
from tests.sandbox.serving import until

QUICK = {"settle_window": 0.5, "retry_delay": 0.01, "reconciliation_interval": 0.1}
Make = Callable[..., ExecutionEngineV2ToV3Adapter]


@pytest.fixture
def account() -> str:
    return new_account()


@pytest.fixture
def make(account: str, tmp_path: Path, over_the_shared_server: None) -> Iterator[Make]:
    made: list[ExecutionEngineV2ToV3Adapter] = []

    def adapter(broker: Any, state: Any = None, journal: Any = None, **more: Any) -> ExecutionEngineV2ToV3Adapter:
        execution = {"live": QUICK, "folder": str(tmp_path / "desk")} | more.pop("execution", {})
        config = {"account": account, "execution": execution} | more.pop("config", {})
        engine = create_execution_engine("live", config, state, journal, broker=broker, **more)
        assert isinstance(engine, ExecutionEngineV2ToV3Adapter)
        made.append(engine)
        return engine

    yield adapter
    for one in made:
        one.close()


def filled(exchange: Exchange, quantity: int = 10, status: str = "COMPLETE", price: float = 100.5) -> dict[str, Any]:
    exchange.book[-1] |= {"status": status, "filled_quantity": quantity, "average_price": price}
    return exchange.book[-1]


def heard(engine: ExecutionEngineV2ToV3Adapter, found: bool) -> bool:
    """Whether it was so; else the engine looks once more."""
    if not found:
        engine.on_order_update({})
    return found


def types(engine: ExecutionEngineV2ToV3Adapter) -> list[str]:
    return [event.type for event in engine.event_bus.get_recent_events()]


def statuses(journal: Journal) -> list[tuple[str, int | None]]:
    return [(row["status"], row.get("filled_qty")) for row in journal.rows]


def test_which_engine_is_made() -> None:
    with pytest.raises(ValueError, match=r"^MarketDataEngine required for paper mode$"):
        create_execution_engine("paper", {}, None, None)
    with pytest.raises(ValueError, match=r"^Broker required for live mode$"):
        create_execution_engine("LIVE", {}, None, None)
    mine = TradeGuardian({}, None)
    engine = create_execution_engine("paper", {}, None, None, markets.LatestCandle(), guardian=mine, use_v3=False)
    assert isinstance(engine, ExecutionEngineV2)
    assert engine.guardian is mine


def test_its_attributes(make: Make) -> None:
    exchange, store, journal, market = Exchange(), Store(), Journal(), markets.LatestCandle()
    engine = make(exchange, store, journal, mde=market)
    given = (engine.mode, engine.broker, engine.state_store, engine.journal, engine.throttler, engine.mde)
    assert given == ("live", exchange, store, journal, None, market)
    assert isinstance(engine.guardian_instance, TradeGuardian)
    assert engine.v3_engine.event_bus is engine.event_bus


def test_a_live_order_from_intent_to_fill(make: Make) -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    engine = make(exchange, store, journal)
    result = engine.execute_intent(
        intent(order_type="SL", price=101.5, trigger_price=101.0, validity="DAY", tag="run-1", confidence=0.5)
    )
    assert (result.status, result.symbol, result.side, result.qty) == ("PLACED", "NIFTY24DECFUT", "BUY", 10)
    assert datetime.fromisoformat(str(result.timestamp)).utcoffset() == timedelta(0)
    assert result.raw is not None
    assert set(result.raw) == {"v3_order", "filled_qty", "tags", "broker_order_id"}
    assert result.raw["broker_order_id"] == "B1"
    assert (result.raw["tags"]["tag"], result.raw["tags"]["confidence"]) == ("run-1", 0.5)
    [sent] = exchange.sent
    assert re.fullmatch(r"h[0-9a-z]{5}[0-9a-f]{14}", sent.pop("tag"))
    assert sent == {
        "symbol": "NIFTY24DECFUT",
        "side": "BUY",
        "qty": 10,
        "order_type": "SL",
        "product": "MIS",
        "validity": "DAY",
        "price": 101.5,
        "trigger_price": 101.0,
        "exchange": "NFO",
    }
    for quantity, price in ((4, 100.0), (10, 106.0)):
        row = filled(exchange, quantity, "OPEN" if quantity < 10 else "COMPLETE", price)
        for _ in range(2):
            engine.on_order_update(row)
        until(lambda: heard(engine, statuses(journal)[-1][1] == quantity))  # noqa: B023
    [position] = store.state["positions"]
    assert (position["qty"], position["avg_price"]) == (10, 106.0)
    assert store.state["open_orders"] == []
    assert statuses(journal) == [("PENDING", 0), ("PLACED", 0), ("PARTIAL", 4), ("FILLED", 10)]
    assert [row["order_id"] for row in journal.rows] == [result.order_id] * 4
    until(lambda: types(engine)[-2:] == ["order_filled", "position_updated"])


@pytest.mark.parametrize("store", [Store, ShortStore])
def test_both_pairs_of_names_of_a_store(make: Make, store: type) -> None:
    exchange, mine = Exchange(), store()
    engine = make(exchange, mine)
    engine.execute_intent(intent())
    filled(exchange)
    until(lambda: heard(engine, bool(mine.state.get("positions"))))
    assert mine.state["positions"][0]["quantity"] == 10


class SaysNo:
    def should_allow_entry(self, symbol: str, strategy: str, notional: float, edge: float) -> tuple[bool, str]:
        return False, "CAP_TOTAL"


class Wary:
    """A guardian of the user's own."""

    def validate_pre_trade(self, intent: Any, market_snapshot: Any = None) -> GuardianDecision:
        return GuardianDecision(allow=intent.qty <= 20, reason=f"{intent.qty} of {intent.symbol} at {intent.price}")


BLOCKED = "Circuit breaker blocked execution"
REFUSALS: list[tuple[dict[str, Any], dict[str, Any], OrderIntent, str]] = [
    ({}, {}, intent("HOLD"), "Invalid order: side: "),
    ({}, {}, intent(qty=0), "Invalid order: qty: must be greater than 0, was 0"),
    ({}, {"throttler": SaysNo()}, intent(), "Throttler blocked: CAP_TOTAL"),
    ({}, {"throttler": object()}, intent(), "Execution error: throttler: a object has neither"),
    ({}, {"guardian": Wary()}, intent(qty=21), "Guardian blocked: 21 of NIFTY24DECFUT at None"),
    ({"risk": {"trading_halted": True}}, {}, intent(), BLOCKED),
    ({"equity": {"realized_pnl": -5000.01, "paper_capital": 1e6}}, {}, intent(), BLOCKED),
    ({"equity": {"realized_pnl": -2000.01}}, {}, intent(), BLOCKED),
]


def test_what_refuses(make: Make) -> None:
    exchange = Exchange()
    for state, more, order, message in REFUSALS:
        journal = Journal()
        result = make(exchange, Store(**state), journal, **more).execute_intent(order)
        assert (result.status, result.order_id) == ("REJECTED", None)
        assert (result.message or "").startswith(message)
        assert journal.rows[-1]["status"] == "REJECTED"
    assert exchange.sent == []


def test_the_guardian_of_the_settings_is_asked(make: Make) -> None:
    engine = make(Exchange(), config={"guardian": {"enabled": True, "max_lot_size": 20}})
    refused = engine.execute_intent(intent(qty=21))
    assert refused.message == "Guardian blocked: Order quantity 21 exceeds max_lot_size 20"
    assert engine.execute_intent(intent(qty=20)).status == "PLACED"


def test_profits_block_nothing(make: Make) -> None:
    engine = make(Exchange(), Store(equity={"realized_pnl": 90_000.0}))
    assert engine.apply_circuit_breakers(intent())
    assert engine.execute_intent(intent()).status == "PLACED"


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_trades_per_day": 2}, "CAP_TOTAL"),
        ({"max_trades_per_strategy_per_day": 2}, "CAP_STRATEGY"),
        ({"max_loss_streak": 1}, "LOSS_STREAK"),
    ],
)
def test_the_limits_on_trades_and_losses_hold_and_survive_a_restart(
    make: Make, limit: dict[str, Any], reason: str
) -> None:
    exchange, store = Exchange(), Store()
    engine = make(exchange, store, execution={"circuit_breakers": limit})
    for side, price in (("BUY", 100.0), ("SELL", 99.0)):
        engine.execute_intent(intent(side))
        filled(exchange, price=price)
        until(lambda: heard(engine, not store.state["open_orders"]))
    assert store.state["equity"]["realized_pnl"] == -10.0
    for one in (engine, make(exchange, store, execution={"circuit_breakers": limit})):
        assert not one.apply_circuit_breakers(intent())
        result = one.execute_intent(intent())
        assert (result.message, result.raw) == (BLOCKED, {"reason": reason})


def test_a_dry_run_sends_nothing(make: Make) -> None:
    exchange = Exchange()
    result = make(exchange, execution={"dry_run": True}).execute_intent(intent())
    assert exchange.sent == []
    assert re.fullmatch(r"DRY-RUN-\d+", result.order_id or "")
    assert (result.status, result.message) == ("PLACED", "Dry run - order not actually placed")


def test_a_plain_no_is_a_rejection(make: Make) -> None:
    exchange = Exchange()
    exchange.places = False
    exchange.answers = [{"status": "REJECTED", "message": "no margin"}]
    engine = make(exchange)
    refused = engine.execute_intent(intent())
    assert (refused.status, refused.order_id, refused.message) == ("REJECTED", None, "Broker error: no margin")
    exchange.places = True
    assert engine.execute_intent(intent()).status == "PLACED"


def test_a_lost_answer_is_looked_up_by_its_tag(make: Make) -> None:
    exchange, journal = Exchange(), Journal()
    exchange.answers = [TimeoutError("no answer")]
    result = make(exchange, None, journal).execute_intent(intent())
    assert (result.status, (result.raw or {})["broker_order_id"]) == ("PLACED", "B1")
    assert len(exchange.sent) == 1
    told = [status for status, _ in statuses(journal)]
    assert (told[0], told[-1]) == ("PENDING", "PLACED")


@pytest.mark.parametrize("kind", [Exchange, TaglessExchange])
def test_a_lost_answer_that_the_book_cannot_tell_blocks_until_it_tells(
    make: Make, kind: type[Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, exchange = Store(), kind()
    engine = make(exchange, store)
    assert engine.execute_intent(intent(qty=5)).status == "PLACED"
    filled(exchange, 5)
    until(lambda: heard(engine, not store.state["open_orders"]))
    monkeypatch.setattr(broker_orders, "LEAST_PATIENCE", 2.0)
    exchange.answers = [TimeoutError("no answer")]
    exchange.readable = kind is TaglessExchange
    result = engine.execute_intent(intent())
    assert result.status in ("UNKNOWN", "PENDING")
    engine.close()
    again = make(exchange, store)  # after a restart, too
    refused = again.execute_intent(intent("SELL", 1))
    assert (refused.status, len(exchange.sent)) == ("REJECTED", 2)
    exchange.readable = True
    exchange.book[1]["tag"] = exchange.sent[1]["tag"]
    filled(exchange)
    until(lambda: again.execute_intent(intent("SELL", 1)).status == "PLACED")
    until(lambda: heard(again, store.state["positions"][0]["qty"] == 15))


def test_what_cannot_be_noted_is_not_sent(make: Make) -> None:
    class Full(Store):
        def save_checkpoint(self, state: dict[str, Any]) -> None:
            raise OSError("disk full")

    exchange = Exchange()
    engine = make(exchange, Full())
    result = engine.execute_intent(intent())
    assert (result.status, result.message) == ("REJECTED", "Execution error: disk full (nothing was sent)")
    assert exchange.sent == []


def test_a_store_that_fails_after_the_sending_makes_no_rejection(make: Make) -> None:
    class FailsLater(Store):
        saved = 0
        whole = False

        def save_checkpoint(self, state: dict[str, Any]) -> None:
            self.saved += 1
            if self.saved > 1 and not self.whole:
                raise OSError("disk full")
            super().save_checkpoint(state)

    exchange, store = Exchange(), FailsLater()
    engine = make(exchange, store)
    assert engine.execute_intent(intent()).status != "REJECTED"
    assert engine.execute_intent(intent()).status == "REJECTED"
    assert len(exchange.sent) == 1
    store.whole = True
    assert engine.execute_intent(intent()).status == "PLACED"
    assert len(store.state["open_orders"]) == 2


def test_an_intent_with_an_id_of_its_own_is_sent_once(make: Make, account: str) -> None:
    exchange = Exchange()
    engine = make(exchange)
    named = intent(metadata={"client_order_id": "monday-1"})
    results = [engine.execute_intent(named) for _ in range(2)]
    assert [result.order_id for result in results] == [f"order:{account}:monday-1"] * 2
    assert len(exchange.sent) == 1
    other = engine.execute_intent(intent(qty=11, metadata={"client_order_id": "monday-1"}))
    assert other.status == "REJECTED"
    assert re.match(r"Execution error: .*monday-1 is the id of another order", str(other.message))


def test_an_order_that_ended_before_a_restart_is_the_answer_whatever_the_book_shows(make: Make) -> None:
    exchange, store = Exchange(), Store()
    named = intent(metadata={"client_order_id": "monday-1"})
    engine = make(exchange, store)
    first = engine.execute_intent(named)
    filled(exchange)
    until(lambda: heard(engine, not store.state["open_orders"]))
    engine.close()
    exchange.readable = False
    again = make(exchange, store).execute_intent(named)
    assert (again.order_id, again.status, again.avg_price) == (first.order_id, "FILLED", 100.5)
    assert len(exchange.sent) == 1
    assert store.state["positions"][0]["qty"] == 10


def test_an_order_of_that_id_is_the_answer_whatever_would_refuse_it_now(make: Make) -> None:
    exchange, store = Exchange(), Store()
    named = intent(metadata={"client_order_id": "monday-1"})
    engine = make(exchange, store)
    first = engine.execute_intent(named)
    filled(exchange)
    until(lambda: heard(engine, not store.state["open_orders"]))
    store.state["risk"] = {"trading_halted": True}
    again = engine.execute_intent(named)
    assert (again.order_id, again.status, again.avg_price) == (first.order_id, "FILLED", 100.5)
    assert engine.execute_intent(intent()).message == BLOCKED
    exchange.readable = False
    assert engine.execute_intent(named).order_id == first.order_id


def test_from_many_threads_and_inside_a_running_loop(make: Make) -> None:
    exchange = Exchange()
    engine = make(exchange)

    async def inside() -> str:
        return engine.execute_intent(intent()).status

    threads = [threading.Thread(target=engine.execute_intent, args=(intent(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(inside()) == "PLACED"
    assert len({order["tag"] for order in exchange.sent}) == 9


def test_a_broker_that_tells_of_the_order_before_it_answers(make: Make) -> None:
    class Quick(Exchange):
        engine: ExecutionEngineV2ToV3Adapter | None = None

        def place_order(self, order: dict[str, Any]) -> Any:
            answer = super().place_order(order)
            assert self.engine is not None
            self.engine.on_order_update(filled(self))
            return answer

    exchange = Quick()
    exchange.engine = make(exchange)
    assert exchange.engine.execute_intent(intent()).status in ("PLACED", "FILLED")


def test_updates_that_say_nothing_harm_nothing(make: Make) -> None:
    exchange = Exchange()
    engine = make(exchange)
    for update in ({}, {"order_id": "B9", "status": "COMPLETE"}):
        engine.on_order_update(update)
    exchange.readable = False
    engine.on_order_update({})
    assert engine.event_bus.get_recent_events() == []
