"""What approved orders may still use: reserved with the approval, released with the order's end."""

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from trading.ledger.rows import OVER
from trading.ledger.tables import orders, reservations
from trading.order import Order


def reserve(connection: sa.Connection, order: Order, value: Decimal) -> None:
    """Reserve `value` rupees and the order's quantity for it. The second time changes nothing.

    Nothing is reserved for an order that the ledger knows to be over: nobody would release it.
    """
    known = sa.select(reservations.c.order_id).where(reservations.c.order_id == order.order_id)
    over = sa.select(orders.c.order_id).where(orders.c.order_id == order.order_id, orders.c.status.in_(OVER))
    if connection.execute(sa.union_all(known, over)).first() is not None:
        return
    connection.execute(
        sa.insert(reservations).values(
            order_id=order.order_id,
            account=order.account,
            symbol=order.symbol,
            strategy=order.strategy,
            side=order.side.value,
            quantity=order.quantity,
            value=value,
            reserved_at=order.updated_at,
        )
    )


def is_reserved(connection: sa.Connection, order_id: str) -> bool:
    """Whether the order has a reservation that is not released."""
    standing = sa.select(reservations.c.order_id).where(
        reservations.c.order_id == order_id, reservations.c.released_at.is_(None)
    )
    return connection.execute(standing).first() is not None


def release(connection: sa.Connection, order_id: str, at: datetime) -> None:
    """End the order's reservation, if it has one that still stands."""
    connection.execute(
        sa.update(reservations)
        .where(reservations.c.order_id == order_id, reservations.c.released_at.is_(None))
        .values(released_at=at)
    )
