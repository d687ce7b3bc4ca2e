"""The older interface over today's engines: durable workflows where a home is configured, else in this process."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from durable_orders.background import BackgroundLoop
from durable_orders.callers.broker import BOOKS
from durable_orders.callers.figures import section
from durable_orders.callers.journal import journal_row
from durable_orders.callers.methods import method_of
from durable_orders.callers.risk import EXPECTED_EDGE, throttled
from durable_orders.engines import ExecutionEngine, LiveExecutionEngine, PaperExecutionEngine
from durable_orders.engines.broker_orders import BrokerOrders
from durable_orders.orders import Orders
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.errors import OrderNotFound, RefusedError
from durable_orders.trading.orders.order import Mode, Order, Status
from durable_orders.trading.orders.steps import REFUSED_BY_BROKER
from durable_orders.v2.breakers import BreakerLimits, trade_counter, tripped
from durable_orders.v2.engine import BLOCKED
from durable_orders.v2.guardian import TradeGuardian
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.keeping import Keeping
from durable_orders.v2.live_route import DRY_RUN
from durable_orders.v2.results import rejected, result_of, row_of, status_word
from durable_orders.v2.terms import checked

LATE = 30.0
"""Seconds after which a request to begin an order, whose answer was lost, no longer arrives at the server."""

EDGE = "min_edge_vs_cost_rupees"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An order whose placing raised: it may have been placed."""

    intent: OrderIntent
    order: Order
    words: str
    since: float


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
        self._doubtful: Doubtful | None = None
        self._has_looked = False
        self._loop = BackgroundLoop("durable-orders-v2")
        self.v3_engine: ExecutionEngine = self._engine()

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
                return replace(result_of(intent, "PLACED", f"DRY-RUN-{int(time.time())}"), message=DRY_RUN)
            return self._placed(intent, checked(intent))

    def apply_circuit_breakers(self, intent: OrderIntent) -> bool:
        """Whether the throttler, the day's result, the state's flags and orders of unknown outcome let it through."""
        try:
            reason = self._throttled(intent) or self._tripped(intent) or self._in_doubt()
        except Exception as error:
            self.logger.exception("a circuit breaker could not be checked")
            reason = f"a check failed: {error}"
        if reason is not None:
            self.logger.warning("%s %s: %s", intent.side, intent.symbol, reason)
        return reason is None

    def on_order_update(self, update: Mapping[str, Any]) -> None:
        """A reason to look at the book, which alone counts: a lost, doubled or old update changes nothing."""
        self._look(f"after the update of order {update.get('order_id')}")

    def close(self) -> None:
        """Let go of the server and of the thread. Orders go on where they are durable; closing twice is fine."""
        with self._lock:
            if self._loop.is_open:
                self._loop.run(self._close())
                self._loop.close()

    async def _opened(self, orders: Orders) -> None:
        """Before the state's figures count for the first time, it gets what became of its orders and positions while
        this process was not there."""
        await orders.open()
        if not self._has_looked:
            await self.v3_engine.poll_orders()
            self._has_looked = True

    async def _close(self) -> None:
        await self.v3_engine.close()
        if self._orders is not None:
            await self._orders.close()

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
        if self._home is None and method_of(self.broker, *BOOKS) is None:
            self.logger.warning("the broker object has none of %s: fills will not be seen", ", ".join(BOOKS))
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
        if not self._loop.is_open:
            return rejected(intent, "Execution error: the engine is closed")
        if self.mode == Mode.PAPER and self._orders is None:
            self._look("before a new order")
        try:
            if self._orders is not None:
                self._loop.run(self._opened(self._orders))
            if (reason := self._throttled(intent)) is not None:
                return rejected(intent, f"Throttler blocked: {reason}")
            if (reason := self._tripped(intent)) is not None:
                return rejected(intent, BLOCKED, reason=reason)
            reason = self._in_doubt()
        except Exception as error:
            self.logger.exception("an order could not be checked")
            return rejected(intent, f"Execution error: {error}")
        return rejected(intent, f"Blocked: {reason}") if reason is not None else None

    def _throttled(self, intent: OrderIntent) -> str | None:
        edge = intent.metadata.get("expected_edge", EXPECTED_EDGE)
        return throttled(self.throttler, intent.symbol, intent.strategy_code, edge)

    def _look(self, when: str) -> None:
        """At the broker's book; on paper, resting orders meet the prices of now. What is not seen now is seen later."""
        try:
            self._loop.run(self.v3_engine.poll_orders())
        except Exception as error:
            self.logger.warning("%s: %s", when, error)

    def _tripped(self, intent: OrderIntent) -> str | None:
        reason = next(tripped(self._limits, self._keeping.load()), None)
        return reason or self._keeping.over_the_position_limit(intent.symbol, intent.strategy_code)

    def _placed(self, intent: OrderIntent, order: Order) -> ExecutionResult:
        try:
            return _result(intent, self._loop.run(self.v3_engine.place_order(order)))
        except RefusedError as error:
            return rejected(intent, f"Execution error: {error}")
        except Exception as error:
            self.logger.exception("placing an order failed")
            self._doubtful = Doubtful(intent, order, f"Execution error: {error}", time.monotonic())
            return self._looked_up(self._doubtful)

    def _in_doubt(self) -> str | None:
        """The order of which it is not known whether it was placed, looked up now."""
        doubtful = self._doubtful
        if doubtful is None or self._looked_up(doubtful).status != "UNKNOWN":
            return None
        return f"no new risk while the outcome of {doubtful.order.summary()} is unknown ({doubtful.words})"

    def _looked_up(self, doubtful: Doubtful) -> ExecutionResult:
        """What became of it, by what the engine and the server know."""
        words = doubtful.words
        try:
            found = self._loop.run(self._find(doubtful.order.client_order_id))
        except Exception as error:
            return replace(result_of(doubtful.intent, "UNKNOWN"), message=f"{words}; it may have been placed ({error})")
        if found is not None:
            self._doubtful = None
            if _asks_for_another(doubtful.order, found):
                return rejected(doubtful.intent, f"{words} (it was never placed: its id is another order's)")
            return replace(_result(doubtful.intent, found), message=words)
        if self._orders is not None and time.monotonic() - doubtful.since < LATE:
            return replace(result_of(doubtful.intent, "UNKNOWN"), message=f"{words}; it may have been placed")
        self._doubtful = None
        return self._journaled(doubtful.intent, rejected(doubtful.intent, f"{words} (it was never placed)"))

    def _executed_before(self, intent: OrderIntent) -> ExecutionResult | None:
        """An intent with an id of its own that is refused now may be an order already: then that is the answer."""
        if not intent.metadata.get("client_order_id"):
            return None
        try:
            order = checked(intent)
            found = self._loop.run(self._find(order.client_order_id))
        except ValueError:
            return None
        except Exception as error:
            words = f"it is not known whether it was placed before: {error}"
            return replace(result_of(intent, "UNKNOWN"), message=words)
        return None if found is None or _asks_for_another(order, found) else _result(intent, found)

    async def _find(self, name: str) -> Order | None:
        """By its client order id. `None` for an order that never began. Raises what keeps that from being known."""
        if self._orders is None:
            return next((one for one in await self.v3_engine.poll_orders() if one.client_order_id == name), None)
        try:
            await self._orders.open()
            return await self._orders.get(name)
        except OrderNotFound:
            return None

    def _journaled(self, intent: OrderIntent, result: ExecutionResult) -> ExecutionResult:
        try:
            journal_row(self.journal, row_of(intent, result, self.mode))
        except Exception:
            self.logger.exception("a refused order was not journaled")
        return result


