"""What an order would be after a change: the same rule for durable orders, for engines and for backtests."""

from pydantic import ValidationError

from durable_orders.trading.explained import explained
from durable_orders.trading.orders.order import Amendment, Order, Terms
from durable_orders.trading.orders.verdict import Refusal

INVALID_TERMS = "INVALID_TERMS"
"""The terms after a change would not fit together."""
SPLIT = "SPLIT_ORDER"
NO_AMENDMENT = "Kite made several orders of it (iceberg, autoslice), and they do not change together: cancel it"
NOT_OPEN = "NOT_OPEN"
"""Nothing is reserved for the order that is to be changed: it has ended, or was never approved."""
NOTHING_RESERVED = "nothing is reserved for the order: it has ended"


def changed_terms(order: Order, change: Amendment) -> Terms | Refusal:
    """The order's terms after the change, or why it cannot have them."""
    if order.instructions is not None and order.instructions.splits:
        return Refusal(code=SPLIT, message=NO_AMENDMENT)
    try:
        return change.applied_to(order)
    except ValidationError as error:
        return Refusal(code=INVALID_TERMS, message=str(explained(error)))
