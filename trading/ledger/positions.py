"""Net positions by weighted average cost. Pure arithmetic; charges are not part of it.

A partial close takes its share of the cost, rounded half-even to a ten-thousandth of a rupee, out of
`open_value`; the rest keeps the remainder, and the last share closed takes all that is left. What one side is
rounded up by the other side is rounded down by, so nothing is lost. After any fills, to the last place:

    sum of side.sign * quantity * price  ==  open_value - realized_pnl
"""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from trading.order import PRICE_PLACES, Product, Side

DIGITS = 60
"""Enough for any cost times any quantity: the one rounding is the one that is written here."""


@dataclass(frozen=True, slots=True)
class Position:
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

    @property
    def average_price(self) -> Decimal | None:
        """Rupees a share of the open part, to four places; `None` when flat."""
        return _rounded(self.open_value, 1, self.quantity) if self.quantity else None


def booked(position: Position, side: Side, quantity: int, price: Decimal) -> Position:
    """The position after a fill of `quantity` shares at `price` rupees. One that crosses zero closes, then opens."""
    held = position.quantity
    closing = min(quantity, abs(held)) if held * side.sign < 0 else 0
    cost = _rounded(position.open_value, closing, abs(held)) if closing else Decimal(0)
    opening = quantity - closing
    return replace(
        position,
        quantity=held + side.sign * quantity,
        open_value=position.open_value - cost + side.sign * opening * price,
        realized_pnl=position.realized_pnl - side.sign * closing * price - cost,
    )


def _rounded(value: Decimal, part: int, whole: int) -> Decimal:
    """`value * part / whole` to four places, half-even."""
    with localcontext(prec=DIGITS):
        return (value * part / whole).quantize(PRICE_PLACES, ROUND_HALF_EVEN)
