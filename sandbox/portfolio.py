"""Positions, holdings and funds, worked out from the exchange's trades.

A day's trades are its positions. What was left of the days before is `overnight`: delivery shares become holdings,
the rest goes on as a position. Nothing is squared off or settled by itself, so MIS positions stay too
(`account_events.py`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from durable_orders.sandbox.exchange import Change
from durable_orders.sandbox.margins import margin, rate
from durable_orders.sandbox.quotes import Quotes
from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.orders.book import BrokerOrder, BrokerPosition
from durable_orders.trading.orders.order import Product, Side, Terms

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
    t1: int = 0
    """Of the holdings: bought yesterday."""
    pledged: int = 0
    """Of the holdings: not to be sold."""
    authorised: int = 0
    """Of the holdings: the depository lets them be sold today."""

    def move(self, quantity: int, price: Decimal) -> None:
        """Without an order: so many more or, below zero, fewer."""
        side = Side.BUY if quantity > 0 else Side.SELL
        self.net = booked(self.net, side, abs(quantity), price)

    def trade(self, side: Side, quantity: int, price: Decimal) -> None:
        self.day = booked(self.day, side, quantity, price)
        self.net = booked(self.net, side, quantity, price)
        if side is Side.BUY:
            self.bought += quantity
            self.buy_value += quantity * price
        else:
            self.sold += quantity
            self.sell_value += quantity * price


@dataclass(frozen=True, slots=True)
class OddRow:
    """A position of a product that the app does not order: CO, BO."""

    symbol: str
    product: str
    quantity: int
    price: Decimal
    """Rupees, on average."""


@dataclass(slots=True)
class Portfolio:
    """Follows the exchange's changes; see `Exchange.on_change` and `on_new_day`."""

    account: str
    cash: Decimal
    instruments: Instruments
    quotes: Quotes
    working: Callable[[], Iterable[BrokerOrder]]
    ddpi: bool = True
    """Whether the broker may deliver what is sold out of holdings; without, the depository is asked each day."""
    lines: dict[Key, Line] = field(default_factory=dict)
    covers: dict[str, Line] = field(default_factory=dict)
    """What cover orders have made of each symbol today; what is left of it then goes on as MIS."""
    odd: dict[tuple[str, str], OddRow] = field(default_factory=dict)

    def begin_day(self, _session: Session, held: Sequence[BrokerPosition]) -> None:
        self.cash += self.realised()
        self.covers = {}
        self.odd = {key: row for key, row in self.odd.items() if row.quantity}
        self.lines = {
            (one.symbol, Product(one.product)): self._line(
                one.symbol, Product(one.product), one.quantity, one.average_price
            )
            for one in held
        }

    def all(self) -> list[Line]:
        return [*self.lines.values(), *self.covers.values()]

    def follow(self, change: Change) -> None:
        row = change.view.row
        for trade in change.trades:
            if change.view.details.cover is not None:
                line = self.covers.setdefault(row.symbol, self._line(row.symbol, row.product, 0, Decimal(0)))
            else:
                key = (row.symbol, row.product)
                line = self.lines.setdefault(key, self._line(*key, 0, Decimal(0)))
            line.trade(row.side, trade.fill.quantity, trade.fill.price)

    def move(self, symbol: str, product: Product, quantity: int, price: Decimal) -> None:
        """A position moves without an order."""
        line = self.lines.get((symbol, product)) or self._line(symbol, product, 0, Decimal(0))
        self.lines[symbol, product] = line
        line.move(quantity, price)

    def turn_over(self, old: Line, new: Line, side: Side, quantity: int, price: Decimal) -> None:
        """The day's trades of what was converted count under its new product."""
        bought, sold = (min(quantity, old.bought), 0) if side is Side.BUY else (0, min(quantity, old.sold))
        old.bought, new.bought = old.bought - bought, new.bought + bought
        old.sold, new.sold = old.sold - sold, new.sold + sold
        old.buy_value, new.buy_value = old.buy_value - bought * price, new.buy_value + bought * price
        old.sell_value, new.sell_value = old.sell_value - sold * price, new.sell_value + sold * price
        if bought or sold:
            old.day = booked(old.day, Side.SELL if bought else Side.BUY, bought or sold, price)
            new.day = booked(new.day, side, bought or sold, price)
        if not (old.overnight or old.bought or old.sold or old.net.quantity):
            del self.lines[old.net.symbol, old.net.product]

    def unauthorised(self, symbol: str, product: Product, quantity: int) -> bool:
        """Whether a sale of so many takes shares out of the demat account that the depository has not let go."""
        line = self.lines.get((symbol, product))
        if self.ddpi or line is None or not line.overnight:
            return False
        out_of_holdings = max(line.sold + quantity - line.bought, 0)
        return out_of_holdings > line.authorised

    def deliverable(self, symbol: str, product: Product) -> int:
        """Shares that can be sold: held or bought today, not pledged and not yet offered."""
        line = self.lines.get((symbol, product))
        offered = sum(
            row.quantity - row.filled_quantity
            for row in self.working()
            if (row.symbol, row.product, row.side) == (symbol, product, Side.SELL)
        )
        return (line.net.quantity - line.pledged if line else 0) - offered

    def price(self, symbol: str, otherwise: Decimal) -> Decimal:
        return self.quotes.last_price(symbol) or otherwise

    def close(self, symbol: str) -> Decimal:
        """Of the last trading day, in rupees; 0 where nothing was seen of the symbol."""
        quote = self.quotes.get(symbol)
        return quote.close if quote is not None else Decimal(0)

    def required(self, terms: Terms, instrument: Instrument) -> Decimal:
        """Rupees that the order binds: for what it opens, not for what it closes."""
        line = self.lines.get((terms.symbol, terms.product))
        held = line.net.quantity if line else 0
        closing = min(terms.quantity, max(-held * terms.side.sign, 0))
        return margin(terms, instrument, terms.quantity - closing, self.quotes.last_price(terms.symbol))

    def utilised(self) -> Decimal:
        """Rupees that positions and working orders bind."""
        positions = sum((self._of_position(line.net) for line in self.all()), Decimal(0))
        return positions + sum((self._of_order(row) for row in self.working()), Decimal(0))

    def realised(self) -> Decimal:
        return sum((line.net.realized_pnl for line in self.all()), Decimal(0))

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
