"""What the account holds and may still trade, in memory: the ledger's positions and reservations for a backtest.

The arithmetic is the ledger's (`trading.ledger.positions`, `Reservation`, `Held`); only the tables are dictionaries.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heappop, heappush

from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.exchange.orders import Traded
from durable_orders.trading.ledger.exposure import Held, Pending
from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.ledger.reservations import LARGEST_VALUE, Reservation
from durable_orders.trading.orders.order import Product, Side

Key = tuple[str, Product]
LastPrice = Callable[[str], Decimal | None]


@dataclass(slots=True)
class Stand:
    """The standing reservations of one side of one symbol and product."""

    quantity: int = 0
    value: Decimal = Decimal(0)
    prices: Counter[Decimal] = field(default_factory=Counter)
    highest: list[Decimal] = field(default_factory=list)
    """A heap of the negated prices; those that no order has any more are dropped when they come up."""

    def add(self, quantity: int, value: Decimal, price: Decimal) -> None:
        self.quantity += quantity
        self.value += value
        self.prices[price] += 1
        if self.prices[price] == 1:
            heappush(self.highest, -price)

    def remove(self, quantity: int, value: Decimal, price: Decimal) -> None:
        self.quantity -= quantity
        self.value -= value
        self.prices[price] -= 1
        if not self.prices[price]:
            del self.prices[price]
        while self.highest and -self.highest[0] not in self.prices:
            heappop(self.highest)

    def copy(self) -> "Stand":
        return Stand(self.quantity, self.value, Counter(self.prices), list(self.highest))

    def pending(self, symbol: str) -> Pending:
        return Pending.quoted(symbol, self.quantity, self.value, -self.highest[0] if self.highest else Decimal(0))


class Holdings:
    """Positions and reservations of one account, or of one strategy in it."""

    def __init__(self, account: str, last_price: LastPrice) -> None:
        self._account = account
        self._last_price = last_price
        self._positions: dict[Key, Position] = {}
        self._stands: dict[tuple[str, Product, Side], Stand] = {}

    def reserve(self, live: Live, stands: Reservation) -> None:
        key = (live.symbol, live.product, live.side)
        stand = self._stands.get(key)
        if stand is None:
            stand = self._stands[key] = Stand()
        stand.add(stands.quantity, stands.value, stands.price)

    def release(self, live: Live, stands: Reservation) -> None:
        self._stands[live.symbol, live.product, live.side].remove(stands.quantity, stands.value, stands.price)

    def book(self, live: Live, fill: Traded) -> Decimal:
        """Rupees that the fill earned."""
        key = (live.symbol, live.product)
        before = self._positions.get(key) or Position(self._account, *key)
        after = self._positions[key] = booked(before, live.side, fill.quantity, fill.price)
        return after.realized_pnl - before.realized_pnl

    def copy(self) -> "Holdings":
        """The same, which from now on goes its own way."""
        other = Holdings(self._account, self._last_price)
        other._positions = dict(self._positions)
        other._stands = {key: stand.copy() for key, stand in self._stands.items()}
        return other

    def position(self, symbol: str, product: Product) -> Position:
        return self._positions.get((symbol, product)) or Position(self._account, symbol, product)

    def positions(self) -> Iterable[Position]:
        """All that were ever held."""
        return self._positions.values()

    def held(self) -> list[Held]:
        """Everything that is held or may come to be."""
        keys = dict.fromkeys(key for key, position in self._positions.items() if position.quantity)
        keys |= dict.fromkeys((symbol, product) for (symbol, product, _), s in self._stands.items() if s.prices)
        return [self._held(symbol, product) for symbol, product in keys]

    def held_in_symbol(self, symbol: str) -> list[Held]:
        """The same of one symbol: one entry a product."""
        return [self._held(symbol, product) for product in Product if self._is_held(symbol, product)]

    def _is_held(self, symbol: str, product: Product) -> bool:
        stands = [self._stands.get((symbol, product, side)) for side in Side]
        return self.position(symbol, product).quantity != 0 or any(stand and stand.prices for stand in stands)

    def _held(self, symbol: str, product: Product) -> Held:
        position = self.position(symbol, product)
        buying, selling = (self._stands.get((symbol, product, side)) or Stand() for side in Side)
        cost, last = position.open_value, self._last_price(symbol)
        return Held(symbol, product, position.quantity, cost, last, buying.pending(symbol), selling.pending(symbol))


def reserved(quantity: int, price: Decimal, value: Decimal) -> Reservation:
    """What a new order reserves, at `price` as quoted and the value that follows from it."""
    return Reservation(quantity, price, min(value, LARGEST_VALUE), 0)
