"""The older engine: an intent goes past the guardian and the breakers to the simulator, or to today's live engine."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from durable_orders.callers.figures import section
from durable_orders.callers.journal import journal_row
from durable_orders.callers.market import snapshot_of
from durable_orders.callers.risk import EXPECTED_EDGE, guarded, throttled
from durable_orders.engines.backend_engine import BackendEngine
from durable_orders.engines.broker_orders import BrokerOrders
from durable_orders.engines.durable import TemporalBackend
from durable_orders.engines.live import BOTH
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.orders.order import Mode, Order
from durable_orders.v2.books import CODE, UNSETTLED, OlderBooks, unsettled
from durable_orders.v2.breakers import BreakerLimits, trade_counter, tripped
from durable_orders.v2.engine_calls import CLOSED, EngineCalls, dry_run, order_result, warn_without_a_book
from durable_orders.v2.guardian import TradeGuardian
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.keeping import Keeping
from durable_orders.v2.paper_fills import PaperFill, PaperFills
from durable_orders.v2.results import rejected, row_of
from durable_orders.v2.smart_fill import SmartFillSimulator
from durable_orders.v2.terms import checked, strategy_name

BLOCKED = "Circuit breaker blocked execution"
NO_SIMULATOR = "SmartFillSimulator not initialized"
NO_BROKER = "Broker not initialized for live mode"
SAME = "executed before: it is the same order"

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
    ) -> None:
        """Raises `ValueError` for a mode without what it needs, and for a configuration that cannot be used, and
        `TypeError` for a broker without `place_order`."""
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
        self._lock = threading.RLock()
        self._keeping = Keeping(state_store, journal_store, trade_counter(config), in_process=False)
        self._paper = PaperFills(self._keeping, self.logger)
        self._live = self._live_calls() if self.mode != Mode.PAPER else None
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def execute_intent(self, intent: OrderIntent) -> ExecutionResult:
        """Check the intent, send it, journal what became of it. Never raises: a refusal is a result.

        Whatever fails before the sending refuses the order; what was sent is never called rejected without proof.
        """
        with self._lock:
            before = self._executed_before(intent)
            if before is not None:
                return before
            refusal = self._refusal(intent)
            if refusal is not None:
                return self._journaled(intent, refusal)
            if self.mode == Mode.PAPER:
                return self._journaled(intent, self.route_paper(intent))
            return self.route_live(intent)

    def apply_circuit_breakers(self, intent: OrderIntent) -> bool:
        """Whether the throttler, the day's result, the state's flags and orders of unknown outcome let it through."""
        with self._lock:
            try:
                self._look_first()
                reason = self._tripped(intent) or self._unsettled()
            except Exception as error:
                self.logger.exception("a circuit breaker could not be checked")
                reason = f"a check failed: {error}"
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
            tag = str(order.tag) if intent.metadata.get("client_order_id") else None
            price = Decimal(str(result.avg_price))
            with self._lock:
                what = (str(result.order_id), intent.symbol, order.side, intent.qty)
                self._paper.take(PaperFill(*what, price, intent.strategy_code, tag))
        return result

    def route_live(self, intent: OrderIntent) -> ExecutionResult:
        """Send the intent to the broker, once, as a durable order."""
        if self._live is None:
            return rejected(intent, NO_BROKER)
        if section(self.config, "execution").get("dry_run", False):
            return self._journaled(intent, dry_run(intent))
        if strategy_name(intent.strategy_code) != intent.strategy_code:
            intent = replace(intent, metadata=intent.metadata | {CODE: str(intent.strategy_code)})
        with self._lock:
            return self._live.place(intent, checked(intent))

    def on_order_update(self, update: Mapping[str, Any]) -> None:
        """A reason to look at the book, which alone counts: what is new there is booked and journaled. A lost, doubled
        or old update changes nothing. Live only."""
        if self._live is not None:
            self._live.look(f"after the update of order {update.get('order_id')}")

    def close(self) -> None:
        """Take no more intents, and let go of the desk. Live orders go on where they are: the next engine of this
        folder follows them. Closing twice is fine."""
        with self._lock:
            self._is_open = False
            if self._live is not None:
                self._live.close()

    def _live_calls(self) -> EngineCalls:
        if section(self.config, "execution").get("home") is not None:
            raise ValueError(BOTH)
        warn_without_a_book(self.broker, self.logger)
        bus, orders = EventBus(), BrokerOrders(self.broker, self.config)
        books = OlderBooks(self._keeping, self.logger)
        backend = TemporalBackend(orders, Mode.LIVE, None, None, bus, books)
        return EngineCalls(
            BackendEngine(backend, bus), orders, self._keeping, _under_the_brokers_id, self._journaled, self.logger
        )

    def _journaled(self, intent: OrderIntent, result: ExecutionResult) -> ExecutionResult:
        """What the journal raises does not undo what happened: it is logged, and in the result."""
        try:
            journal_row(self.journal, row_of(intent, result, self.mode))
        except Exception as error:
            self.logger.exception("a row of order %s was not journaled", result.order_id)
            result.raw = {**(result.raw or {}), "journal_error": str(error)}
        return result

    def _refusal(self, intent: OrderIntent) -> ExecutionResult | None:
        """The first reason against the intent, in the order in which they count."""
        if not self._is_open:
            return rejected(intent, CLOSED)
        try:
            checked(intent)
        except ValueError as error:
            return rejected(intent, f"Invalid order: {error}")
        try:
            self._look_first()
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

    def _look_first(self) -> None:
        """Raises what keeps it from being known what became of the orders of an earlier process."""
        if self._live is not None:
            self._live.open()

    def _executed_before(self, intent: OrderIntent) -> ExecutionResult | None:
        """What became of an intent with an id of its own that was executed before: it is one order."""
        with suppress(Exception):
            before = self._paper.executed_before(intent)
            if before is None and self._live is not None:
                before = self._live.executed_before(intent, checked(intent))
            if before is not None and before.status in UNSETTLED and self._live is not None:
                self._live.look("before the answer to an order of unknown outcome")
                return self._live.executed_before(intent, checked(intent)) or before
            return replace(before, message=SAME) if before is not None else None
        return None

    def _unsettled(self) -> str | None:
        """Orders of unknown outcome, after a look at the book where there are any."""
        if self._live is None:
            return None
        reason = self._live.in_doubt()
        if reason is not None:
            return reason
        if any(unsettled(self._keeping.load())):
            self._live.look("for an order of unknown outcome")
        names = ", ".join(unsettled(self._keeping.load()))
        return f"no new risk while the outcome of {names} is unknown" if names else None

    def _tripped(self, intent: OrderIntent) -> str | None:
        """What cannot be checked blocks as well."""
        try:
            edge = intent.metadata.get("expected_edge", EXPECTED_EDGE)
            reason = throttled(self.throttler, intent.symbol, intent.strategy_code, edge)
            self._paper.book()
            reason = reason or next(tripped(self._limits(), self._keeping.load()), None)
            return reason or self._keeping.over_the_position_limit(intent.symbol, intent.strategy_code)
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


def _under_the_brokers_id(intent: OrderIntent, order: Order) -> ExecutionResult:
    result = order_result(intent, order)
    return replace(result, order_id=order.broker_order_id, raw={**(result.raw or {}), "tag": str(order.tag)})
