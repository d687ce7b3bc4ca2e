"""How often a strategy may trade: caps by symbol, strategy and day, a stop on losses, and a least edge."""

import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact
from durable_orders.trading.ist import IST

DEFAULT_EXPECTED_EDGE_RUPEES = 100.0
KEPT_RESULTS = 50
NOTHING = Decimal("0.000001")
"""Rupees: a result no further from zero counts neither as a profit nor as a loss."""


@dataclass(frozen=True, slots=True)
class ThrottlerConfig:
    """Each limit is off at 0 or less."""

    max_trades_per_symbol_per_day: int = 20
    max_trades_per_strategy_per_day: int = 80
    max_total_trades_per_day: int = 300
    max_daily_drawdown_pct: float = 0.02
    """A fraction of the capital."""
    max_loss_streak: int = 5
    min_edge_vs_cost_rupees: float = 50.0


def build_throttler_config(raw: Mapping[str, Any] | None) -> ThrottlerConfig:
    """Out of a section `trading.trade_throttler`; keys of others are left alone.

    Raises `ValueError`, which names the key, for a value that is no number.
    """
    given = {field.name: (raw or {})[field.name] for field in fields(ThrottlerConfig) if field.name in (raw or {})}
    wanted = {field.name: field.type for field in fields(ThrottlerConfig)}
    return ThrottlerConfig(**{name: _number(name, value, whole=wanted[name] is int) for name, value in given.items()})


_latest: dict[str, Any] = {}


def latest_throttler_summary() -> dict[str, Any]:
    """The last `quality_summary` of any throttler of this process; empty before the first question."""
    return dict(_latest)


