"""A checkpoint out of journal rows: what each order filled, booked first in, first out."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.v2.fifo import Book
from durable_orders.v2.journal_rows import row_key, side_sign
from durable_orders.v2.state import PAPER_CAPITAL

Row = Mapping[str, Any]
State = dict[str, Any]


def checkpoint_of(rows: Iterable[Row], mode: str, paper_capital: Decimal) -> State:
    """Orders as their last row has them, positions, and the figures in rupees. Rows come oldest first."""
    rows = list(rows)
    book = Book()
    for symbol, quantity, price in trades_of(rows):
        book.trade(symbol, quantity, price)
    positions = [_position(book, symbol) for symbol in book.lots if book.position(symbol)[0]]
    orders = {str(row["order_id"]): dict(row) for row in rows if row_key(row) is not None}
    meta = {
        "mode": mode,
        "total_realized_pnl": float(sum(book.realized.values(), Decimal(0))),
        "paper_capital": float(paper_capital),
    }
    broker = {"orders": list(orders.values()), "positions": positions}
    state: State = {"timestamp": datetime.now(UTC).isoformat(), "broker": broker, "meta": meta}
    return valued(state, {})


def trades_of(rows: Iterable[Row]) -> Iterator[tuple[str, int, Decimal]]:
    """Symbol, signed units and rupees of each trade.

    A row with a trade id is a trade of its own. Any other says how much its order had filled until then, so what it
    has more than the rows before it is the trade.
    """
    seen: set[tuple[str, str]] = set()
    filled: defaultdict[str, int] = defaultdict(int)
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for number, row in enumerate(rows):
        order_id = f"row {number}" if row_key(row) is None else str(row["order_id"])
        trade_id = str(row.get("trade_id") or "")
        quantity = int(exact(row.get("filled_quantity") or 0, "filled_quantity"))
        if not quantity or (order_id, trade_id) in seen:
            continue
        symbol, sign = str(row.get("symbol") or ""), side_sign(row.get("side"))
        average = exact(row.get("average_price"), f"average_price of {order_id}")
        if trade_id:
            seen.add((order_id, trade_id))
            yield symbol, sign * quantity, average
        elif quantity > filled[order_id]:
            more, value = quantity - filled[order_id], quantity * average
            yield symbol, sign * more, (value - paid[order_id]) / more
            filled[order_id], paid[order_id] = quantity, value


def valued(state: State, quotes: Mapping[str, Any]) -> State:
    """The same state: each position at its quote or its last price, and what follows from that, in rupees."""
    unrealized = notional = Decimal(0)
    for position in positions_in(state):
        quantity = exact(first_of(position, "quantity", "qty") or 0, "quantity")
        average = exact(position.get("avg_price") or 0, "avg_price")
        last = _quote(quotes, str(position.get("symbol"))) or exact(position.get("last_price") or average, "last_price")
        gain = (last - average) * quantity
        position |= {"last_price": float(last), "unrealized_pnl": float(gain)}
        unrealized += gain
        notional += abs(quantity) * last
    meta = state.setdefault("meta", {})
    capital = exact(meta.get("paper_capital", PAPER_CAPITAL), "paper_capital")
    realized = exact(meta.get("total_realized_pnl") or 0, "total_realized_pnl")
    meta["total_unrealized_pnl"] = float(unrealized)
    meta["total_notional"] = float(notional)
    meta["equity"] = float(capital + realized + unrealized)
    return state


def positions_in(state: Mapping[str, Any]) -> list[State]:
    """Of a checkpoint (`broker.positions`) or of a runtime state (`positions`)."""
    broker = first_of(state, "broker")
    found = first_of(broker, "positions") if broker is not None else first_of(state, "positions")
    return found if isinstance(found, list) else []


def _position(book: Book, symbol: str) -> State:
    quantity, average = book.position(symbol)
    return {
        "symbol": symbol,
        "quantity": quantity,
        "avg_price": float(average),
        "realized_pnl": float(book.realized[symbol]),
    }


def _quote(quotes: Mapping[str, Any], symbol: str) -> Decimal | None:
    """By the symbol as it is, or by Kite's, which has the exchange before it."""
    found = quotes.get(symbol)
    if found is None:
        found = next((quote for name, quote in quotes.items() if str(name).partition(":")[2] == symbol), None)
    price = first_of(found, "last_price", "ltp", "close") if isinstance(found, Mapping) else found
    return None if price is None else exact(price, f"quote of {symbol}")
