"""What an audit of a whole account reads: all of its orders, a handful at a time, and what its fills add up to."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from pydantic import ValidationError

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.ledger.reading import events_of
from durable_orders.trading.ledger.rows import order_of
from durable_orders.trading.ledger.tables import Money, fills, orders, position_entries
from durable_orders.trading.orders.order import Order, Side


def order_ids(connection: sa.Connection, account: str) -> list[str]:
    """Those of all the account's orders, oldest first."""
    asked = sa.select(orders.c.order_id).where(orders.c.account == account)
    return list(connection.execute(asked.order_by(orders.c.created_at, orders.c.order_id)).scalars())


def orders_named(connection: sa.Connection, ids: Sequence[str]) -> tuple[list[Order], dict[str, str]]:
    """The orders with these ids, as far as they are there, and why the rows of some make no order. At most
    `rows.CHUNK`."""
    trades = sa.select(fills).where(fills.c.order_id.in_(ids)).order_by(fills.c.order_id)
    found = connection.execute(trades).mappings()
    of_order = {
        order_id: sorted(group, key=itemgetter("number", "trade_id"))
        for order_id, group in groupby(found, itemgetter("order_id"))
    }
    readable, senseless = [], {}
    for row in connection.execute(sa.select(orders).where(orders.c.order_id.in_(ids))).mappings():
        try:
            readable.append(order_of(row, of_order.get(row["order_id"], [])))
        except ValueError as error:
            senseless[row["order_id"]] = why(error)
    return readable, senseless


def why(error: ValueError) -> str:
    """On one line, what rule a row breaks."""
    if isinstance(error, ValidationError):
        return "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
    return " ".join(str(error).split())


def fill_sums(connection: sa.Connection, account: str) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """Of each symbol and product: signed quantity of fills and entries, and rupees paid, negative if received."""
    signed = sa.case((fills.c.side == Side.BUY.value, fills.c.quantity), else_=-fills.c.quantity)
    paid = signed * sa.type_coerce(fills.c.price, sa.BigInteger)
    asked = (
        sa.select(fills.c.symbol, fills.c.product, sa.func.sum(signed), sa.type_coerce(sa.func.sum(paid), Money))
        .where(fills.c.account == account)
        .group_by(fills.c.symbol, fills.c.product)
    )
    found = {
        (symbol, product): (int(net), value * multiplier_of(symbol))
        for symbol, product, net, value in connection.execute(asked)
    }
    for key, (net, value) in _entry_sums(connection, account).items():
        quantity, paid_before = found.get(key, (0, Decimal(0)))
        found[key] = quantity + net, paid_before + value
    return found


def _entry_sums(connection: sa.Connection, account: str) -> dict[tuple[str, str], tuple[int, Decimal]]:
    own = position_entries.c
    asked = (
        sa.select(own.symbol, own.product, sa.func.sum(own.quantity), sa.func.sum(own.paid))
        .where(own.account == account)
        .group_by(own.symbol, own.product)
    )
    return {(symbol, product): (int(net), value) for symbol, product, net, value in connection.execute(asked)}


def was_added_to(connection: sa.Connection, order_id: str) -> bool:
    """Whether something was recorded of the order after its end, such as a late fill."""
    ended = [event for event in events_of(connection, order_id) if event.status and event.status.terminal]
    return len(ended) > 1
