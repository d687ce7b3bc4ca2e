"""The migration guide: its examples run as they are printed, and its settings exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import durable_orders.v2 as package
from durable_orders.trading.config.keys import all_keys
from durable_orders.trading.config.settings import Settings
from tests.durable_orders.program import Program

PAGE = Path(__file__).parents[3] / "docs" / "migrating-from-v2.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES: list[tuple[str, str]] = re.findall(r"^```python\n(.+?)^```\n\n```text\n(.+?)^```", TEXT, re.M | re.S)
OVER_A_BROKER = 1
NEW = ("execution.folder", "execution.home", "execution.live.settle_window")
OLD = """
mode execution.use_execution_engine_v2 execution.dry_run execution.slippage_bps execution.use_bid_ask_spread
execution.paper.slippage_bps execution.paper.slippage_enabled execution.paper.spread_bps
execution.paper.spread_enabled execution.paper.partial_fill_enabled execution.paper.partial_fill_probability
execution.paper.partial_fill_ratio execution.paper.latency_enabled execution.paper.latency_ms
execution.live.retry_enabled execution.live.max_retries execution.live.retry_delay
execution.live.reconciliation_enabled execution.live.reconciliation_interval execution.live.guardian_enabled
execution.circuit_breakers.max_daily_loss_rupees execution.circuit_breakers.max_daily_drawdown_pct
execution.circuit_breakers.max_trades_per_day execution.circuit_breakers.max_trades_per_strategy_per_day
execution.circuit_breakers.max_loss_streak guardian.enabled guardian.max_lot_size guardian.max_order_per_second
guardian.reject_if_price_stale_secs guardian.reject_if_slippage_pct guardian.max_daily_drawdown_pct
guardian.halt_on_pnl_drop_pct trading.trade_throttler.max_trades_per_symbol_per_day
trading.trade_throttler.max_trades_per_strategy_per_day trading.trade_throttler.max_total_trades_per_day
trading.trade_throttler.max_daily_drawdown_pct trading.trade_throttler.max_loss_streak
trading.trade_throttler.min_edge_vs_cost_rupees trading.paper_capital trading.max_daily_loss
trading.per_symbol_max_loss trading.max_loss_pct_per_trade trading.max_notional_multiplier trading.max_open_positions
trading.default_product trading.default_quantity data.timeframe portfolio.max_leverage portfolio.max_exposure_pct
portfolio.max_risk_per_trade_pct portfolio.max_risk_per_strategy_pct portfolio.position_sizing_mode
portfolio.lot_size_fallback portfolio.default_fixed_qty portfolio.atr_stop_multiplier portfolio.strategy_budgets
strategy_orchestrator.enabled strategy_orchestrator.health_scoring_window strategy_orchestrator.loss_streak_disable
strategy_orchestrator.disable_duration_seconds strategy_orchestrator.enforce_regimes
strategy_orchestrator.enforce_capital_budgets strategy_orchestrator.min_health_score strategy_orchestrator.strategies
risk.mode risk.capital risk.per_trade_risk_pct risk.max_daily_loss_abs risk.max_daily_loss_pct
risk.max_positions_total risk.max_positions_per_symbol risk.max_trades_per_symbol_per_day
risk.min_seconds_between_entries risk.extra
""".split()  # noqa: SIM905  (eighty names)


def rows() -> Iterator[tuple[str, ...]]:
    table = TEXT.partition("| old key |")[2]
    yield from re.findall(r"^\| `([a-z0-9_.]+)` \| (.+) \| (.+) \|$", table, re.M)


def test_it_has_three_examples() -> None:
    assert len(EXAMPLES) == TEXT.count("```python") == 3


@pytest.mark.parametrize("number", range(3))
def test_its_examples_run_as_printed(
    number: int,
    request: pytest.FixtureRequest,
    desk: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / ".durable-orders").symlink_to(desk.home)
    monkeypatch.chdir(tmp_path)
    if number == OVER_A_BROKER:
        request.getfixturevalue("over_the_shared_server")
    code, printed = EXAMPLES[number]
    exec(code, {"__name__": "example"})  # noqa: S102
    assert capsys.readouterr().out == printed


def test_the_names_that_it_tells_of_exist() -> None:
    table = TEXT.partition("| from there |")[2].partition("\n\n")[0]
    named = {name for cell in re.findall(r"^\| (`.+?) \|", table, re.M) for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(package.__all__) - {"DEFAULT_EXPECTED_EDGE_RUPEES"}


def test_every_old_key_is_told_of_once() -> None:
    told = [
        key for key, *_ in rows() if key not in ("execution.folder", "execution.home", "execution.live.settle_window")
    ]
    assert told == OLD


def test_the_keys_of_today_exist() -> None:
    known = {".".join(key) for key in all_keys(Settings)}
    for old, _, now in rows():
        named = re.findall(r"`([a-z_]+\.[a-z_.*]+)`", now)
        assert set(named) <= known, old
        assert named or now.startswith("gone"), old


def test_every_difference_has_all_its_cells() -> None:
    table = TEXT.partition("| what | before | now | why |")[2].partition("\n\n")[0]
    cells: list[list[Any]] = [line.strip("|").split(" | ") for line in table.strip().splitlines()[1:]]
    assert {len(row) for row in cells} == {4}
