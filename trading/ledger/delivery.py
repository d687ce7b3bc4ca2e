"""Shares that lie in the demat account, and no longer among the positions of the day."""

from collections import Counter
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.tables import fills, position_entries
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.orders.position_entry import EntryKind

DELIVERY = tuple(product.value for product in Product if product.is_delivery)
_SIGNED = sa.case((fills.c.side == Side.BUY.value, fills.c.quantity), else_=-fills.c.quantity)
_TODAY = (
    sa.select(fills.c.symbol, fills.c.product, sa.func.sum(_SIGNED).label("quantity"))
    .where(
        fills.c.account == sa.bindparam("account"),
        fills.c.at >= sa.bindparam("since", type_=fills.c.at.type),
        fills.c.product.in_(DELIVERY),
    )
    .group_by(fills.c.symbol, fills.c.product)
)
_E = position_entries.c
_ENTERED = (
    sa.select(_E.symbol, _E.product, sa.func.sum(_E.quantity))
    .where(
        _E.account == sa.bindparam("account"),
        _E.at >= sa.bindparam("since", type_=_E.at.type),
        _E.product.in_(DELIVERY),
        _E.kind.in_([kind.value for kind in EntryKind if kind.is_in_the_days_positions]),
    )
    .group_by(_E.symbol, _E.product)
)


def moved_today(connection: sa.Connection, account: str, now: datetime) -> dict[tuple[str, str], int]:
    """Signed quantity by symbol and product of today's delivery trades, and of what was converted today, in IST."""
    own = {"account": account, "since": start_of_day(now)}
    found: Counter[tuple[str, str]] = Counter()
    for asked in (_TODAY, _ENTERED):
        for symbol, product, quantity in connection.execute(asked, own):
            found[symbol, product] += int(quantity)
    return dict(found)
