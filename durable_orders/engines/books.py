"""What an engine keeps in its caller's own objects: positions and open orders in the state, rows in the journal."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

from durable_orders.callers.journal import journal_row
from durable_orders.callers.positions import book_fill
from durable_orders.callers.state import keep_state, state_of
from durable_orders.engines.terms import tradingsymbol
from trading.order import Order

logger = logging.getLogger(__name__)


class Books:
    """Each fill is booked once: the state that has the position also has the order that it was booked from."""

    def __init__(self, state_store: Any, journal_store: Any, mode: str, log: logging.Logger | None = None) -> None:
        self._state_store = state_store
        self._journal_store = journal_store
        self._mode = mode
        self._log = log or logger
        self._lock = threading.Lock()

    def open_orders(self) -> Iterator[Order]:
        """The orders that had not ended when the state was last saved. What the store raises goes on.

        Raises `ValueError` for an entry that is damaged: an open order must not be forgotten.
        """
        for entry in state_of(self._state_store).get("open_orders") or ():
            if "order" in entry:
                yield Order.model_validate(entry["order"])

    def note(self, before: Order | None, after: Order) -> None:
        """Book what is new. Raises what the state store raises; the journal's failures are logged."""
        self._note_state(before, after)
        if before is None or (before.status, before.filled_quantity) != (after.status, after.filled_quantity):
            self._note_row(after)

    def _note_state(self, before: Order | None, after: Order) -> None:
        if self._state_store is None:
            return
        with self._lock:
            state = state_of(self._state_store)
            for fill in after.fills[len(before.fills) if before is not None else 0 :]:
                signed = after.side.sign * fill.quantity
                book_fill(state, tradingsymbol(after), signed, fill.price, fill.at.isoformat())
            state["open_orders"] = _with(state.get("open_orders") or [], after)
            keep_state(self._state_store, state)

    def _note_row(self, order: Order) -> None:
        try:
            journal_row(self._journal_store, journal_content(order, self._mode))
        except Exception:
            self._log.exception("%s stands %s, and the journal did not take it", order.order_id, order.status)


def _with(entries: list[Any], order: Order) -> list[Any]:
    rest = [entry for entry in entries if entry.get("order_id") != order.order_id]
    if order.status.terminal:
        return rest
    own = {
        "order_id": order.order_id,
        "symbol": tradingsymbol(order),
        "status": order.status.value,
        "quantity": order.quantity,
        "price": float(order.price) if order.price is not None else None,
        "side": order.side.value,
    }
    return [*rest, own | {"order": order.model_dump(mode="json")}]


def journal_content(order: Order, mode: str) -> dict[str, Any]:
    """A row under the keys that journals have always been given."""
    return {
        "order_id": order.order_id,
        "timestamp": order.updated_at.isoformat(),
        "symbol": tradingsymbol(order),
        "strategy": order.strategy,
        "side": order.side.value,
        "qty": order.quantity,
        "filled_qty": order.filled_quantity,
        "order_type": order.order_type.value,
        "status": order.status.value,
        "avg_price": order.avg_price,
        "message": order.message,
        "mode": mode,
    }
