"""The paper engine without a server: the backtest's guardian and exchange on a caller's market data."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.engines import PaperExecutionEngine
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder
from durable_orders.v2 import GuardianDecision, JournalStateStore, StateStore
from tests.durable_orders.engines.conftest import older, rows_of

PLAIN: dict[str, Any] = {"slippage_enabled": False, "spread_enabled": False, "latency_enabled": False}


class Prices:
    """Market data as older code has it: the latest candle of a symbol."""

    def __init__(self, **closes: float) -> None:
        self.closes = closes
        self.asked: list[tuple[str, str]] = []

    def get_latest_candle(self, symbol: str, timeframe: str) -> dict[str, float] | None:
        self.asked.append((symbol, timeframe))
        close = self.closes.get(symbol)
        return None if close is None else {"open": close, "high": close, "low": close, "close": close, "volume": 1}


@pytest.fixture
def prices() -> Prices:
    return Prices(INFY=1500.0, NIFTY24DECFUT=24000.0)


def engine_on(prices: Any, paper: dict[str, Any] | None = None, **more: Any) -> PaperExecutionEngine:
    config = {"execution": {"paper": PLAIN | (paper or {})}, **more.pop("config", {})}
    return PaperExecutionEngine(market_data_engine=prices, config=config, **more)


async def test_it_fills_at_the_last_price_and_keeps_the_callers_books(
    prices: Prices, state_store: StateStore, tmp_path: Path
) -> None:
    journal = JournalStateStore(artifacts_dir=tmp_path, mode="paper")
    bus = EventBus()
    heard: list[Any] = []
    bus.subscribe("order_filled", heard.append)
    engine = engine_on(prices, state_store=state_store, journal_store=journal, event_bus=bus)
    bought = await engine.place_order(older("NIFTY24DECFUT", tags={}, qty=50))
    assert (bought.status, bought.filled_qty, bought.avg_price, bought.symbol) == (
        *("FILLED", 50, 24000.0),
        "NFO:NIFTY24DECFUT",
    )
    assert prices.asked[0] == ("NIFTY24DECFUT", "5m")
    assert [(event.data["order_id"], event.data["qty"], event.data["price"]) for event in heard] == [
        (bought.order_id, 50, 24000.0)
    ]
    prices.closes["NIFTY24DECFUT"] = 24010.0
    await engine.place_order(older("NIFTY24DECFUT", tags={}, qty=50, side="SELL"))
    state = state_store.load()
    assert (state["positions"], state["open_orders"], state["equity"]["realized_pnl"]) == ([], [], 500.0)
    assert [row for row in rows_of(journal) if row[0] == "FILLED"] == [("FILLED", "50")] * 2


async def test_slippage_and_spread_are_the_configurations(prices: Prices) -> None:
    """1500 with 2 bps of spread and 5 bps of slippage is 1500.90015 to buy; the next tick of 0.05 is 1500.95."""
    engine = engine_on(prices, {"slippage_enabled": True, "spread_enabled": True})
    assert (await engine.place_order(older())).avg_price == 1500.95


async def test_a_limit_rests_until_the_price_comes(prices: Prices) -> None:
    engine = engine_on(prices)
    placed = await engine.place_order(older(order_type="LIMIT", price=1490.0))
    assert placed.status == "PLACED"
    assert [order.status for order in await engine.poll_orders()] == ["PLACED"]
    prices.closes["INFY"] = 1489.0
    [order] = await engine.poll_orders()
    assert (order.status, order.filled_qty, order.avg_price) == ("FILLED", 10, 1489.0)
    moved = engine.event_bus.get_recent_events("position_updated")
    assert [(event.data["qty"], event.data["price"]) for event in moved] == [(10, 1489.0)]


async def test_partial_fills_add_up(prices: Prices, state_store: StateStore) -> None:
    engine = engine_on(prices, {"partial_fill_enabled": True, "partial_fill_probability": 1.0}, state_store=state_store)
    order = await engine.place_order(older())
    assert (order.status, order.filled_qty) == ("PARTIAL", 5)
    while order.status == "PARTIAL":
        [order] = await engine.poll_orders()
    assert (order.status, order.filled_qty) == ("FILLED", 10)
    assert [position["qty"] for position in state_store.load()["positions"]] == [10]


async def test_a_cancel_ends_it_and_an_end_stays(prices: Prices) -> None:
    engine = engine_on(prices)
    placed = await engine.place_order(older(order_id="mine", order_type="LIMIT", price=1490.0))
    ended = await engine.cancel_order("mine")
    assert (ended.order_id, ended.status) == (placed.order_id, "CANCELLED")
    assert await engine.cancel_order(placed.order_id) == ended
    with pytest.raises(ValueError, match="Order X not found"):
        await engine.cancel_order("X")


async def test_the_same_order_again_is_the_same_order(prices: Prices) -> None:
    engine = engine_on(prices)
    order = older(order_id="mine")
    assert await engine.place_order(order) == await engine.place_order(order)
    with pytest.raises(DuplicateOrder, match="mine is the id of another order"):
        await engine.place_order(older(order_id="mine", qty=20))


async def test_without_a_price_nothing_is_filled(prices: Prices) -> None:
    engine = engine_on(prices)
    for symbol, price, said in (
        ("TCS", None, "No market data available for TCS"),
        ("TCS", 0.0, "Invalid price data for TCS"),
    ):
        if price is not None:
            prices.closes[symbol] = price
        order = await engine.place_order(older(symbol))
        assert (order.status, order.message) == ("REJECTED", said)
    assert {event.data["reason"] for event in engine.event_bus.get_recent_events("order_rejected")}


async def test_the_configurations_guardian_and_the_callers_are_both_asked(prices: Prices) -> None:
    class Careful:
        def validate_pre_trade(self, intent: Any, market_snapshot: Any) -> GuardianDecision:
            allowed = intent.qty < 40
            return GuardianDecision(allowed, None if allowed else f"{intent.qty} at {market_snapshot['ltp']}")

    limits = {"guardian": {"enabled": True, "max_lot_size": 50}}
    engine = engine_on(prices, guardian=Careful(), config=limits)
    said = [(await engine.place_order(older(qty=qty))).message for qty in (10, 40, 60)]
    assert said == [None, "Guardian blocked: 40 at 1500.0", "Guardian blocked: 60 at 1500.0"]
    [refused] = [await engine_on(prices, config=limits).place_order(older(qty=60))]
    assert (refused.status, "50" in str(refused.message)) == ("REJECTED", True)


async def test_the_same_seed_gives_the_same_fills(prices: Prices) -> None:
    async def run() -> list[tuple[str, int, float | None]]:
        engine = engine_on(Prices(INFY=1500.0), {"partial_fill_enabled": True, "seed": 7})
        orders = [await engine.place_order(older(order_id=f"n{number}")) for number in range(30)]
        return [(str(order.status), order.filled_qty, order.avg_price) for order in orders]

    first = await run()
    assert first == await run()
    assert {status for status, _, _ in first} == {"FILLED", "PARTIAL"}


async def test_latency_holds_nobody_up(prices: Prices) -> None:
    engine = engine_on(prices, {"latency_enabled": True, "latency_ms": 3000})
    assert (await engine.place_order(older())).status == "FILLED"


async def test_a_resting_order_is_changed_and_meets_the_price_it_was_given(
    prices: Prices, state_store: StateStore
) -> None:
    engine = engine_on(prices, {"latency_enabled": True}, state_store=state_store)
    placed = await engine.place_order(older(order_type="LIMIT", price=1490.0))
    amended = await engine.amend_order(placed.client_order_id, price="1480", quantity=20)
    assert (amended.status, amended.price, amended.qty) == ("PLACED", Decimal(1480), 20)
    assert await engine.place_order(placed.changed(price=Decimal(1490))) == amended, "asked for again"
    [kept] = state_store.load()["open_orders"]
    assert (kept["price"], kept["quantity"]) == (1480.0, 20)
    prices.closes["INFY"] = 1485.0
    assert [order.status for order in await engine.poll_orders()] == ["PLACED"]
    prices.closes["INFY"] = 1479.0
    assert [(order.status, order.filled_qty) for order in await engine.poll_orders()] == [("FILLED", 20)]
    with pytest.raises(InvalidOrder, match=r"cannot be amended, it has ended: FILLED"):
        await engine.amend_order(placed.order_id, price=1470)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({}, "give at least one of quantity, price, trigger_price, order_type"),
        ({"pirce": 1480}, "pirce: "),
        ({"price": "1480.02"}, "not done: TICK_SIZE: prices must be multiples of the tick of 0.05"),
        ({"quantity": 51}, "not done: MAX_ORDER_QUANTITY: quantity may be at most 50"),
        ({"trigger_price": 1480}, "not done: INVALID_TERMS: trigger_price: a LIMIT order takes none"),
        ({"quantity": 30}, "not done: Guardian blocked: too many"),
    ],
)
async def test_a_change_goes_through_every_guardian_and_one_that_is_refused_changes_nothing(
    prices: Prices, terms: Any, said: str
) -> None:
    class Few:
        def validate_pre_trade(self, intent: Any, market_snapshot: Any = None) -> GuardianDecision:
            return GuardianDecision(intent.qty != 30, "too many")

    engine = engine_on(prices, guardian=Few(), config={"guardian": {"max_order_quantity": 50}})
    placed = await engine.place_order(older(order_type="LIMIT", price=1490.0))
    with pytest.raises(InvalidOrder) as refused:
        await engine.amend_order(placed.order_id, **terms)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    [order] = await engine.poll_orders()
    assert (order.price, order.qty, order.status) == (Decimal(1490), 10, "PLACED")
    with pytest.raises(ValueError, match="Order nobody not found"):
        await engine.amend_order("nobody", price=1)


async def test_what_rested_when_its_process_ended_has_ended_with_it(prices: Prices, state_store: StateStore) -> None:
    placed = await engine_on(prices, state_store=state_store).place_order(older(order_type="LIMIT", price=1490.0))
    prices.closes["INFY"] = 1489.0
    [order] = await engine_on(prices, state_store=state_store).poll_orders()
    assert (order.order_id, order.status) == (placed.order_id, "CANCELLED")
    assert "the process that simulated its exchange has ended" in str(order.message)
    assert state_store.load()["open_orders"] == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"execution": {"paper": {"slippage_bps": -1}}}, "slippage_bps"),
        ({"execution": {"paper": {"slipage_bps": 1}}}, "slipage_bps"),
        ({"guardian": {"max_lot_size": "many"}}, "max_lot_size"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(prices: Prices, config: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PaperExecutionEngine(prices, config=config)


def test_it_needs_market_data_or_a_server() -> None:
    with pytest.raises(ValueError, match="MarketDataEngine required for paper mode"):
        PaperExecutionEngine()
