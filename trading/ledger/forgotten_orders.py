"""An order of ours that the ledger had forgotten, and has meanwhile adopted as a row of the broker's book.

A ledger that was restored does not know the orders that were sent after its backup. Their rows are adopted under their
tags; when the order is heard of again, what was booked for the row becomes the order's, in one transaction: nothing is
booked twice, and nothing is sent.
"""

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.ledger.booking import strategy_row
from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.ledger.reading import find_order, strategy_positions_of
from durable_orders.trading.ledger.rows import FIXED, order_row, upsert
from durable_orders.trading.ledger.tables import CHARGED, fills, lots, orders, reservations, strategy_positions
from durable_orders.trading.orders.order import Order, Side, Status, is_adopted

_NAMED = (orders, fills, lots, reservations)
"""Its events stay under the name that the ledger had given the row: they tell when it was found."""
_WITH_TAG = sa.select(orders.c.order_id).where(
    orders.c.account == sa.bindparam("account"), orders.c.tag == sa.bindparam("tag")
)
FOUND = "the broker had it already, as {row}, and the ledger had forgotten it: it is followed, and not sent again"


def adopted_with_tag(connection: sa.Connection, order: Order) -> str | None:
    """Under which id the ledger has adopted this order; `None` if it has not."""
    found = connection.execute(_WITH_TAG, {"account": order.account, "tag": order.tag}).scalar_one_or_none()
    return found if found is not None and is_adopted(found) and not is_adopted(order.order_id) else None


def take_over(connection: sa.Connection, adopted: str, order: Order, **more: Any) -> None:
    """What the ledger has under that id is this order's from now on. The order must not be in the ledger yet.

    `more` are columns of its row. Its status and terms stay as the book has shown them; what a book does not tell is
    the order's. The end of some parts of an order that the broker splits is not its own: it is UNKNOWN.
    """
    before = find_order(connection, adopted)
    if before is None:
        return
    row = order_row(order)
    own = {name: row[name] for name in FIXED & row.keys()} | {"dry_run": before.dry_run, "sequence": -1} | more
    if order.instructions is not None and order.instructions.splits and before.quantity != order.quantity:
        own |= {"quantity": order.quantity}
        own |= {"status": Status.UNKNOWN, "unsettled": True} if before.status.terminal else {}
    connection.execute(sa.update(orders).where(orders.c.order_id == adopted).values(own))
    for table in _NAMED[1:]:
        connection.execute(sa.update(table).where(table.c.order_id == adopted).values(order_id=order.order_id))
    _hand_over(connection, before, order.order_id, order.strategy)


def attribute(connection: sa.Connection, order: Order) -> None:
    """An order that was adopted is from now on of that strategy, and wanted for that reason; so is what it traded."""
    before = find_order(connection, order.order_id)
    if before is not None:
        own = {"strategy": order.strategy, "reason": order.reason}
        connection.execute(sa.update(orders).where(orders.c.order_id == order.order_id).values(own))
        _hand_over(connection, before, order.order_id, order.strategy)


def _hand_over(connection: sa.Connection, before: Order, own: str, strategy: str) -> None:
    connection.execute(sa.update(reservations).where(reservations.c.order_id == own).values(strategy=strategy))
    if before.strategy != strategy:
        _move_trades(connection, before, own, strategy)


def _move_trades(connection: sa.Connection, before: Order, own: str, strategy: str) -> None:
    """What was traded is that strategy's, with what it cost, and no more that of who had it before."""
    opposite = Side.SELL if before.side is Side.BUY else Side.BUY
    charges, uncharged = _charges_of(connection, own)
    for whose, side, sign in ((before.strategy, opposite, -1), (strategy, before.side, 1)):
        theirs = strategy_positions_of(connection, before.account, whose)
        held = theirs.get((before.symbol, before.product)) or Position(before.account, before.symbol, before.product)
        for fill in before.fills:
            held = booked(held, side, fill.quantity, fill.price)
        held = held._replace(charges=held.charges + sign * charges, uncharged=held.uncharged + sign * uncharged)
        upsert(connection, strategy_positions, [strategy_row(held, whose, before.updated_at)])


def _charges_of(connection: sa.Connection, order_id: str) -> tuple[Decimal, int]:
    """What the order's trades cost, in rupees, and of how many of them that is not known."""
    asked = sa.select(*(fills.c[name] for name in CHARGED)).where(fills.c.order_id == order_id)
    rows = [tuple(row) for row in connection.execute(asked)]
    known = [row for row in rows if None not in row]
    return sum((amount for row in known for amount in row), Decimal(0)), len(rows) - len(known)


def is_as_asked(connection: sa.Connection, adopted: str, order: Order) -> bool:
    """Whether what is at the broker can be this order: its price and quantity may have been changed there."""
    found = find_order(connection, adopted)
    return found is not None and all(
        getattr(found, name) == getattr(order, name) for name in ("symbol", "side", "product")
    )
