"""The circuit breakers of `execution.circuit_breakers`, on the caller's own state."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of, section
from durable_orders.v2.state import PAPER_CAPITAL
from durable_orders.v2.throttler import ThrottlerConfig, TradeThrottler


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """What `execution.circuit_breakers` says, with its defaults."""

    max_daily_loss_rupees: float = 5000.0
    max_daily_drawdown_pct: float = 0.02
    """A fraction of the paper capital."""
    max_trades_per_day: int = 100
    max_trades_per_strategy_per_day: int = 50
    max_loss_streak: int = 5

    @classmethod
    def of(cls, config: Any) -> "BreakerLimits":
        """Raises `ValueError`, which names the key, for a value that is no number."""
        given = section(config, "execution", "circuit_breakers")
        keys = {key: given[key] for key in cls.__slots__ if given.get(key) is not None}
        numbers = {key: float(exact(value, f"execution.circuit_breakers.{key}")) for key, value in keys.items()}
        whole = ("max_trades_per_day", "max_trades_per_strategy_per_day", "max_loss_streak")
        return cls(**{key: int(number) if key in whole else number for key, number in numbers.items()})  # type: ignore[arg-type]


def trade_counter(config: Any) -> TradeThrottler:
    """Counts the trades and losses that three of the limits are about. They are off where the configuration has no
    section `execution.circuit_breakers`."""
    limits = BreakerLimits.of(config)
    on = bool(section(config, "execution", "circuit_breakers"))
    return TradeThrottler(
        config=ThrottlerConfig(
            max_trades_per_symbol_per_day=0,
            max_trades_per_strategy_per_day=limits.max_trades_per_strategy_per_day if on else 0,
            max_total_trades_per_day=limits.max_trades_per_day if on else 0,
            max_daily_drawdown_pct=0.0,
            max_loss_streak=limits.max_loss_streak if on else 0,
            min_edge_vs_cost_rupees=0.0,
        )
    )


def tripped(limits: BreakerLimits, state: Mapping[str, Any]) -> Iterator[str]:
    """The reasons for which the state allows no order. A profit is none.

    Raises `ValueError` for a figure that is no number.
    """
    equity = first_of(state, "equity") or {}
    lost = -exact(first_of(equity, "realized_pnl") or 0, "equity.realized_pnl")
    capital = exact(first_of(equity, "paper_capital") or PAPER_CAPITAL, "equity.paper_capital")
    if lost > exact(limits.max_daily_loss_rupees, "max_daily_loss_rupees"):
        yield f"the day's loss is {lost:.2f} rupees (max {limits.max_daily_loss_rupees:.2f})"
    if capital > 0 and lost / capital > exact(limits.max_daily_drawdown_pct, "max_daily_drawdown_pct"):
        percent, allowed = lost / capital * 100, Decimal(str(limits.max_daily_drawdown_pct)) * 100
        yield f"the day's loss is {percent:.2f} % of the capital (max {allowed:.2f} %)"
    risk = first_of(state, "risk") or {}
    if first_of(risk, "trading_halted"):
        yield f"trading is halted: {first_of(risk, 'halt_reason') or 'Unknown'}"
