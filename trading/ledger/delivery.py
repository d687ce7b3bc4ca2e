"""Shares that lie in the demat account, and no longer among the positions of the day."""

from datetime import datetime

import sqlalchemy as sa

from trading.ist import start_of_day
from trading.ledger.tables import fills, positions
from trading.order import Product, Side

DELIVERY = tuple(product.value for product in (Product.CNC, Product.MTF))
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
_HELD = sa.select(positions.c.symbol, positions.c.product, positions.c.quantity).where(
    positions.c.account == sa.bindparam("account"), positions.c.product.in_(DELIVERY)
)


def carried(connection: sa.Connection, account: str, now: datetime) -> set[tuple[str, str]]:
    """Symbol and product of what the account holds by delivery from earlier days, or sold of it today.

    At Kite such shares are holdings, together with all that was ever bought elsewhere: its positions do not tell of
    them, so there is nothing to hold them against.
    """
    today = connection.execute(_TODAY, {"account": account, "since": start_of_day(now)})
    moved = {(symbol, product): quantity for symbol, product, quantity in today}
    held = connection.execute(_HELD, {"account": account})
    return {(symbol, product) for symbol, product, quantity in held if quantity != moved.get((symbol, product), 0)}
