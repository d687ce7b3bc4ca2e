"""The older interface over today's engines: durable workflows where a home is configured, else in this process."""

import logging
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from durable_orders.callers.figures import section
from durable_orders.callers.journal import journal_row
from durable_orders.callers.risk import EXPECTED_EDGE, throttled
from durable_orders.engines import ExecutionEngine, LiveExecutionEngine, PaperExecutionEngine
from durable_orders.engines.broker_orders import BrokerOrders
from durable_orders.orders import Orders
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.orders.order import Mode
from durable_orders.v2.breakers import BreakerLimits, trade_counter, tripped
from durable_orders.v2.engine import BLOCKED
from durable_orders.v2.engine_calls import CLOSED, EngineCalls, dry_run, order_result, warn_without_a_book
from durable_orders.v2.guardian import TradeGuardian
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.keeping import Keeping
from durable_orders.v2.results import rejected, row_of
from durable_orders.v2.terms import checked

EDGE = "min_edge_vs_cost_rupees"

log = logging.getLogger(__name__)


class ExecutionEngineV2ToV3Adapter:
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
        guardian: Any = None,
    ) -> None:
        """Raises `ValueError` for a mode without what it needs, and for a configuration that cannot be used."""
        self.mode = Mode.PAPER.value if str(mode).lower() == Mode.PAPER else Mode.LIVE.value
        self.broker = broker
        self.state_store = state_store
        self.journal = journal_store
        self.throttler = trade_throttler
        self.logger = logger_instance or log
        self.config = config
        self.mde = mde
        self.guardian_instance = guardian or TradeGuardian(config, state_store, self.logger)
        self.event_bus = EventBus()
        self._limits = BreakerLimits.of(config)
        self._home = section(config, "execution").get("home")
        self._orders = self._client()
        counter = trade_counter(config)
        self._keeping = Keeping(state_store, journal_store, counter, in_process=self._orders is None)
        self._dry_run = self.mode == Mode.LIVE and bool(section(config, "execution").get("dry_run", False))
        self._lock = threading.RLock()
        self.v3_engine: ExecutionEngine = self._engine()
        self._calls = EngineCalls(
            self.v3_engine, self._orders, self._keeping, order_result, self._journaled, self.logger
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def execute_intent(self, intent: OrderIntent) -> ExecutionResult:
        """Check the intent and place its order. Never raises: a refusal is a result.

        An order is called rejected only where it is certain that it was not placed; else it is `UNKNOWN`, and nothing
        new is sent until it is known.
        """
        with self._lock:
            refusal = self._refusal(intent)
            if refusal is not None:
                return self._executed_before(intent) or self._journaled(intent, refusal)
            if self._dry_run:
                return dry_run(intent)
            return self._calls.place(intent, checked(intent))

    def apply_circuit_breakers(self, intent: OrderIntent) -> bool:
        """Whether the throttler, the day's result, the state's flags and orders of unknown outcome let it through."""
        try:
            reason = self._throttled(intent) or self._tripped(intent) or self._calls.in_doubt()
        except Exception as error:
            self.logger.exception("a circuit breaker could not be checked")
            reason = f"a check failed: {error}"
        if reason is not None:
            self.logger.warning("%s %s: %s", intent.side, intent.symbol, reason)
        return reason is None

    def on_order_update(self, update: Mapping[str, Any]) -> None:
        """A reason to look at the book, which alone counts: a lost, doubled or old update changes nothing."""
        self._calls.look(f"after the update of order {update.get('order_id')}")

    def close(self) -> None:
        """Let go of the server and of the thread. Orders go on where they are durable; closing twice is fine."""
        with self._lock:
            self._calls.close()

    def _client(self) -> Orders | None:
        """Of the home's desk, or of one in this process over the broker object; `None` for paper without a home."""
        if self._home is not None:
            return Orders(self._home)
        if self.mode == Mode.PAPER or self.broker is None:
            return None
        return BrokerOrders(self.broker, self.config)

    def _engine(self) -> ExecutionEngine:
        if self.mode == Mode.PAPER:
            if self.mde is None and self._orders is None:
                raise ValueError("MarketDataEngine required for paper mode")
            return PaperExecutionEngine(
                self.mde,
                self._keeping,
                _without_the_edge(self.config),
                self.event_bus,
                self.logger,
                guardian=self.guardian_instance,
                journal_store=self._keeping,
                orders=self._orders,
            )
        if self.broker is None and self._orders is None:
            raise ValueError("Broker required for live mode")
        if self._home is None:
            warn_without_a_book(self.broker, self.logger)
        return LiveExecutionEngine(
            self.broker if self._home is not None else None,
            self.guardian_instance,
            self._keeping,
            self._keeping,
            self.config,
            self.event_bus,
            self.logger,
            market_data_engine=self.mde,
            orders=self._orders,
        )

    def _refusal(self, intent: OrderIntent) -> ExecutionResult | None:
        """The first reason against the intent, in the order in which they count."""
        try:
            checked(intent)
        except ValueError as error:
            return rejected(intent, f"Invalid order: {error}")
        if not self._calls.is_open:
            return rejected(intent, CLOSED)
        if self.mode == Mode.PAPER and self._orders is None:
            self._calls.look("before a new order")
        try:
            self._calls.open()
            if (reason := self._throttled(intent)) is not None:
                return rejected(intent, f"Throttler blocked: {reason}")
            if (reason := self._tripped(intent)) is not None:
                return rejected(intent, BLOCKED, reason=reason)
            reason = self._calls.in_doubt()
        except Exception as error:
            self.logger.exception("an order could not be checked")
            return rejected(intent, f"Execution error: {error}")
        return rejected(intent, f"Blocked: {reason}") if reason is not None else None

    def _throttled(self, intent: OrderIntent) -> str | None:
        edge = intent.metadata.get("expected_edge", EXPECTED_EDGE)
        return throttled(self.throttler, intent.symbol, intent.strategy_code, edge)

    def _tripped(self, intent: OrderIntent) -> str | None:
        reason = next(tripped(self._limits, self._keeping.load()), None)
        return reason or self._keeping.over_the_position_limit(intent.symbol, intent.strategy_code)

    def _executed_before(self, intent: OrderIntent) -> ExecutionResult | None:
        """An intent with an id of its own that is refused now may be an order already: then that is the answer."""
        try:
            order = checked(intent)
        except ValueError:
            return None
        return self._calls.executed_before(intent, order)

    def _journaled(self, intent: OrderIntent, result: ExecutionResult) -> ExecutionResult:
        try:
            journal_row(self.journal, row_of(intent, result, self.mode))
        except Exception:
            self.logger.exception("a refused order was not journaled")
        return result


def _without_the_edge(config: Any) -> Any:
    """The throttler's least edge is the one limit that only the throttler itself has."""
    trading = section(config, "trading")
    if EDGE not in section(config, "trading", "trade_throttler"):
        return config
    limits = {key: value for key, value in trading["trade_throttler"].items() if key != EDGE}
    return {**section(config), "trading": {**trading, "trade_throttler": limits}}