def _asks_for_another(order: Order, found: Order) -> bool:
    """Whether the order that was found is another one that has the id."""
    return (order.symbol, order.side, order.product) != (found.symbol, found.side, found.product) or (
        order.quantity != found.quantity
    )


def _without_the_edge(config: Any) -> Any:
    """The throttler's least edge is the one limit that only the throttler itself has."""
    trading = section(config, "trading")
    if EDGE not in section(config, "trading", "trade_throttler"):
        return config
    limits = {key: value for key, value in trading["trade_throttler"].items() if key != EDGE}
    return {**section(config), "trading": {**trading, "trade_throttler": limits}}


def _result(intent: OrderIntent, order: Order) -> ExecutionResult:
    never_there = order.status is Status.REJECTED and order.broker_order_id is None
    result = result_of(intent, status_word(order.status), None if never_there else order.order_id)
    raw = {
        "v3_order": order.model_dump(mode="json"),
        "filled_qty": order.filled_quantity,
        "tags": dict(order.tags),
        "broker_order_id": order.broker_order_id,
    }
    at = order.updated_at.astimezone(UTC).isoformat()
    message = (order.message or "").replace(REFUSED_BY_BROKER, "Broker error: ") or None
    return replace(result, avg_price=order.avg_price, message=message, raw=raw, timestamp=at)