class TradeThrottler:
    """Thread-safe. Its day is the trading day, in IST, and counts anew when that changes."""

    def __init__(
        self,
        *,
        config: ThrottlerConfig,
        capital: float = 0.0,
        realized_pnl: float = 0.0,
        warm_state: Mapping[str, Any] | None = None,
    ) -> None:
        """`capital` and `realized_pnl` in rupees; `warm_state` is an earlier `snapshot`, which counts on its day."""
        self.config = config
        self._streak = 0
        self._last_veto: str | None = None
        self._lock = threading.RLock()
        self._capital = exact(capital, "capital")
        self._start(_today(), realized_pnl)
        if warm_state:
            self.resume(warm_state)

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier `snapshot`, if it is of this day. Raises `ValueError` for one without a day."""
        if state:
            with self._lock:
                self._warm_up(state)

    def can_trade(
        self, symbol: str, strategy: str, expected_edge: float = DEFAULT_EXPECTED_EDGE_RUPEES
    ) -> tuple[bool, str]:
        """`should_allow_entry` under the name by which the engines ask."""
        return self.should_allow_entry(symbol, strategy, 0.0, expected_edge)

    def should_allow_entry(
        self,
        symbol: str,
        strategy: str,
        notional: float,
        expected_edge_rupees: float | None,
        *,
        trade_day: date | None = None,
    ) -> tuple[bool, str]:
        """Whether a new trade may be made, and `OK` or the reason why not."""
        edge = exact(DEFAULT_EXPECTED_EDGE_RUPEES if expected_edge_rupees is None else expected_edge_rupees, "edge")
        with self._lock:
            self._turn_to(trade_day)
            self._evaluations += 1
            reason = next(self._vetoes(_symbol(symbol), _strategy(strategy), edge), "OK")
            if reason != "OK":
                self._note_veto(reason)
            self._publish()
            return reason == "OK", reason

    def _note_veto(self, reason: str) -> None:
        self._veto_counts[reason] += 1
        self._last_veto = reason

    def _vetoes(self, symbol: str, strategy: str, edge: Decimal) -> Iterator[str]:
        """In the order in which they count."""
        limits = self.config
        if limits.min_edge_vs_cost_rupees > 0 and edge < exact(limits.min_edge_vs_cost_rupees, "edge"):
            yield "EDGE_BELOW_COST"
        if 0 < limits.max_total_trades_per_day <= self._total:
            yield "CAP_TOTAL"
        if 0 < limits.max_trades_per_symbol_per_day <= self._by_symbol[symbol]:
            yield "CAP_SYMBOL"
        if 0 < limits.max_trades_per_strategy_per_day <= self._by_strategy[strategy]:
            yield "CAP_STRATEGY"
        if self._drawdown_hit():
            yield "DAILY_DRAWDOWN"
        if 0 < limits.max_loss_streak <= self._streak:
            yield "LOSS_STREAK"

    def _drawdown_hit(self) -> bool:
        allowed = self._capital * exact(self.config.max_daily_drawdown_pct, "max_daily_drawdown_pct")
        return allowed > 0 and -self._realized >= allowed

    def register_fill(
        self,
        symbol: str,
        strategy: str,
        side: str,
        qty: int,
        price: float,
        realized_pnl: float | None,
        *,
        count_towards_limits: bool = True,
        trade_day: date | None = None,
    ) -> None:
        """Count a trade, and what it earned in rupees: a loss lengthens the streak, a profit ends it.

        A fill of an earlier day than the one that is counted changes nothing.
        """
        earned = exact(realized_pnl or 0, "realized_pnl")
        with self._lock:
            if not self._turn_to(trade_day):
                return
            if count_towards_limits:
                self._by_symbol[_symbol(symbol)] += 1
                self._by_strategy[_strategy(strategy)] += 1
                self._total += 1
            self._realized += earned
            if abs(earned) > NOTHING:
                self._recent.append(float(earned))
                self._streak = self._streak + 1 if earned < 0 else 0
            self._publish()

    def update_context(self, today: date | None, realized_pnl: float, capital: float) -> None:
        """What the account says of its day: rupees realized, and the capital in rupees."""
        with self._lock:
            self._turn_to(today)
            self._realized = exact(realized_pnl, "realized_pnl")
            self._capital = exact(capital, "capital")

    def reset_for_new_day(self, today: date, new_capital: float, realized_pnl: float = 0.0) -> None:
        """Begin a day, with nothing counted."""
        with self._lock:
            self._capital = exact(new_capital, "new_capital")
            self._start(_day(today), realized_pnl)

    def snapshot(self) -> dict[str, Any]:
        """All that is counted, as JSON can carry it. A later throttler takes it as `warm_state`."""
        with self._lock:
            return {
                "symbol_counts": dict(self._by_symbol),
                "strategy_counts": dict(self._by_strategy),
                "total_trades": self._total,
                "realized_pnl": float(self._realized),
                "loss_streak": self._streak,
                "recent_pnls": list(self._recent),
                "stamp": self._day.isoformat(),
                "evaluations": self._evaluations,
                "veto_counts": dict(self._veto_counts),
                "last_veto_reason": self._last_veto,
            }

    def quality_summary(self) -> dict[str, Any]:
        """The day so far: signals, trades taken, vetoes and their reasons."""
        with self._lock:
            return {
                "date": self._day.isoformat(),
                "total_signals": self._evaluations,
                "total_trades_taken": self._total,
                "total_vetoed": self._veto_counts.total(),
                "veto_breakdown": dict(self._veto_counts),
                "trade_caps": asdict(self.config),
                "loss_streak": self._streak,
                "realized_pnl": float(self._realized),
                "drawdown_hit": self._drawdown_hit(),
                "last_veto_reason": self._last_veto,
            }

    def _publish(self) -> None:
        _latest.clear()
        _latest.update(self.quality_summary())

    def _turn_to(self, day: date | None) -> bool:
        """Begin that day if it is a new one. Whether it is the day that is counted."""
        wanted = _today() if day is None else _day(day)
        if wanted > self._day:
            self._start(wanted, 0)
        return wanted == self._day

    def _start(self, day: date, realized_pnl: float) -> None:
        self._day = day
        self._realized = exact(realized_pnl, "realized_pnl")
        self._by_symbol: Counter[str] = Counter()
        self._by_strategy: Counter[str] = Counter()
        self._veto_counts: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=KEPT_RESULTS)
        self._total = self._streak = self._evaluations = 0
        self._last_veto = None

    def _warm_up(self, state: Mapping[str, Any]) -> None:
        """Raises `ValueError` for a state without a day: nobody could say whether it still counts."""
        try:
            stamp = date.fromisoformat(str(state.get("stamp")))
        except ValueError:
            raise ValueError(f"warm_state.stamp: must be an ISO date, was {state.get('stamp')!r:.40}") from None
        if stamp != self._day:
            return
        self._by_symbol.update({_symbol(name): int(count) for name, count in state.get("symbol_counts", {}).items()})
        self._by_strategy.update({_strategy(name): int(n) for name, n in state.get("strategy_counts", {}).items()})
        self._veto_counts.update({name: int(count) for name, count in state.get("veto_counts", {}).items()})
        self._recent.extend(float(result) for result in state.get("recent_pnls", ()))
        self._total = int(state.get("total_trades", 0))
        self._streak = int(state.get("loss_streak", 0))
        self._evaluations = int(state.get("evaluations", 0))
        self._realized = exact(state.get("realized_pnl", self._realized), "warm_state.realized_pnl")
        self._last_veto = state.get("last_veto_reason")


def _number(name: str, value: Any, *, whole: bool) -> Any:
    number = exact(value, f"trade_throttler.{name}")
    if whole and number != int(number):
        raise ValueError(f"trade_throttler.{name}: must be a whole number, was {value!r:.40}")
    return int(number) if whole else float(number)


def _today() -> date:
    return datetime.now(IST).date()


def _day(value: date) -> date:
    """A datetime is a date, too, but not the day that is meant."""
    return value.date() if isinstance(value, datetime) else value


def _symbol(name: Any) -> str:
    return str(name or "").strip().upper()


def _strategy(name: Any) -> str:
    return str(name or "").strip() or "UNKNOWN"
