"""The pre-trade checks of a single process, on the caller's own state and market snapshot."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of, moment_of, section
from durable_orders.callers.state import state_of
from durable_orders.v2.state import PAPER_CAPITAL

DEFAULTS: dict[str, Any] = {
    "max_lot_size": 50,
    "max_order_per_second": 5,
    "reject_if_price_stale_secs": 3,
    "reject_if_slippage_pct": 2.0,
    "max_daily_drawdown_pct": 3.0,
    "halt_on_pnl_drop_pct": 5.0,
}
"""Of the section `guardian`, once `guardian.enabled` is true. Percentages are percent."""
WINDOW = 1.0
"""Seconds in which orders are counted."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuardianDecision:
    allow: bool
    reason: str | None = None


class TradeGuardian:
    """Thread-safe. Off as long as `guardian.enabled` is not true.

    A check that fails refuses the order: what cannot be checked is not sent.
    """

    def __init__(
        self,
        config: Any,
        state_store: Any,
        logger_instance: logging.Logger | None = None,
        regime_engine: Any = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`state_store` has `load_checkpoint` or `load`; `regime_engine` is told of in the log only.

        Raises `ValueError` for a section `guardian` that is no mapping, or an `enabled` that is neither.
        """
        given = section(config, "guardian")
        enabled = given.get("enabled", False)
        if not isinstance(enabled, bool):
            raise ValueError(f"guardian.enabled: must be true or false, was {enabled!r:.40}")
        self.enabled = enabled
        self.limits: dict[str, Any] = {key: given.get(key, value) for key, value in DEFAULTS.items()}
        self.state_store = state_store
        self.logger = logger_instance or log
        self.regime_engine = regime_engine
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()

    def validate_pre_trade(self, intent: Any, market_snapshot: Mapping[str, Any] | None = None) -> GuardianDecision:
        """The first reason against an order, which is an object or a mapping with `qty` and `price`. Never raises."""
        if not self.enabled:
            return GuardianDecision(allow=True)
        try:
            reason = next(self._refusals(intent, market_snapshot or {}), None)
        except Exception as error:
            self.logger.exception("the guardian could not check an order")
            reason = f"Guardian exception: {error}"
        return GuardianDecision(allow=reason is None, reason=reason)

    def _refusals(self, intent: Any, snapshot: Mapping[str, Any]) -> Iterator[str]:
        """In this order; the rate counts an order that passed it, whatever comes later."""
        quantity = exact(first_of(intent, "qty", "quantity"), "qty")
        if quantity > self._limit("max_lot_size"):
            yield f"Order quantity {quantity:f} exceeds max_lot_size {self._limit('max_lot_size'):f}"
        yield from self._too_fast()
        yield from self._stale(snapshot)
        yield from self._far_from_market(intent, snapshot)
        yield from self._lost_too_much()
        self._note_the_regime()

    def _limit(self, key: str) -> Decimal:
        return exact(self.limits[key], f"guardian.{key}")

    def _too_fast(self) -> Iterator[str]:
        limit = self._limit("max_order_per_second")
        with self._lock:
            now = self._monotonic()
            while self._recent and now - self._recent[0] >= WINDOW:
                self._recent.popleft()
            count = len(self._recent)
            if count < limit:
                self._recent.append(now)
        if count >= limit:
            yield f"Order rate limit exceeded: {count} orders in last second (max={limit:f})"

    def _stale(self, snapshot: Mapping[str, Any]) -> Iterator[str]:
        given = snapshot.get("timestamp")
        at = moment_of(given)
        if at is None:
            if given is not None:
                self.logger.warning("the snapshot's timestamp %r cannot be read: its age was not checked", given)
            return
        age = (self._clock() - at).total_seconds()
        limit = self._limit("reject_if_price_stale_secs")
        if age > limit:
            yield f"Market data is stale: {age:.2f}s old (threshold={limit:f}s)"

    def _far_from_market(self, intent: Any, snapshot: Mapping[str, Any]) -> Iterator[str]:
        price, last = first_of(intent, "price"), first_of(snapshot, "last_price", "ltp")
        if not price or not last:
            return
        asked, seen = exact(price, "price"), exact(last, "last_price")
        away = abs(asked - seen) / seen * 100
        limit = self._limit("reject_if_slippage_pct")
        if away > limit:
            yield f"Excessive slippage: intent price {price} vs last price {last} ({away:.2f}% > {limit:f}%)"

    def _lost_too_much(self) -> Iterator[str]:
        """Losses count, profits do not."""
        equity = first_of(state_of(self.state_store), "equity") or {}
        capital = exact(first_of(equity, "paper_capital") or PAPER_CAPITAL, "equity.paper_capital")
        lost = -exact(first_of(equity, "realized_pnl") or 0, "equity.realized_pnl") / capital * 100
        drawdown, drop = self._limit("max_daily_drawdown_pct"), self._limit("halt_on_pnl_drop_pct")
        if lost > drawdown:
            yield f"Daily drawdown limit exceeded: {lost:.2f}% (max={drawdown:f}%)"
        if lost > drop:
            yield f"PnL drop halt triggered: {-lost:.2f}% (threshold=-{drop:f}%)"

    def _note_the_regime(self) -> None:
        if self.regime_engine is not None:
            self.logger.debug("market regime: %s", first_of(self.regime_engine, "current_regime", "regime"))
