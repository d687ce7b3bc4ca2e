"""What the day's closed trades earned: realized profit by weighted average cost, before charges."""

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from trading.ledger.tables import fills

_EARNED = (
    fills.c.account == sa.bindparam("account"),
    fills.c.at >= sa.bindparam("since", type_=fills.c.at.type),
    sa.text("fills.realized_pnl <> 0"),  # as the index has it: with a parameter it would not be used
)
_SUM = sa.select(sa.func.sum(fills.c.realized_pnl)).where(*_EARNED)
_BY_ORDER = (
    sa.select(sa.func.sum(fills.c.realized_pnl))
    .where(*_EARNED)
    .group_by(fills.c.order_id)
    .order_by(sa.func.max(fills.c.at).desc(), fills.c.order_id.desc())
)


def realized_since(connection: sa.Connection, account: str, since: datetime) -> Decimal:
    """Rupees that the account realized with the trades of that moment and later; a loss is negative."""
    return connection.execute(_SUM, {"account": account, "since": since}).scalar_one() or Decimal(0)


def losses_in_a_row(connection: sa.Connection, account: str, since: datetime) -> int:
    """How many of the last orders that closed something since then lost money, back to the last that earned some.

    An order that came out even is passed over.
    """
    results = connection.execute(_BY_ORDER, {"account": account, "since": since})
    streak = 0
    for result in results.scalars():
        if result > 0:
            break
        streak += result < 0
    return streak
