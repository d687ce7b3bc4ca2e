"""What approved orders may still use: reserved with the approval, released with the order's end."""

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from trading.ledger.rows import OVER
from trading.ledger.tables import orders, reservations
from trading.order import Order

_OWN, _STANDS = reservations.c.order_id == sa.bindparam("own"), reservations.c.released_at.is_(None)
_KNOWN_OR_OVER = sa.union_all(
    sa.select(reservations.c.order_id).where(_OWN),
    sa.select(orders.c.order_id).where(orders.c.order_id == sa.bindparam("own"), orders.c.status.in_(OVER)),
)
_STANDING = sa.select(reservations.c.order_id).where(_OWN, _STANDS)
_INSERT = sa.insert(reservations)
_RELEASE = sa.update(reservations).where(_OWN, _STANDS)


def reserve(connection: sa.Connection, order: Order, value: Decimal) -> None:
    """Reserve `value` rupees and the order's quantity for it. The second time changes nothing.

    Nothing is reserved for an order that the ledger knows to be over: nobody would release it.
    """
    if connection.execute(_KNOWN_OR_OVER, {"own": order.order_id}).first() is not None:
        return
    row = {
        "order_id": order.order_id,
        "account": order.account,
        "symbol": order.symbol,
        "strategy": order.strategy,
        "side": order.side.value,
        "quantity": order.quantity,
        "value": value,
        "reserved_at": order.updated_at,
    }
    connection.execute(_INSERT, row)


def is_reserved(connection: sa.Connection, order_id: str) -> bool:
    """Whether the order has a reservation that is not released."""
    return connection.execute(_STANDING, {"own": order_id}).first() is not None


def release(connection: sa.Connection, order_id: str, at: datetime) -> None:
    """End the order's reservation, if it has one that still stands."""
    connection.execute(_RELEASE, {"own": order_id, "released_at": at})
