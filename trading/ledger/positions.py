"""Net positions by weighted average cost. Pure arithmetic; charges are not part of the profit.

A partial close takes its share of the cost, rounded half-even to a ten-thousandth of a rupee, out of
`open_value`; the rest keeps the remainder, and the last share closed takes all that is left. What one side is
rounded up by the other side is rounded down by, so nothing is lost. After any fills, to the last place:

    sum of side.sign * quantity * multiplier * price  ==  open_value - realized_pnl

The same holds of profit that is realized first in, first out, and so its open value needs no book of its own.
"""

from collections.abc import Iterable
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from typing import NamedTuple

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.orders.order import PRICE_PLACES, Product, Side

DIGITS = 60
"""Enough for any cost times any quantity: the one rounding is the one that is written here."""


NET_ONLY = {"realized_fifo": Decimal(0)}
"""What only an account's position has; a strategy's has it empty."""


class Position(NamedTuple):
    """What an account holds of one symbol and product, and what it has earned with it."""

    account: str
    symbol: str
    product: Product
    quantity: int = 0
    """As Kite counts: shares, units, or lots on MCX, NCO, CDS and BCD. Short is negative."""
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


def signed(found: Iterable[Position]) -> dict[tuple[str, str], int]:
    """Signed quantities by symbol and product; flat ones are not among them."""
    return {(each.symbol, each.product.value): each.quantity for each in found if each.quantity}


def booked(position: Position, side: Side, quantity: int, price: Decimal) -> Position:
    """The position after a fill of `quantity` at the quoted `price`. One that crosses zero closes, then opens."""
    size = multiplier_of(position.symbol)
    signed = side.sign * quantity
    return entered(position, signed, signed * (price if size == 1 else price * size))


def entered(position: Position, quantity: int, paid: Decimal) -> Position:
    """The position with `quantity` more, signed, for which so many rupees were paid, negative if received."""
    account, symbol, product, held, value, realized, fifo, charges, uncharged = position
    closing = closed_by(held, quantity)
    if closing:
        cost = part_of(value, closing, held)
        for_closing = part_of(paid, closing, quantity)
        value -= cost + for_closing
        realized -= cost + for_closing
    return Position(account, symbol, product, held + quantity, value + paid, realized, fifo, charges, uncharged)


def closed_by(held: int, quantity: int) -> int:
    """How much of what is held such a change closes."""
    return min(abs(quantity), abs(held)) if held * quantity < 0 else 0


def part_of(value: Decimal, part: int, whole: int) -> Decimal:
    """The rupees of a part of so many, signed or not. The whole has all of them, and nothing is lost."""
    return value if part == abs(whole) else _rounded(value, part, abs(whole))


def in_lots(quantity: int, paid: Decimal) -> list[tuple[int, Decimal]]:
    """So many, signed, as one or two lots with a price to four places each, which come to exactly what was paid."""
    sign, units = (1 if quantity > 0 else -1), abs(quantity)
    with localcontext(prec=DIGITS):
        price = (paid / quantity).quantize(PRICE_PLACES, ROUND_FLOOR)
        dearer = int((sign * paid - units * price) / PRICE_PLACES)
    found = [(sign * (units - dearer), price), (sign * dearer, price + PRICE_PLACES)]
    return [(own, price) for own, price in found if own]


def _rounded(value: Decimal, part: int, whole: int) -> Decimal:
    """`value * part / whole` to four places, half-even."""
    with localcontext(prec=DIGITS):
        return (value * part / whole).quantize(PRICE_PLACES, ROUND_HALF_EVEN)
