"""The older paper simulator: prices, words, and every way to ask for a price."""

import re
from typing import Any

import pytest

from durable_orders.v2 import ExecutionResult, OrderIntent, SmartFillSimulator
from tests.durable_orders.v2 import markets

PAPER_ID = re.compile(r"PAPER-\d{14}-\d{4}")


def intent(side: str = "BUY", order_type: str = "MARKET", price: float | None = None, **more: Any) -> OrderIntent:
    return OrderIntent("NIFTY24DECFUT", "s", side, 50, order_type, price=price, **more)


def run(order: OrderIntent, market: Any = None, **execution: Any) -> ExecutionResult:
    config = {"execution": execution} if execution else {}
    return SmartFillSimulator(market or markets.LatestCandle(), None, config).execute(order)


@pytest.mark.parametrize("market", markets.ALL)
def test_every_way_to_ask_for_the_last_price(market: type) -> None:
    assert run(intent(), market(200.0)).avg_price == 200.1


@pytest.mark.parametrize(
    ("order", "price"),
    [
        (intent("BUY"), 100.05),
        (intent("SELL"), 99.95),
        (intent("BUY", "LIMIT", 101.0), 101.0),
        (intent("BUY", "LIMIT", 100.0), 100.0),
        (intent("SELL", "LIMIT", 99.0), 99.0),
    ],
)
def test_what_fills(order: OrderIntent, price: float) -> None:
    result = run(order)
    assert (result.status, result.avg_price) == ("FILLED", price)
    assert result.message == "Paper order filled successfully"
    assert PAPER_ID.fullmatch(result.order_id or "")
    candle = markets.candle(100.0)
    assert result.raw == {"ltp": 100.0, "fill_price": price, "slippage_bps": 5.0, "candle": candle}


def test_the_slippage_that_is_set() -> None:
    assert run(intent(), slippage_bps=20).avg_price == 100.2
    assert run(intent(), slippage_bps=0).avg_price == 100.0


def test_bid_and_ask_where_they_are_wanted_and_known() -> None:
    assert run(intent("BUY"), markets.LatestTick(), slippage_bps=0, use_bid_ask_spread=True).avg_price == 101.0
    assert run(intent("SELL"), markets.LatestTick(), slippage_bps=0, use_bid_ask_spread=True).avg_price == 99.0
    assert run(intent("BUY"), slippage_bps=0, use_bid_ask_spread=True).avg_price == 100.0


@pytest.mark.parametrize(("side", "price"), [("BUY", 99.95), ("SELL", 100.05)])
def test_a_limit_away_from_the_market_is_rejected_with_an_id(side: str, price: float) -> None:
    result = run(intent(side, "LIMIT", price))
    assert result.status == "REJECTED"
    assert result.message == f"LIMIT price {price} not marketable (LTP=100.0)"
    assert result.raw == {"ltp": 100.0, "limit_price": price}
    assert PAPER_ID.fullmatch(result.order_id or "")


class Silent:
    def get_latest_candle(self, symbol: str, timeframe: str) -> None:
        return None


class Broken:
    def get_latest_candle(self, symbol: str, timeframe: str) -> None:
        raise OSError("no feed")


@pytest.mark.parametrize(
    ("market", "message"),
    [
        (Silent(), "No market data available for NIFTY24DECFUT"),
        (markets.LatestCandle(0.0), "Invalid price data for NIFTY24DECFUT"),
        (markets.LatestCandle(-1.0), "Invalid price data for NIFTY24DECFUT"),
        (Broken(), "Simulation error: no feed"),
        (object(), "Simulation error: market data: a object has no method for a last price that is known"),
    ],
)
def test_without_a_price_there_is_no_fill(market: Any, message: str) -> None:
    result = run(intent(), market)
    assert (result.status, result.order_id, result.message) == ("REJECTED", None, message)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (intent("HOLD"), "side: "),
        (intent("BUY", "LIMIT"), "price: a LIMIT order needs one"),
        (intent("BUY", "SOMETHING"), "order_type: "),
        (OrderIntent("", "s", "BUY", 50), "symbol: must not be empty"),
        (OrderIntent("NIFTY24DECFUT", "s", "BUY", 0), "qty: must be greater than 0"),
    ],
)
def test_an_order_that_cannot_be_is_rejected_by_name(order: OrderIntent, words: str) -> None:
    result = run(order)
    assert (result.status, result.order_id) == ("REJECTED", None)
    assert (result.message or "").startswith("Invalid order: ")
    assert words in (result.message or "")


def test_an_order_that_waits_for_a_trigger_is_not_filled_at_once() -> None:
    result = run(intent("BUY", "SL", 111.0, trigger_price=110.0))
    assert (result.status, result.order_id) == ("REJECTED", None)
    assert result.message == "SL orders wait for a trigger, which is not simulated"


def test_the_timeframe_of_the_settings_is_asked_for() -> None:
    asked = []

    class Asked:
        def get_latest_candle(self, symbol: str, timeframe: str) -> dict[str, Any]:
            asked.append((symbol, timeframe))
            return markets.candle(100.0)

    for config in ({}, {"data": {"timeframe": "5minute"}}):
        SmartFillSimulator(Asked(), None, config).execute(intent())
    assert asked == [("NIFTY24DECFUT", "5m"), ("NIFTY24DECFUT", "5minute")]


def test_ids_are_counted() -> None:
    simulator = SmartFillSimulator(markets.LatestCandle(), None, {})
    ids = [simulator.execute(intent()).order_id or "" for _ in range(3)]
    assert [own[-4:] for own in ids] == ["0001", "0002", "0003"]
    assert simulator.fill_counter == 3
