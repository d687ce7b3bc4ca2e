"""What the older engine's simulator has filled, in the caller's state."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from durable_orders.callers.positions import book_fill
from durable_orders.trading.orders.order import Side
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.keeping import EXECUTION, Keeping, State, of_today
from durable_orders.v2.results import result_of
from durable_orders.v2.terms import checked

NAMED, BOOKED = "named", "booked"
"""In the engine's part of the state: the order of each intent with an id of its own, and its units and rupees."""


@dataclass(frozen=True, slots=True)
class PaperFill:
    order_id: str
    symbol: str
    side: Side
    quantity: int
    price: Decimal
    """Rupees a unit."""
    strategy: str
    tag: str | None
    """Of an intent that has an id of its own."""


class PaperFills:
    """To be asked by one at a time."""

    def __init__(self, keeping: Keeping, logger: logging.Logger) -> None:
        self._keeping = keeping
        self._logger = logger
        self._owed: list[PaperFill] = []
        """That the state has not taken, oldest first."""

    def take(self, fill: PaperFill) -> None:
        """Book it. What has happened has happened, whatever the store does: what it did not take, it is given again."""
        self._owed.append(fill)
        self._keeping.count({"order_id": fill.order_id, "symbol": fill.symbol, "strategy": fill.strategy})
        try:
            self.book()
        except Exception:
            self._logger.exception("the state could not be kept")

    def book(self) -> None:
        """What is owed to the state. Raises what the store raises: without that, its figures do not count."""
        while self._owed:
            state = self._keeping.load()
            self._book(state, self._owed[0])
            self._keeping.save(state)
            self._owed.pop(0)

    def _book(self, state: State, fill: PaperFill) -> None:
        at = datetime.now(UTC).isoformat()
        book_fill(state, fill.symbol, fill.side.sign * fill.quantity, fill.price, at)
        if fill.tag is not None:
            own = of_today(state)
            named = own.get(NAMED, {}) | {fill.tag: fill.order_id}
            booked = own.get(BOOKED, {}) | {fill.order_id: [fill.quantity, float(fill.price * fill.quantity)]}
            state[EXECUTION] = own | {NAMED: named, BOOKED: booked}

    def executed_before(self, intent: OrderIntent) -> ExecutionResult | None:
        """What became of an intent with an id of its own that was filled before, today. Raises what the store raises,
        and `ValueError` for an intent that is no order.

        `UNKNOWN` for one that an earlier version has sent to a broker: nothing follows it.
        """
        if not intent.metadata.get("client_order_id"):
            return None
        self.book()
        own = of_today(self._keeping.load())
        order_id = own.get(NAMED, {}).get(str(checked(intent).tag))
        if order_id is None:
            return None
        filled, value = own.get(BOOKED, {}).get(order_id, (0, 0.0))
        result = result_of(intent, "FILLED" if filled >= intent.qty else "UNKNOWN", order_id)
        result.avg_price = float(Decimal(str(value)) / filled) if filled else None
        result.message = "executed before: it is the same order"
        return result
