"""The money side of a paper account: what it has, what is bound, what it was charged. No I/O and no clock.

It is a function of the trades, the open orders and the session; so it is the same in every process, and after a
restart. With what counts:

    available = funds + profit of delivery + profit of the sessions before + today's loss - charges
                - bound by positions - bound by open orders - blocked of today's delivery sales
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.charges.fees import PAISA, NoCharges, charged_as, charges_of_order, dp_charge
from durable_orders.trading.charges.rates import rates_on
from durable_orders.trading.config.margins import PaperAccount as Settings
from durable_orders.trading.exchange.orders import Traded
from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.margin_rates import bound
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import PRICE_PLACES, Account, BrokerOrderId, Fill, Product, Side, Tag

NOTHING = Decimal(0)


class Trade(NamedTuple):
    broker_order_id: BrokerOrderId
    tag: Tag | None
    """`None`: an order of the broker's risk management."""
    symbol: str
    product: Product
    side: Side
    quantity: int
    price: Decimal
    at: datetime
    session: date


class OpenOrder(NamedTuple):
    broker_order_id: BrokerOrderId
    symbol: str
    product: Product
    side: Side
    remaining: int
    """0 for an order that works no more."""
    price: Decimal
    """Rupees: its limit, its trigger, or the last price when it came."""


@dataclass(slots=True)
class _Working:
    quantity: int = 0
    value: Decimal = NOTHING


@dataclass(slots=True)
class _Line:
    """One symbol and product."""

    position: Position
    session: date
    """Of its last trade."""
    open: dict[Side, _Working] = field(default_factory=lambda: {side: _Working() for side in Side})
    bound: Decimal = NOTHING
    bought: int = 0
    sold: int = 0
    sold_value: Decimal = NOTHING
    """Those three of the session."""

    @property
    def delivered(self) -> int:
        """Shares that leave the demat account: bought and sold on one day they never came to it."""
        return max(self.sold - self.bought, 0) if self.position.product.is_delivery else 0


