"""Today's engines for an older interface: plain calls, and what became of an order whose placing raised."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from durable_orders.background import BackgroundLoop
from durable_orders.callers.broker import BOOKS
from durable_orders.callers.methods import method_of
from durable_orders.engines import ExecutionEngine
from durable_orders.orders import Orders
from durable_orders.trading.errors import OrderNotFound, RefusedError
from durable_orders.trading.orders.order import Order, Status
from durable_orders.trading.orders.steps import REFUSED_BY_BROKER
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.keeping import Keeping
from durable_orders.v2.results import rejected, result_of, status_word

CLOSED = "Execution error: the engine is closed"
DRY_RUN = "Dry run - order not actually placed"
LATE = 30.0
"""Seconds after which a request to begin an order, whose answer was lost, no longer arrives at the server."""

Result = Callable[[OrderIntent, Order], ExecutionResult]


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An order whose placing raised: it may have been placed."""

    intent: OrderIntent
    order: Order
    words: str
    since: float


class EngineCalls:
    """To be asked by one at a time; `look` and `close` by anyone. Plain calls, which may be made where an event loop
    runs."""

    def __init__(
        self,
        engine: ExecutionEngine,
        orders: Orders | None,
        keeping: Keeping,
        result: Result,
        journaled: Callable[[OrderIntent, ExecutionResult], ExecutionResult],
        logger: logging.Logger,
    ) -> None:
        """`orders` is the client of the engine's desk, `None` for an engine that has none. `result` says how an order
        stands, `journaled` gives back a refusal of which nothing else makes a row."""
        self.engine = engine
        self._orders = orders
        self._keeping = keeping
        self._result = result
        self._journaled = journaled
        self._logger = logger
        self._has_looked = False
        self._doubtful: Doubtful | None = None
        self._loop = BackgroundLoop("durable-orders-v2")

    @property
    def is_open(self) -> bool:
        return self._loop.is_open

    def open(self) -> None:
        """Before the state's figures count for the first time, it gets what became of its orders and positions while
        this process was not there. Raises whatever keeps that from being known."""
        if self._orders is not None:
            self._loop.run(self._opened(self._orders))

    async def _opened(self, orders: Orders) -> None:
        await orders.open()
        if not self._has_looked:
            await self.engine.poll_orders()
            self._has_looked = True

    def look(self, when: str) -> None:
        """At the broker's book; on paper, resting orders meet the prices of now. What is not seen now is seen later."""
        try:
            self._loop.run(self.engine.poll_orders())
        except Exception as error:
            self._logger.warning("%s: %s", when, error)

    def place(self, intent: OrderIntent, order: Order) -> ExecutionResult:
        """Never raises: a refusal is a result, and what may have been placed is `UNKNOWN` until it is known."""
        try:
            return self._result(intent, self._loop.run(self.engine.place_order(order)))
        except RefusedError as error:
            return self._journaled(intent, rejected(intent, f"Execution error: {error}"))
        except Exception as error:
            self._logger.exception("placing an order failed")
            self._doubtful = Doubtful(intent, order, f"Execution error: {error}", time.monotonic())
            return self._looked_up(self._doubtful)

    def in_doubt(self) -> str | None:
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
            return replace(self._result(doubtful.intent, found), message=words)
        if self._orders is not None and time.monotonic() - doubtful.since < LATE:
            return replace(result_of(doubtful.intent, "UNKNOWN"), message=f"{words}; it may have been placed")
        self._doubtful = None
        self._keeping.forget(doubtful.order.client_order_id)
        return self._journaled(doubtful.intent, rejected(doubtful.intent, f"{words} (it was never placed)"))

    def executed_before(self, intent: OrderIntent, order: Order) -> ExecutionResult | None:
        """What became of an intent with an id of its own that is an order already."""
        if not intent.metadata.get("client_order_id"):
            return None
        try:
            found = self._loop.run(self._find(order.client_order_id))
        except Exception as error:
            words = f"it is not known whether it was placed before: {error}"
            return replace(result_of(intent, "UNKNOWN"), message=words)
        return None if found is None or _asks_for_another(order, found) else self._result(intent, found)

    async def _find(self, name: str) -> Order | None:
        """By its client order id. `None` for an order that never began. Raises what keeps that from being known."""
        if self._orders is None:
            return next((one for one in await self.engine.poll_orders() if one.client_order_id == name), None)
        try:
            await self._orders.open()
            return await self._orders.get(name)
        except OrderNotFound:
            return None

    def close(self) -> None:
        """Let go of the server and of the thread. Orders go on where they are durable; closing twice is fine."""
        if self._loop.is_open:
            self._loop.run(self._close())
            self._loop.close()

    async def _close(self) -> None:
        await self.engine.close()
        if self._orders is not None:
            await self._orders.close()


def order_result(intent: OrderIntent, order: Order) -> ExecutionResult:
    """How the order stands, under its own id."""
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


def dry_run(intent: OrderIntent) -> ExecutionResult:
    """What is told of an order that is not sent."""
    return replace(result_of(intent, "PLACED", f"DRY-RUN-{int(time.time())}"), message=DRY_RUN)


def warn_without_a_book(broker: Any, logger: logging.Logger) -> None:
    if method_of(broker, *BOOKS) is None:
        logger.warning("the broker object has none of %s: no order is sent over it", ", ".join(BOOKS))


def _asks_for_another(order: Order, found: Order) -> bool:
    """Whether the order that was found is another one that has the id."""
    return (order.symbol, order.side, order.product) != (found.symbol, found.side, found.product) or (
        order.quantity != found.quantity
    )
