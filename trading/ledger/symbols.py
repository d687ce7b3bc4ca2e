"""The symbols that an account is concerned with: those whose last prices it needs."""

from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.rows import OPEN
from durable_orders.trading.ledger.tables import orders, positions

_ACCOUNT: sa.BindParameter[str] = sa.bindparam("account")
_IN_USE = sa.union(
    sa.select(orders.c.symbol).where(orders.c.account == _ACCOUNT, orders.c.status.in_(OPEN)),
    sa.select(orders.c.symbol).where(
        orders.c.account == _ACCOUNT, orders.c.created_at >= sa.bindparam("since", type_=orders.c.created_at.type)
    ),
    sa.select(positions.c.symbol).where(positions.c.account == _ACCOUNT, positions.c.quantity != 0),
)


def symbols_in_use(connection: sa.Connection, account: str, since: datetime) -> set[str]:
    """Of open orders, of positions, and of everything that was asked for since then, refused orders included."""
    return set(connection.execute(_IN_USE, {"account": account, "since": since}).scalars())
