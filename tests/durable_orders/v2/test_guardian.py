"""The older guardian's checks, their words, and what it does when it cannot tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_orders.v2 import GuardianDecision, OrderIntent, TradeGuardian

NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Store:
    """As a user would write it."""

    def __init__(self, realized_pnl: float = 0.0, capital: float | None = None) -> None:
        self.equity = {"realized_pnl": realized_pnl} | ({"paper_capital": capital} if capital else {})

    def load_checkpoint(self) -> dict[str, Any]:
        return {"equity": self.equity}


class BrokenStore:
    def load(self) -> dict[str, Any]:
        raise OSError("disk gone")


def guardian(store: Any = None, clock: Clock | None = None, **limits: Any) -> TradeGuardian:
    config = {"guardian": {"enabled": True} | limits}
    clock = clock or Clock()
    return TradeGuardian(config, store or Store(), None, clock=lambda: NOW, monotonic=clock.monotonic)


def intent(qty: int = 10, price: float | None = None) -> OrderIntent:
    return OrderIntent("NIFTY24DECFUT", "s", "BUY", qty, price=price)


@pytest.mark.parametrize("config", [None, {}, {"guardian": {}}, {"guardian": {"enabled": False}}])
def test_it_is_off_by_default(config: Any) -> None:
    assert TradeGuardian(config, BrokenStore(), None).validate_pre_trade(intent(10_000)) == GuardianDecision(allow=True)


@pytest.mark.parametrize("given", [{"guardian": {"enabled": "no"}}, {"guardian": True}])
def test_a_switch_that_cannot_be_read_is_not_taken_for_off(given: Any) -> None:
    with pytest.raises(ValueError, match="guardian"):
        TradeGuardian(given, Store(), None)


def test_the_default_limits() -> None:
    assert guardian().limits == {
        "max_lot_size": 50,
        "max_order_per_second": 5,
        "reject_if_price_stale_secs": 3,
        "reject_if_slippage_pct": 2.0,
        "max_daily_drawdown_pct": 3.0,
        "halt_on_pnl_drop_pct": 5.0,
    }


@pytest.mark.parametrize("order", [intent(51), {"qty": 51}, {"quantity": 51}])
def test_the_size_of_objects_and_of_mappings(order: Any) -> None:
    assert guardian().validate_pre_trade(order).reason == "Order quantity 51 exceeds max_lot_size 50"
    assert guardian(max_lot_size=51).validate_pre_trade(order).allow


def test_the_rate_slides_and_counts_what_a_later_check_refuses() -> None:
    clock = Clock()
    one = guardian(clock=clock, max_order_per_second=2)
    far = {"last_price": 200.0}
    assert one.validate_pre_trade(intent(price=100.0), far).reason == (
        "Excessive slippage: intent price 100.0 vs last price 200.0 (50.00% > 2.0%)"
    )
    assert one.validate_pre_trade(intent(60)).reason == "Order quantity 60 exceeds max_lot_size 50"
    assert one.validate_pre_trade(intent()).allow
    clock.seconds = 0.999
    assert one.validate_pre_trade(intent()).reason == "Order rate limit exceeded: 2 orders in last second (max=2)"
    clock.seconds = 1.0
    assert one.validate_pre_trade(intent()).allow


STALE = "Market data is stale: 4.00s old (threshold=3s)"


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        ((NOW - timedelta(seconds=4)).timestamp(), STALE),
        ((NOW - timedelta(seconds=4)).timestamp() * 1000, STALE),
        ("2026-11-20T04:59:56Z", STALE),
        ("2026-11-20T10:29:56+05:30", STALE),
        ("2026-11-20T10:29:56", STALE),
        (NOW - timedelta(seconds=4), STALE),
        ((NOW - timedelta(seconds=3)).timestamp(), None),
        ("lately", None),
        (None, None),
    ],
)
def test_how_old_the_price_is(timestamp: Any, reason: str | None) -> None:
    assert guardian().validate_pre_trade(intent(), {"timestamp": timestamp}).reason == reason


@pytest.mark.parametrize(
    ("price", "snapshot", "allowed"),
    [
        (102.0, {"last_price": 100.0}, True),
        (102.01, {"last_price": 100.0}, False),
        (97.99, {"ltp": 100.0}, False),
        (None, {"ltp": 100.0}, True),
        (500.0, {}, True),
    ],
)
def test_how_far_a_limit_is_from_the_market(price: float | None, snapshot: dict[str, Any], allowed: bool) -> None:
    assert guardian().validate_pre_trade({"qty": 1, "price": price}, snapshot).allow is allowed


@pytest.mark.parametrize(
    ("pnl", "limits", "reason"),
    [
        (-3000.0, {}, None),
        (-3000.01, {}, "Daily drawdown limit exceeded: 3.00% (max=3.0%)"),
        (-5001.0, {"max_daily_drawdown_pct": 50}, "PnL drop halt triggered: -5.00% (threshold=-5.0%)"),
        (60_000.0, {}, None),
    ],
)
def test_losses_count_and_profits_do_not(pnl: float, limits: dict[str, Any], reason: str | None) -> None:
    assert guardian(Store(pnl), **limits).validate_pre_trade(intent()).reason == reason


def test_the_capital_of_the_state_counts() -> None:
    assert guardian(Store(-3001.0, capital=500_000.0)).validate_pre_trade(intent()).allow


@pytest.mark.parametrize(
    ("store", "order", "words"),
    [
        (BrokenStore(), intent(), "disk gone"),
        (object(), intent(), "neither load"),
        (Store(), {"price": 100.0}, "qty: must be a number"),
        (Store(), {"qty": float("nan")}, "qty: must be finite"),
        (Store(), {"qty": 1, "price": "dear"}, "price: must be a number"),
    ],
)
def test_a_check_that_fails_refuses(store: Any, order: Any, words: str) -> None:
    decision = guardian(store).validate_pre_trade(order, {"last_price": 100.0})
    assert not decision.allow
    assert decision.reason is not None
    assert decision.reason.startswith("Guardian exception: ")
    assert words in decision.reason
