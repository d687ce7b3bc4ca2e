"""Positions, holdings and funds, worked out from the exchange's trades.

A day's trades are its positions. What was left of the days before is `overnight`: delivery shares become holdings,
the rest goes on as a position. The exchange neither squares off nor settles, so MIS positions stay too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.exchange import Change
from sandbox.margins import margin, rate
from sandbox.quotes import Quotes
from trading.brokers.book import BrokerOrder, BrokerPosition
from trading.ledger.positions import Position, booked
from trading.market.calendar import Session
from trading.market.instruments import Instrument, Instruments
from trading.order import Product, Side, Terms

DELIVERY = (Product.CNC, Product.MTF)
Key = tuple[str, Product]


@dataclass(slots=True)
class Line:
    """One symbol and product in one day. Quantities are shares, values rupees."""

    overnight: int
    overnight_price: Decimal
    day: Position
    """Of the day's trades alone."""
    net: Position
    bought: int = 0
    buy_value: Decimal = Decimal(0)
    sold: int = 0
    sell_value: Decimal = Decimal(0)

    def trade(self, side: Side, quantity: int, price: Decimal) -> None:
        self.day = booked(self.day, side, quantity, price)
        self.net = booked(self.net, side, quantity, price)
        if side is Side.BUY:
            self.bought += quantity
            self.buy_value += quantity * price
        else:
            self.sold += quantity
            self.sell_value += quantity * price


@dataclass(slots=True)
class Portfolio:
    """Follows the exchange's changes; see `Exchange.on_change` and `on_new_day`."""

    account: str
    cash: Decimal
    instruments: Instruments
    quotes: Quotes
    working: Callable[[], Iterable[BrokerOrder]]
    lines: dict[Key, Line] = field(default_factory=dict)

    def begin_day(self, _session: Session, held: Sequence[BrokerPosition]) -> None:
        self.cash += self.realised()
        self.lines = {
            (one.symbol, one.product): self._line(one.symbol, one.product, one.quantity, one.average_price)
            for one in held
        }

    def follow(self, change: Change) -> None:
        row = change.view.row
        for trade in change.trades:
            key = (row.symbol, row.product)
            line = self.lines.get(key) or self._line(*key, 0, Decimal(0))
            self.lines[key] = line
            line.trade(row.side, trade.fill.quantity, trade.fill.price)

    def deliverable(self, symbol: str, product: Product) -> int:
        """Shares that can be sold: held or bought today, and not yet offered."""
        line = self.lines.get((symbol, product))
        offered = sum(
            row.quantity - row.filled_quantity
            for row in self.working()
            if (row.symbol, row.product, row.side) == (symbol, product, Side.SELL)
        )
        return (line.net.quantity if line else 0) - offered

    def price(self, symbol: str, otherwise: Decimal) -> Decimal:
        return self.quotes.last_price(symbol) or otherwise

    def required(self, terms: Terms, instrument: Instrument) -> Decimal:
        """Rupees that the order binds: for what it opens, not for what it closes."""
        line = self.lines.get((terms.symbol, terms.product))
        held = line.net.quantity if line else 0
        closing = min(terms.quantity, max(-held * terms.side.sign, 0))
        return margin(terms, instrument, terms.quantity - closing, self.quotes.last_price(terms.symbol))

    def utilised(self) -> Decimal:
        """Rupees that positions and working orders bind."""
        positions = sum((self._of_position(line.net) for line in self.lines.values()), Decimal(0))
        return positions + sum((self._of_order(row) for row in self.working()), Decimal(0))

    def realised(self) -> Decimal:
        return sum((line.net.realized_pnl for line in self.lines.values()), Decimal(0))

    def available(self) -> Decimal:
        return self.cash + self.realised() - self.utilised()

    def _of_position(self, held: Position) -> Decimal:
        side = Side.BUY if held.quantity > 0 else Side.SELL
        return abs(held.open_value) * rate(held.product, self.instruments.get(held.symbol), side)

    def _of_order(self, row: BrokerOrder) -> Decimal:
        price = row.price or row.trigger_price or self.quotes.last_price(row.symbol) or Decimal(0)
        return (
            (row.quantity - row.filled_quantity) * price * rate(row.product, self.instruments.get(row.symbol), row.side)
        )

    def _line(self, symbol: str, product: Product, overnight: int, price: Decimal) -> Line:
        flat = Position(self.account, symbol, product)
        net = flat
        if overnight:
            net = booked(flat, Side.BUY if overnight > 0 else Side.SELL, abs(overnight), price)
        return Line(overnight, price, flat, net)
