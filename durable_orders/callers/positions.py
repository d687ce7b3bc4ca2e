"""Positions in a caller's state: what a fill makes of them, and what it realizes."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.trading.orders.order import PRICE_PLACES

State = dict[str, Any]


def book_fill(state: State, symbol: str, quantity: int, price: Decimal, at: str) -> Decimal:
    """Book so many units, negative for a sale, at rupees a unit. Returns the rupees that this realized, to
    four places.

    The position's `avg_price` is weighted; a position that is closed leaves the list. `equity.realized_pnl` grows by
    what was realized. Entries with `qty` and with `quantity` are both known, and get both.
    """
    positions = [dict(entry) for entry in _entries(state)]
    own = next((entry for entry in positions if entry.get("symbol") == symbol), None)
    held = held_of(state, symbol)
    average = average_of(state, symbol)
    closed = min(abs(held), abs(quantity)) if held * quantity < 0 else 0
    earned = ((price - average) * closed * (1 if held > 0 else -1)).quantize(PRICE_PLACES)
    now = held + quantity
    if held * now < 0 or not held:
        average = price
    elif not closed:
        average = (average * held + price * quantity) / now
    rest = [entry for entry in positions if entry is not own]
    if now:
        entry = (own or {"symbol": symbol, "entry_time": at}) | {"qty": now, "quantity": now}
        rest.append(entry | {"avg_price": float(average)})
    state["positions"] = rest
    equity = dict(first_of(state, "equity") or {})
    equity["realized_pnl"] = float(exact(equity.get("realized_pnl") or 0, "equity.realized_pnl") + earned)
    state["equity"] = equity
    return earned


def held_of(state: State, symbol: str) -> int:
    """Units, negative when short; 0 without a position."""
    own = next((entry for entry in _entries(state) if entry.get("symbol") == symbol), None)
    return int(exact(first_of(own, "qty", "quantity") or 0, "qty")) if own else 0


def average_of(state: State, symbol: str) -> Decimal:
    """Rupees a unit; 0 without a position."""
    own = next((entry for entry in _entries(state) if entry.get("symbol") == symbol), None)
    return exact(first_of(own, "avg_price") or 0, "avg_price") if own else Decimal(0)


def book_split(state: State, symbol: str, quantity: int, at: str) -> None:
    """Book so many units more, or fewer, of a position that keeps its cost."""
    before = held_of(state, symbol)
    after = before + quantity
    if before * after <= 0:
        book_fill(state, symbol, quantity, Decimal(0), at)
        return
    average = average_of(state, symbol) * before / after
    own = {"qty": after, "quantity": after, "avg_price": float(average)}
    state["positions"] = [
        {**entry, **own} if entry.get("symbol") == symbol else dict(entry) for entry in _entries(state)
    ]


def _entries(state: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The list, or the values of a mapping by symbol."""
    found = state.get("positions") or []
    return list(found.values()) if isinstance(found, Mapping) else found