class PaperAccount:
    """One account."""

    def __init__(self, account: Account, settings: Settings, instruments: Callable[[str], Instrument | None]) -> None:
        self._account = account
        self._settings = settings
        self._instruments = instruments
        self._session = date.min
        self._lines: dict[tuple[str, Product], _Line] = {}
        self._orders: dict[BrokerOrderId, OpenOrder] = {}
        self._fills: dict[BrokerOrderId, tuple[list[Fill], Decimal]] = {}
        self._bound = NOTHING
        self._charges = NOTHING
        self._delivered = NOTHING
        self._earned = NOTHING
        self._earned_before = NOTHING

    @property
    def charges(self) -> Decimal:
        """Rupees of all charges until now."""
        return self._charges + sum((self._dp_charge(line) for line in self._lines.values()), NOTHING)

    def begin(self, session: date) -> None:
        """A session begins, if it is not the present one: what was earned and sold in the one before is settled."""
        if session <= self._session:
            return
        self._charges = self.charges
        self._earned_before = self._earned
        self._session = session
        self._fills.clear()
        for line in self._lines.values():
            line.bought = line.sold = 0
            line.sold_value = NOTHING

    def book(self, trade: Trade) -> None:
        self.begin(trade.session)
        line = self._line(trade.symbol, trade.product)
        before = line.position
        line.position = booked(before, trade.side, trade.quantity, trade.price)
        line.session = trade.session
        if trade.side is Side.BUY:
            line.bought += trade.quantity
        else:
            line.sold += trade.quantity
            line.sold_value += trade.quantity * trade.price
        earned = line.position.realized_pnl - before.realized_pnl
        if trade.product.is_delivery:
            self._delivered += earned
        else:
            self._earned += earned
        self._charge(trade)
        self._rebind(line)

    def show(self, order: OpenOrder) -> None:
        """An order as it stands now."""
        known = self._orders.pop(order.broker_order_id, None)
        if order.remaining:
            self._orders[order.broker_order_id] = order
        for each, sign in ((known, -1), (order, 1)):
            if each is not None:
                working = self._line(each.symbol, each.product).open[each.side]
                working.quantity += sign * each.remaining
                working.value += sign * each.remaining * each.price * multiplier_of(each.symbol)
        self._rebind(self._line(order.symbol, order.product))

    def funds(self) -> Funds:
        blocked = sum((self._blocked(line) for line in self._lines.values() if line.sold), NOTHING)
        utilised = self._bound + blocked
        profit = self._delivered + self._earned_before + min(self._earned - self._earned_before, NOTHING)
        has = (self._settings.funds or NOTHING) + profit - self.charges
        return Funds(available=has - utilised, utilised=utilised)

    def required(self, order: OpenOrder) -> Decimal:
        """Rupees that are bound more with this order than without it, or than with what it was before."""
        before, known = self._bound, self._orders.get(order.broker_order_id)
        self.show(order)
        after = self._bound
        self.show(known or order._replace(remaining=0))
        return after - before

    def required_together(self, orders: Sequence[OpenOrder]) -> Decimal:
        """The same of several new ones."""
        before = self._bound
        for order in orders:
            self.show(order)
        after = self._bound
        for order in orders:
            self.show(order._replace(remaining=0))
        return after - before

    def check_charges(self, symbol: str, product: Product, on: date) -> None:
        """Raises `NoCharges` where a trade of that session could not be charged."""
        segment, contract = charged_as(symbol, product)
        rates_on(segment, contract.exchange, on)

    def deliverable(self, symbol: str, product: Product, *, but_for: BrokerOrderId | None = None) -> int:
        """Shares that can be sold for delivery: held or bought today, and not offered by an order yet."""
        line = self._lines.get((symbol, product))
        if line is None:
            return 0
        own = self._orders.get(but_for) if but_for is not None else None
        offered = line.open[Side.SELL].quantity - (own.remaining if own is not None else 0)
        return line.position.quantity - offered

    def has_any(self, symbol: str, product: Product) -> bool:
        """Whether it is held, or an order for it is open."""
        line = self._lines.get((symbol, product))
        return line is not None and (line.position.quantity != 0 or any(each.quantity for each in line.open.values()))

    def position(self, symbol: str, product: Product) -> tuple[int, date]:
        """Shares, short ones negative, and the session of the last trade."""
        line = self._line(symbol, product)
        return line.position.quantity, line.session

    def _line(self, symbol: str, product: Product) -> _Line:
        key = (symbol, product)
        if key not in self._lines:
            self._lines[key] = _Line(Position(self._account, symbol, product), self._session)
        return self._lines[key]

    def _rebind(self, line: _Line) -> None:
        """To ten-thousandths of a rupee, so that sums are exact in whatever order they come about."""
        held = line.position
        side = Side.BUY if held.quantity > 0 else Side.SELL
        needed = self._needs(line, side, abs(held.quantity), abs(held.open_value)) if held.quantity else NOTHING
        for side, working in line.open.items():
            closing = max(-held.quantity * side.sign, 0)
            opening = max(working.quantity - closing, 0)
            if opening:
                needed += self._needs(line, side, opening, working.value * opening / working.quantity)
        needed = needed.quantize(PRICE_PLACES, ROUND_CEILING)
        self._bound += needed - line.bound
        line.bound = needed

    def _needs(self, line: _Line, side: Side, quantity: int, value: Decimal) -> Decimal:
        product, symbol = line.position.product, line.position.symbol
        units = quantity * multiplier_of(symbol)
        return bound(product, self._instruments(symbol), side, units, value / units, self._settings.margins)

    def _blocked(self, line: _Line) -> Decimal:
        if not line.delivered:
            return NOTHING
        brought = line.sold_value * line.delivered / line.sold
        return (brought * self._settings.margins.sale_blocked).quantize(PRICE_PLACES, ROUND_CEILING)

    def _charge(self, trade: Trade) -> None:
        """What the trade adds to its order's charges; the square-off fee with the order's first.

        Placing refuses what cannot be charged, so only what was traded before the funds were set is left out.
        """
        try:
            self.check_charges(trade.symbol, trade.product, trade.session)
        except NoCharges:
            return
        segment, contract = charged_as(trade.symbol, trade.product)
        fills, charged = self._fills.get(trade.broker_order_id, ([], NOTHING))
        own = Traded(len(fills) + 1, trade.quantity, trade.price, trade.at, trade.broker_order_id, trade.session)
        fills.append(own.fill)
        size = contract.multiplier or 1
        total = charges_of_order(segment, contract.exchange, trade.side, fills, multiplier=size).total
        if trade.tag is None and trade.product is Product.MIS:  # else it is the settlement of a contract
            gst = rates_on(segment, contract.exchange, fills[0].day).gst.rate
            total += (self._settings.square_off_fee * (1 + gst)).quantize(PAISA)
        self._charges += total - charged
        self._fills[trade.broker_order_id] = (fills, total)

    def _dp_charge(self, line: _Line) -> Decimal:
        if not line.delivered:
            return NOTHING
        symbol, product = line.position.symbol, line.position.product
        try:
            segment, contract = charged_as(symbol, product)
            return dp_charge(segment, contract.exchange, Side.SELL, line.session)
        except NoCharges:
            return NOTHING
