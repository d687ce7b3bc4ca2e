"""The older throttler: its reasons, their order, its snapshots, and its day."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from durable_orders.trading.ist import IST
from durable_orders.v2 import ThrottlerConfig, TradeThrottler, build_throttler_config, latest_throttler_summary

OFF = {
    "max_trades_per_symbol_per_day": 0,
    "max_trades_per_strategy_per_day": 0,
    "max_total_trades_per_day": -1,
    "max_daily_drawdown_pct": 0,
    "max_loss_streak": 0,
    "min_edge_vs_cost_rupees": 0,
}


def throttler(capital: float = 100_000.0, **limits: Any) -> TradeThrottler:
    return TradeThrottler(config=build_throttler_config(OFF | limits), capital=capital)


def trade(one: TradeThrottler, pnl: float = 0.0, symbol: str = "NIFTY", strategy: str = "s", **more: Any) -> None:
    one.register_fill(symbol, strategy, "BUY", 50, 100.0, pnl, **more)


def test_the_defaults_and_foreign_keys() -> None:
    assert build_throttler_config(None) == ThrottlerConfig(20, 80, 300, 0.02, 5, 50.0)
    assert build_throttler_config({"max_loss_streak": "3", "colour": "red"}).max_loss_streak == 3


@pytest.mark.parametrize("value", ["many", None, 2.5, float("nan"), True])
def test_a_limit_that_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match=r"trade_throttler\.max_loss_streak: must be"):
        build_throttler_config({"max_loss_streak": value})


def test_every_reason_in_its_order() -> None:
    """Each is met while all that come after it are, too."""
    reasons = []
    limits: dict[str, Any] = {
        "min_edge_vs_cost_rupees": 50,
        "max_total_trades_per_day": 1,
        "max_trades_per_symbol_per_day": 1,
        "max_trades_per_strategy_per_day": 1,
        "max_daily_drawdown_pct": 0.01,
        "max_loss_streak": 1,
    }
    while limits:
        one = throttler(**limits)
        trade(one, -1000.0)
        reasons.append(one.should_allow_entry("nifty", "s", 5000.0, 49.99)[1])
        limits.pop(next(iter(limits)))
    assert reasons == ["EDGE_BELOW_COST", "CAP_TOTAL", "CAP_SYMBOL", "CAP_STRATEGY", "DAILY_DRAWDOWN", "LOSS_STREAK"]


def test_both_names_of_the_question_give_the_same_answer() -> None:
    one = throttler(max_trades_per_symbol_per_day=1)
    assert one.can_trade(symbol="NIFTY", strategy="s", expected_edge=100.0) == (True, "OK")
    trade(one, symbol="nifty")
    assert one.can_trade("NIFTY", "s") == one.should_allow_entry("Nifty", "s", 0.0, 100.0) == (False, "CAP_SYMBOL")
    assert one.can_trade("BANKNIFTY", "s") == (True, "OK")


def test_a_drawdown_is_reached_exactly_and_a_profit_is_none() -> None:
    one = throttler(max_daily_drawdown_pct=0.02)
    trade(one, -1999.99)
    assert one.can_trade("NIFTY", "s")[0]
    trade(one, -0.01)
    assert one.can_trade("NIFTY", "s") == (False, "DAILY_DRAWDOWN")
    trade(one, 9000.0)
    assert one.can_trade("NIFTY", "s") == (True, "OK")


def test_a_streak_ends_with_a_profit_and_knows_no_zeros() -> None:
    one = throttler(max_loss_streak=2)
    for pnl in (-1.0, 0.0, 1e-7, -1.0):
        trade(one, pnl)
    assert one.can_trade("NIFTY", "s") == (False, "LOSS_STREAK")
    trade(one, 0.5)
    assert one.can_trade("NIFTY", "s") == (True, "OK")
    assert one.snapshot()["recent_pnls"] == [-1.0, -1.0, 0.5]


@pytest.mark.parametrize("edge", [float("nan"), float("inf"), "much"])
def test_an_edge_that_is_no_number_allows_nothing(edge: Any) -> None:
    with pytest.raises(ValueError, match="edge: must be"):
        throttler(min_edge_vs_cost_rupees=50).can_trade("NIFTY", "s", edge)


def test_a_snapshot_travels_as_json_and_starts_the_next_one() -> None:
    one = throttler(max_trades_per_strategy_per_day=2)
    trade(one, -5.0)
    trade(one, -7.5, strategy="")
    trade(one, -1.0, count_towards_limits=False)
    one.can_trade("NIFTY", "s")
    again = json.loads(json.dumps(one.snapshot()))
    assert again == {
        "symbol_counts": {"NIFTY": 2},
        "strategy_counts": {"s": 1, "UNKNOWN": 1},
        "total_trades": 2,
        "realized_pnl": -13.5,
        "loss_streak": 3,
        "recent_pnls": [-5.0, -7.5, -1.0],
        "stamp": datetime.now(IST).date().isoformat(),
        "evaluations": 1,
        "veto_counts": {},
        "last_veto_reason": None,
    }
    assert TradeThrottler(config=one.config, capital=100_000.0, warm_state=again).snapshot() == again


def test_yesterdays_snapshot_counts_for_nothing_and_one_without_a_day_is_refused() -> None:
    one = throttler()
    trade(one, -5.0)
    old = one.snapshot() | {"stamp": "2020-01-01"}
    assert TradeThrottler(config=one.config, warm_state=old).snapshot()["total_trades"] == 0
    with pytest.raises(ValueError, match=r"warm_state\.stamp"):
        TradeThrottler(config=one.config, warm_state={"total_trades": 3})


def test_a_new_day_counts_anew_and_a_late_fill_of_an_old_one_does_not() -> None:
    one = throttler(max_total_trades_per_day=1)
    today = datetime.now(IST).date()
    trade(one, -5.0)
    tomorrow = today + timedelta(days=1)
    assert one.should_allow_entry("NIFTY", "s", 0.0, 100.0, trade_day=tomorrow) == (True, "OK")
    trade(one, -5.0, trade_day=today)
    assert one.snapshot()["total_trades"] == 0
    assert one.snapshot()["realized_pnl"] == 0.0
    trade(one, -5.0, trade_day=tomorrow)
    assert one.should_allow_entry("NIFTY", "s", 0.0, 100.0, trade_day=tomorrow) == (False, "CAP_TOTAL")


def test_the_account_can_say_where_the_day_stands() -> None:
    one = throttler(max_daily_drawdown_pct=0.02)
    today = datetime.now(IST).date()
    one.update_context(today, realized_pnl=-3000.0, capital=100_000.0)
    assert one.can_trade("NIFTY", "s") == (False, "DAILY_DRAWDOWN")
    one.reset_for_new_day(date(2030, 1, 1), new_capital=200_000.0, realized_pnl=0.0)
    assert one.snapshot()["stamp"] == "2030-01-01"
    assert one.snapshot()["realized_pnl"] == 0.0


def test_the_summary_of_the_day() -> None:
    one = throttler(max_trades_per_symbol_per_day=1)
    one.can_trade("NIFTY", "s")
    trade(one, -10.0)
    one.can_trade("NIFTY", "s")
    assert one.quality_summary() == latest_throttler_summary()
    assert one.quality_summary() == {
        "date": datetime.now(IST).date().isoformat(),
        "total_signals": 2,
        "total_trades_taken": 1,
        "total_vetoed": 1,
        "veto_breakdown": {"CAP_SYMBOL": 1},
        "trade_caps": OFF | {"max_trades_per_symbol_per_day": 1},
        "loss_streak": 1,
        "realized_pnl": -10.0,
        "drawdown_hit": False,
        "last_veto_reason": "CAP_SYMBOL",
    }
