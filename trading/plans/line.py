"""What is known of a line of a plan, a leg or a slice, when the plan is admitted."""

from datetime import timedelta

from durable_orders.trading.orders.order import Frozen, Price, Quantity

QUOTED = timedelta(minutes=1)
"""A price that was received earlier says nothing of now; of a plan that goes by the market's time, one of earlier."""


class LineTerms(Frozen):
    tick_size: Price | None = None
    """Rupees."""
    multiplier: int = 1
    """Units of the price that one of the quantity stands for."""
    reference: Price | None = None
    """Rupees: what it could be had at then, on the other side of the spread."""
    sizes: tuple[Quantity, ...] = ()
    """Of its orders, none above what the exchange takes in one; of a slice, what was drawn for it."""
    most: Quantity | None = None
    """What one order may have at most, where that is less than all of a schedule."""
