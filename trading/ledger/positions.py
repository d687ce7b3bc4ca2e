"""Net positions by weighted average cost. Pure arithmetic; charges are not part of the profit.

A partial close takes its share of the cost, rounded half-even to a ten-thousandth of a rupee, out of
`open_value`; the rest keeps the remainder, and the last share closed takes all that is left. What one side is
rounded up by the other side is rounded down by, so nothing is lost. After any fills, to the last place:

    sum of side.sign * quantity * multiplier * price  ==  open_value - realized_pnl

The same holds of profit that is realized first in, first out, and so its open value needs no book of its own.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import NamedTuple

from trading.contracts import multiplier_of
from trading.order import PRICE_PLACES, Product, Side
from trading.settings import RealizedBy

DIGITS = 60
"""Enough for any cost times any quantity: the one rounding is the one that is written here."""


class Position(NamedTuple):
    """What an account holds of one symbol and product, and what it has earned with it."""

    account: str
    symbol: str
    product: Product
    quantity: int = 0
    """Shares; short is negative."""
    open_value: Decimal = Decimal(0)
    """Rupees that the open part cost, signed like `quantity`."""
    realized_pnl: Decimal = Decimal(0)
    """Rupees earned with the closed part, before charges."""
    realized_fifo: Decimal = Decimal(0)
    """The same if what was opened first is closed first. Only of the account's own positions."""
    charges: Decimal = Decimal(0)
    """Rupees that its fills cost."""
    uncharged: int = 0
    """Fills whose charges are not known."""

    @property
    def average_price(self) -> Decimal | None:
        """As prices are quoted, to four places; `None` when flat."""
        return self.average_price_by(RealizedBy.AVERAGE)

    def average_price_by(self, by: RealizedBy) -> Decimal | None:
        if not self.quantity:
            return None
        return _rounded(self.open_value_by(by), 1, self.quantity * multiplier_of(self.symbol))

    def realized_by(self, by: RealizedBy) -> Decimal:
        return self.realized_fifo if by is RealizedBy.FIFO else self.realized_pnl

    def open_value_by(self, by: RealizedBy) -> Decimal:
        return self.open_value - self.realized_pnl + self.realized_by(by)

    def unrealized_at(self, price: Decimal, by: RealizedBy = RealizedBy.AVERAGE) -> Decimal:
        """Rupees that closing at that price would earn, before charges."""
        return price * self.quantity * multiplier_of(self.symbol) - self.open_value_by(by)


def booked(position: Position, side: Side, quantity: int, price: Decimal) -> Position:
    """The position after a fill of `quantity` at the quoted `price`. One that crosses zero closes, then opens."""
    account, symbol, product, held, value, realized, fifo, charges, uncharged = position
    size = multiplier_of(symbol)
    unit = price if size == 1 else price * size
    closing = closed_by(held, side, quantity)
    sign, opening = side.sign, quantity - closing
    if closing:
        cost = value if closing == abs(held) else _rounded(value, closing, abs(held))
        value -= cost
        realized -= sign * closing * unit + cost
    if opening:
        value += sign * opening * unit
    return Position(account, symbol, product, held + sign * quantity, value, realized, fifo, charges, uncharged)


def closed_by(held: int, side: Side, quantity: int) -> int:
    """How much of what is held such a fill closes."""
    return min(quantity, abs(held)) if held * side.sign < 0 else 0


def _rounded(value: Decimal, part: int, whole: int) -> Decimal:
    """`value * part / whole` to four places, half-even."""
    with localcontext(prec=DIGITS):
        return (value * part / whole).quantize(PRICE_PLACES, ROUND_HALF_EVEN)
