"""What moved positions without an order, in a caller's state and journal: settlements, expiries, splits."""

from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

from durable_orders.callers.positions import average_of, book_fill, book_split, held_of
from durable_orders.engines.terms import tradingsymbol
from durable_orders.trading.ledger.entering import Entered
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.orders.position_entry import EntryKind, scaled

State = dict[str, Any]

ENTRIES = "position_entries"
"""The part of a state that says what it has of the ledger's entries: up to which number, of which strategies, and which
parts of its positions are of which product."""
SETTLED = "SETTLED"
"""How a row of the journal stands that tells of no order."""


Trade = tuple[int, Decimal]
"""Units, negative for a sale, and rupees a unit."""


def note_parts(state: State, symbol: str, moved: Mapping[Product, int]) -> None:
    """So many units come to a position of that product. Before they are booked in the state's position.

    What is held without parts is of no known product, and stays so until it is flat: the first that moves has no more
    claim to it than another.
    """
    parts = _parts(state, symbol)
    if not parts and held_of(state, symbol.partition(":")[2]):
        return
    for product, quantity in moved.items():
        parts[product] = parts.get(product, 0) + quantity
    mark = state.get(ENTRIES) or {}
    others = {key: held for key, held in (mark.get("parts") or {}).items() if key != symbol}
    state[ENTRIES] = mark | {"parts": others | ({symbol: parts} if any(parts.values()) else {})}


def part_of(state: State, symbol: str, product: Product) -> int:
    """How much of the state's position in a symbol is of that product: positions name none. One of which no product is
    known, as in a state of an earlier version, is of any."""
    parts = _parts(state, symbol)
    return parts.get(product, 0) if parts else held_of(state, symbol.partition(":")[2])


def _parts(state: State, symbol: str) -> dict[str, int]:
    return dict(((state.get(ENTRIES) or {}).get("parts") or {}).get(symbol) or {})


def book_entry(state: State, legs: Sequence[Entered], strategies: Set[str], *, is_kept: bool) -> list[Trade]:
    """Book what of the entry is of these strategies. What it comes to as trades; none for a conversion.

    What closes takes no more than the state has: the strategies may have traded elsewhere, too. A state that is not
    kept has what they have.
    """
    first = legs[0]
    shares = [share for name, share in first.shares.items() if name in strategies]
    held, moved = sum(share.held for share in shares), sum(share.moved for share in shares)
    if not moved:
        return []
    own = part_of(state, first.symbol, first.product) if is_kept else held
    has = 0 if held * own <= 0 else min(own, held) if held > 0 else max(own, held)
    if first.kind is EntryKind.CORPORATE_ACTION:
        return _split(state, first, has, scaled(has, held, held + moved) if has else 0)
    closes = min(abs(moved), abs(held)) if held * moved < 0 else 0
    quantity = (abs(moved) - closes + min(closes, abs(has))) * (1 if moved > 0 else -1)
    if not quantity:
        return []
    moves = {first.product: quantity} | {leg.product: -quantity for leg in legs[1:]}
    note_parts(state, first.symbol, moves)
    if first.kind is EntryKind.CONVERSION:
        return []
    price = first.price or Decimal(0)
    book_fill(state, tradingsymbol(first), quantity, price, first.at.isoformat())
    return [(quantity, price)]


def _split(state: State, entered: Entered, has: int, after: int) -> list[Trade]:
    """All of it out at its cost, and in again at what that makes of the cost."""
    if after == has:
        return []
    symbol = tradingsymbol(entered)
    average = average_of(state, symbol)
    note_parts(state, entered.symbol, {entered.product: after - has})
    book_split(state, symbol, after - has, entered.at.isoformat())
    back = [(after, average * has / after)] if after else []
    return [(-has, average), *back]


def rows_of(entered: Entered, strategies: Set[str], trades: Sequence[Trade], mode: str) -> list[dict[str, Any]]:
    """As rows of a journal, whose trades add up to the position."""
    return [
        {
            "order_id": f"entry-{entered.sequence}-{number}",
            "timestamp": entered.at.isoformat(),
            "symbol": tradingsymbol(entered),
            "strategy": ", ".join(name for name in entered.shares if name in strategies),
            "side": (Side.BUY if quantity > 0 else Side.SELL).value,
            "qty": abs(quantity),
            "filled_qty": abs(quantity),
            "status": SETTLED,
            "avg_price": float(price),
            "message": f"{entered.kind}: {entered.evidence}",
            "mode": mode,
        }
        for number, (quantity, price) in enumerate(trades, 1)
    ]
