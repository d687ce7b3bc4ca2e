"""Finds what is reserved and should not be, and what should be and is not. It changes nothing.

By design there is nothing to find: a reservation is made with the approval and released with the order's end, each in
one transaction. Whatever turns up here was done to the ledger from outside, or is a bug.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.rows import OPEN, OVER
from durable_orders.trading.ledger.tables import orders, reservations


@dataclass(frozen=True, slots=True)
class Leak:
    order_id: str
    problem: str
    """One sentence."""


_STANDING = (
    sa.select(
        *(reservations.c.order_id, reservations.c.quantity, reservations.c.amended_quantity),
        *(orders.c.status, orders.c.quantity - orders.c.filled_quantity),
    )
    .select_from(reservations.outerjoin(orders, orders.c.order_id == reservations.c.order_id))
    .where(reservations.c.account == sa.bindparam("account"), reservations.c.released_at.is_(None))
)
_UNRESERVED = (
    sa.select(orders.c.order_id, orders.c.quantity - orders.c.filled_quantity)
    .select_from(
        orders.outerjoin(
            reservations, (reservations.c.order_id == orders.c.order_id) & reservations.c.released_at.is_(None)
        )
    )
    .where(orders.c.account == sa.bindparam("account"), orders.c.status.in_(OPEN))
    .where(orders.c.broker_order_id.is_not(None), reservations.c.order_id.is_(None))
)


def sweep(database: Database, account: str) -> list[Leak]:
    """The account's leaks, by order id; empty if what is reserved is what its open orders may still trade."""
    own = {"account": account}
    with database.read() as connection:
        standing = connection.execute(_STANDING, own).all()
        unreserved = connection.execute(_UNRESERVED, own).all()
    found = [Leak(order_id, words) for order_id, *row in standing if (words := _problem(*row))]
    found += [
        Leak(order_id, f"open at the broker for {rest}, and nothing is reserved") for order_id, rest in unreserved
    ]
    return sorted(found, key=lambda leak: leak.order_id)


def _problem(reserved: int, amended: int | None, status: str | None, rest: int | None) -> str | None:
    if status is None or rest is None:
        return f"{reserved} stay reserved for an order that the ledger does not know"
    if status in OVER:
        return f"{reserved} stay reserved for an order that is {status}"
    if amended is None and reserved != max(rest, 0):
        return f"{reserved} are reserved, and the order may still trade {rest}"
    return None
