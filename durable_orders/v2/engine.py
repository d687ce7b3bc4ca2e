"""The older in-process engine: an intent goes past the guardian and the breakers to the simulator or the broker."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.callers.market import snapshot_of
from durable_orders.callers.risk import EXPECTED_EDGE, guarded, throttled
from durable_orders.trading.orders.order import Mode, Status
from durable_orders.v2.books import Books, Seen
from durable_orders.v2.breakers import BreakerLimits, trade_counter, tripped
from durable_orders.v2.guardian import TradeGuardian
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.live_route import LiveRoute, updated
from durable_orders.v2.results import rejected, result_of, row_of, status_word
from durable_orders.v2.smart_fill import SmartFillSimulator
from durable_orders.v2.terms import checked

BLOCKED = "Circuit breaker blocked execution"
NO_SIMULATOR = "SmartFillSimulator not initialized"

log = logging.getLogger(__name__)


class ExecutionEngineV2:
    """Thread-safe: one order at a time is checked and sent. Plain calls, which may be made where an event loop runs."""

    def __init__(
        self,
        mode: str,
        broker: Any,
        state_store: Any,
        journal_store: Any,
        trade_throttler: Any,
        logger_instance: logging.Logger | None,
        config: Any,
        mde: Any = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises `ValueError` for a mode without what it needs, and for a configuration that cannot be read."""
        self.mode = str(mode).lower()
        if self.mode == Mode.PAPER and mde is None:
            raise ValueError("MarketDataEngine required for paper mode")
        if self.mode != Mode.PAPER and broker is None:
            raise ValueError("Broker required for live mode")
        self.broker = broker
        self.state_store = state_store
        self.journal = journal_store
        self.throttler = trade_throttler
        self.logger = logger_instance or log
        self.config = config
        self.mde = mde
        self.guardian: Any = TradeGuardian(config, state_store, self.logger)
        self.smart_fill = SmartFillSimulator(mde, self.logger, config) if mde is not None else None
        limits = BreakerLimits.of(config)
        self.max_daily_loss_rupees = limits.max_daily_loss_rupees
        self.max_daily_drawdown_pct = limits.max_daily_drawdown_pct
        self.max_trades_per_day = limits.max_trades_per_day
        self.max_trades_per_strategy_per_day = limits.max_trades_per_strategy_per_day
        self.max_loss_streak = limits.max_loss_streak
        self._books = Books(state_store, journal_store, trade_counter(config), self.logger)
        self._live = LiveRoute(broker, self._books, config, self.logger, clock)
        self._is_open = True

    def execute_intent(self, intent: OrderIntent) -> ExecutionResult:
        """Check the intent, send it, journal what became of it. Never raises: a refusal is a result.

        Whatever fails before the sending refuses the order; what was sent is never called rejected without proof.
        """
        with self._books.lock:
            before = self._sent_before(intent)
            if before is not None:
                return before
            result = self._refusal(intent) or self._routed(intent)
            filled = (result.raw or {}).get("filled_qty") if result.status in ("PARTIAL", "CANCELLED") else None
            problem = self._books.write(row_of(intent, result, self.mode, filled))
            if problem is not None:
                result.raw = {**(result.raw or {}), "journal_error": problem}
            return result

    def apply_circuit_breakers(self, intent: OrderIntent) -> bool:
        """Whether the throttler, the day's result, the state's flags and orders of unknown outcome let it through."""
        reason = self._tripped(intent) or self._unsettled()
        if reason is not None:
            self.logger.warning("%s %s: %s", intent.side, intent.symbol, reason)
        return reason is None

    def route_paper(self, intent: OrderIntent) -> ExecutionResult:
        """Meet the market in the simulator, and book the fill."""
        if self.smart_fill is None:
            return rejected(intent, NO_SIMULATOR)
        result = self.smart_fill.execute(intent)
        if result.status == "FILLED":
            order = checked(intent)
            average = Decimal(str(result.avg_price))
            place = (str(result.order_id), intent.symbol, order.side, intent.qty, Status.FILLED, intent.strategy_code)
            self._books.take(Seen(*place, filled=intent.qty, average=average, price=intent.price))
            if intent.metadata.get("client_order_id"):
                self._books.name(str(order.tag), str(result.order_id))
        return result

    def route_live(self, intent: OrderIntent) -> ExecutionResult:
        """Send the intent to the broker, once."""
        return self._live.send(intent, checked(intent))

    def on_order_update(self, update: Mapping[str, Any]) -> None:
        """Take what the broker says of an order: book what is new of it, and journal it. Live only.

        The same update twice, or an older one, changes nothing. One that cannot be read is logged.
        """
        if self.mode == Mode.PAPER:
            return
        try:
            updated(self._live, update)
        except ValueError as error:
            self.logger.error("an order update cannot be read: %s", error)

    def close(self) -> None:
        """Take no more intents; what was sent is still booked as updates come. Closing twice is fine."""
        with self._books.lock:
            self._is_open = False

    def _refusal(self, intent: OrderIntent) -> ExecutionResult | None:
        """The first reason against the intent, in the order in which they count."""
        if not self._is_open:
            return rejected(intent, "Execution error: the engine is closed")
        try:
            checked(intent)
        except ValueError as error:
            return rejected(intent, f"Invalid order: {error}")
        try:
            reason = guarded(self.guardian, intent, self._snapshot(intent))
            if reason is not None:
                return rejected(intent, f"Guardian blocked: {reason}")
            reason = self._tripped(intent)
            if reason is not None:
                return rejected(intent, BLOCKED, reason=reason)
            reason = self._unsettled()
        except Exception as error:
            self.logger.exception("an order could not be checked")
            return rejected(intent, f"Execution error: {error}")
        return rejected(intent, f"Blocked: {reason}") if reason is not None else None

    def _sent_before(self, intent: OrderIntent) -> ExecutionResult | None:
        """What became of an intent with an id of its own that was executed before, today: it is one order."""
        with suppress(Exception):
            if not intent.metadata.get("client_order_id"):
                return None
            tag = str(checked(intent).tag)
            if any(lost.tag == tag for lost in self._books.lost()):
                self._live.settle_all()
            if any(lost.tag == tag for lost in self._books.lost()):
                words = "executed before, and what became of it is not known yet"
                return replace(result_of(intent, Status.UNKNOWN.value), message=words, raw={"tag": tag})
            order_id = self._books.named(tag)
            return None if order_id is None else self._standing(intent, order_id)
        return None

    def _standing(self, intent: OrderIntent, order_id: str) -> ExecutionResult:
        """By the books, else by the broker's; `UNKNOWN` where neither has it any more."""
        seen, (filled, value) = self._books.find(order_id), self._books.booked(order_id)
        row = self._live.shown(order_id) if seen is None and filled < intent.qty else None
        status = seen.status if seen else Status.FILLED if filled >= intent.qty else row.status if row else None
        average = value / filled if filled else None
        result = result_of(intent, status_word(status or Status.UNKNOWN), order_id)
        result.avg_price = float(average) if average is not None else None
        result.message = "executed before: it is the same order"
        return result

    def _unsettled(self) -> str | None:
        return None if self.mode == Mode.PAPER else self._live.blocked_by()

    def _routed(self, intent: OrderIntent) -> ExecutionResult:
        return self.route_paper(intent) if self.mode == Mode.PAPER else self.route_live(intent)

    def _tripped(self, intent: OrderIntent) -> str | None:
        """What cannot be checked blocks as well."""
        try:
            edge = intent.metadata.get("expected_edge", EXPECTED_EDGE)
            reason = throttled(self.throttler, intent.symbol, intent.strategy_code, edge)
            reason = reason or next(tripped(self._limits(), self._books.state()), None)
            return reason or self._books.over_the_position_limit(intent.symbol, intent.strategy_code)
        except Exception as error:
            self.logger.exception("a circuit breaker could not be checked")
            return f"a check failed: {error}"

    def _limits(self) -> BreakerLimits:
        """As the attributes say: they may be changed while the engine runs."""
        return BreakerLimits(self.max_daily_loss_rupees, self.max_daily_drawdown_pct)

    def _snapshot(self, intent: OrderIntent) -> Mapping[str, Any] | None:
        """What the market data has of the last minute. Without it the guardian does without."""
        with suppress(Exception):
            return snapshot_of(self.mde, intent.symbol) if self.mde is not None else None
        return None
