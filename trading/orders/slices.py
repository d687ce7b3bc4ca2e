"""What the row of an autoslice order proves. Kite makes several orders of one, and no row of its book says how many.

The answer to the placement names them. Where it is lost, the rows are all of them if they add up to what was asked
for. While they do not, some may have been refused, or may not be shown yet: then the row proves nothing. How long that
is waited for, and what it proves in the end, is as for an order that the book does not show (the settle window).
"""

from dataclasses import replace

from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.order import BrokerOrderId, Order, Status

MOST_SLICES = 10
"""That Kite makes of one order (Kite documentation, autoslice)."""
UNPLACED = (Status.PENDING, Status.UNKNOWN)


def ids_of(row: BrokerOrder) -> tuple[BrokerOrderId, ...]:
    """Those of the rows that this one stands for."""
    return row.slices or (row.broker_order_id,)


def are_unknown(order: Order) -> bool:
    """Whether nobody can say how many slices there are of it."""
    return order.is_autosliced and not order.slices and order.status in UNPLACED


def is_short(order: Order, row: BrokerOrder) -> bool:
    """Whether nobody can say if this is all that became of the order."""
    return are_unknown(order) and row.quantity < order.quantity


def as_asked(order: Order, row: BrokerOrder) -> BrokerOrder:
    """The row as one of the whole order: it works while a slice is not shown, and is not COMPLETE without all."""
    known = set(order.slices)
    is_whole = known <= set(ids_of(row)) if known else row.quantity >= order.quantity
    state = row.state if is_whole else BookState.WORKING
    if state is BookState.COMPLETE and row.quantity < order.quantity:
        state = BookState.REJECTED
    return replace(row, quantity=order.quantity, state=state)
