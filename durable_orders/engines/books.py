"""What an engine keeps in its caller's own objects: positions and open orders in the state, rows in the journal."""

import logging
import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from durable_orders.callers.figures import first_of
from durable_orders.callers.journal import journal_row
from durable_orders.callers.positions import book_fill
from durable_orders.callers.state import keep_state, state_of
from durable_orders.engines.settled import ENTRIES, book_entry, note_parts, rows_of
from durable_orders.engines.terms import asked_for, tradingsymbol
from durable_orders.trading.ledger.entering import Entered
from durable_orders.trading.orders.order import Order

logger = logging.getLogger(__name__)


class Books:
    """Each fill is booked once: the state that has the position also has the order that it was booked from."""

    def __init__(self, state_store: Any, journal_store: Any, mode: str, log: logging.Logger | None = None) -> None:
        self._state_store = state_store
        self._journal_store = journal_store
        self._mode = mode
        self._log = log or logger
        self._lock = threading.Lock()
        self.entries_until: int | None = None
        """The number of the last entry of the ledger that the state has; `None` where it is not asked for any."""
        self._strategies: set[str] = set()

    def open_orders(self) -> Iterator[Order]:
        """The orders that had not ended when the state was last saved. What the store raises goes on.

        Raises `ValueError` for an entry that is damaged: an open order must not be forgotten.
        """
        for entry in state_of(self._state_store).get("open_orders") or ():
            if "order" in entry:
                yield Order.model_validate(entry["order"])

    def asked_for(self, order: Order) -> str:
        """What such an order was asked for with, whose terms may have been changed since. What the store raises goes
        on."""
        return _asked_for(state_of(self._state_store).get("open_orders") or (), order)

    def begin_entries(self, newest: int) -> None:
        """Read what the state has of the ledger's entries. One that knows of none begins behind `newest`. What the
        store raises goes on."""
        with self._lock:
            known = first_of(state_of(self._state_store), ENTRIES) or {}
            self._strategies |= set(known.get("strategies") or ())
            self.entries_until = int(known.get("until", newest))

    def note_entries(self, entered: Sequence[Entered]) -> None:
        """Book what moved the positions of this caller's strategies without an order. Raises what the state store
        raises: nothing of that entry is booked then."""
        for _, legs in groupby(entered, lambda each: each.sequence):
            self._note_entry(list(legs))

    def _note_entry(self, legs: Sequence[Entered]) -> None:
        sequence = legs[0].sequence
        with self._lock:
            state = state_of(self._state_store)
            trades = book_entry(state, legs, self._strategies, is_kept=self._state_store is not None)
            if self._strategies & legs[0].shares.keys():
                keep_state(self._state_store, self._marked(state, sequence))
            self.entries_until = sequence
        for row in rows_of(legs[0], self._strategies, trades, self._mode):
            self._journaled(row)

    def _marked(self, state: dict[str, Any], until: int) -> dict[str, Any]:
        mark = {"until": until, "strategies": sorted(self._strategies)}
        return state | {ENTRIES: (state.get(ENTRIES) or {}) | mark}

    def note(self, before: Order | None, after: Order) -> None:
        """Book what is new. Raises what the state store raises; the journal's failures are logged."""
        self._note_state(before, after)
        if before is None or (before.status, before.filled_quantity) != (after.status, after.filled_quantity):
            self._note_row(after)

    def _note_state(self, before: Order | None, after: Order) -> None:
        self._strategies.add(after.strategy)
        if self._state_store is None:
            return
        with self._lock:
            state = state_of(self._state_store)
            for fill in after.fills[len(before.fills) if before is not None else 0 :]:
                signed = after.side.sign * fill.quantity
                if self.entries_until is not None:
                    note_parts(state, after.symbol, {after.product: signed})
                book_fill(state, tradingsymbol(after), signed, fill.price, fill.at.isoformat())
            state["open_orders"] = _with(state.get("open_orders") or [], after, self.shown_id(after))
            if self.entries_until is not None:
                state = self._marked(state, self.entries_until)
            keep_state(self._state_store, state)

    def _note_row(self, order: Order) -> None:
        row = self.row_of(order)
        if row is not None:
            self._journaled(row)

    def shown_id(self, order: Order) -> str:
        """The `order_id` of its entry in the state, and of its rows."""
        return order.order_id

    def row_of(self, order: Order) -> dict[str, Any] | None:
        """As a row of the journal; `None` where it has none."""
        return journal_content(order, self._mode)

    def _journaled(self, row: dict[str, Any]) -> None:
        try:
            journal_row(self._journal_store, row)
        except Exception:
            self._log.exception("%s stands %s, and the journal did not take it", row["order_id"], row["status"])


def _with(entries: list[Any], order: Order, shown_id: str) -> list[Any]:
    rest = [entry for entry in entries if not _is_of(entry, order)]
    if order.status.terminal:
        return rest
    own = {
        "order_id": shown_id,
        "symbol": tradingsymbol(order),
        "status": order.status.value,
        "quantity": order.quantity,
        "price": float(order.price) if order.price is not None else None,
        "side": order.side.value,
    }
    return [*rest, own | {"order": order.model_dump(mode="json"), "asked_for": _asked_for(entries, order)}]


def _is_of(entry: Any, order: Order) -> bool:
    return bool((entry.get("order") or entry).get("order_id") == order.order_id)


def _asked_for(entries: Sequence[Any], order: Order) -> str:
    """As the entry of the order has it, which a change of its terms leaves as it is. An older version's has none."""
    own = (entry for entry in entries if _is_of(entry, order))
    return next((str(entry["asked_for"]) for entry in own if "asked_for" in entry), None) or asked_for(order)


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
