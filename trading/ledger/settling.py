"""Settles by hand an order that no workflow follows, such as one that was found at the broker."""

from datetime import datetime

from durable_orders.trading.errors import InvalidOrder, OrderNotFound
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import find_order, last_sequence
from durable_orders.trading.ledger.recording import record_within
from durable_orders.trading.orders.events import EVENT_OF, Entry
from durable_orders.trading.orders.lifecycle import Settled, step
from durable_orders.trading.orders.narration import sentence
from durable_orders.trading.orders.order import Order
from durable_orders.trading.orders.settlement import Settlement


def settle(database: Database, order_id: str, settlement: Settlement, at: datetime) -> Order:
    """The order as it ended. Raises `OrderNotFound`, and `InvalidOrder` for what cannot be said of it."""
    with database.write() as connection:
        order = find_order(connection, order_id)
        if order is None:
            raise OrderNotFound(f"no order {order_id}")
        if problem := settlement.problem_with(order):
            raise InvalidOrder(problem)
        after = step(order, Settled(settlement), at)
        number = last_sequence(connection, order_id) + 1
        kind, words = EVENT_OF[after.status], sentence(order, after)
        record_within(connection, after, [Entry(sequence=number, type=kind, at=at, message=words, status=after.status)])
        return after
