"""Which trade closes which: first in, first out, symbol by symbol."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.v2.journal_rows import side_sign


@dataclass(slots=True)
class Lot:
    """What is left of one trade. `quantity` is signed: a short one is negative."""

    quantity: int
    price: Decimal


class Book:
    """The open lots of all symbols, and what was realized, in rupees."""

    def __init__(self) -> None:
        self.lots: defaultdict[str, deque[Lot]] = defaultdict(deque)
        self.realized: defaultdict[str, Decimal] = defaultdict(Decimal)

    def trade(self, symbol: str, quantity: int, price: Decimal) -> Decimal:
        """Book so many units, negative for a sale. Returns what that realized, in rupees."""
        lots, earned = self.lots[symbol], Decimal(0)
        while quantity and lots and lots[0].quantity * quantity < 0:
            first = lots[0]
            closed = min(abs(quantity), abs(first.quantity))
            sign = 1 if first.quantity > 0 else -1
            earned += (price - first.price) * closed * sign
            first.quantity -= sign * closed
            quantity += sign * closed
            if not first.quantity:
                lots.popleft()
        if quantity:
            lots.append(Lot(quantity, price))
        self.realized[symbol] += earned
        return earned

    def position(self, symbol: str) -> tuple[int, Decimal]:
        """Units, and the average price of what is open in rupees."""
        lots = self.lots[symbol]
        quantity = sum(lot.quantity for lot in lots)
        value = sum((lot.quantity * lot.price for lot in lots), Decimal(0))
        return quantity, value / quantity if quantity else Decimal(0)


def fifo_pair(trades: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], float]:
    """The lots that are still open, oldest first (`symbol`, `side`, `quantity`, `price`), and the rupees realized.

    Each trade has a symbol, a side, a quantity (what was filled, where it says that) and a price. Raises `ValueError`
    for one that has not.
    """
    book = Book()
    for trade in trades:
        symbol = str(first_of(trade, "symbol", "tradingsymbol", "instrument") or "")
        quantity = exact(first_of(trade, "filled_quantity", "filled_qty", "quantity", "qty"), "quantity")
        price = exact(first_of(trade, "average_price", "avg_price", "price"), "price")
        book.trade(symbol, side_sign(first_of(trade, "transaction_type", "side")) * int(quantity), price)
    open_lots = [
        {
            "symbol": symbol,
            "side": "BUY" if lot.quantity > 0 else "SELL",
            "quantity": abs(lot.quantity),
            "price": float(lot.price),
        }
        for symbol, lots in book.lots.items()
        for lot in lots
    ]
    return open_lots, float(sum(book.realized.values(), Decimal(0)))
