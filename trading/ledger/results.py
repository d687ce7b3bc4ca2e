"""What the day's closed trades earned: realized profit before charges, by average cost or first in, first out."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger.tables import fills, position_entries

COLUMNS = {RealizedBy.AVERAGE: fills.c.realized_pnl, RealizedBy.FIFO: fills.c.realized_fifo}


def _earned(profit: sa.Column[Any]) -> sa.Select[Any]:
    return sa.select(sa.func.sum(profit)).where(
        fills.c.account == sa.bindparam("account"),
        fills.c.at >= sa.bindparam("since", type_=fills.c.at.type),
        sa.text(f"fills.{profit.name} <> 0"),  # as the index has it: with a parameter it would not be used
    )


def _entered(profit: sa.Column[Any]) -> sa.Select[Any]:
    own = position_entries.c
    return sa.select(sa.func.sum(own[profit.name])).where(
        own.account == sa.bindparam("account"), own.at >= sa.bindparam("since", type_=own.at.type)
    )


_ENTERED = {by: _entered(profit) for by, profit in COLUMNS.items()}
_SUM = {by: _earned(profit) for by, profit in COLUMNS.items()}
_BY_ORDER = {
    by: _earned(profit).group_by(fills.c.order_id).order_by(sa.func.max(fills.c.at).desc(), fills.c.order_id.desc())
    for by, profit in COLUMNS.items()
}


def realized_since(
    connection: sa.Connection, account: str, since: datetime, by: RealizedBy = RealizedBy.AVERAGE
) -> Decimal:
    """Rupees that the account realized with the trades and entries of that moment and later; a loss is negative."""
    own = {"account": account, "since": since}
    found = (connection.execute(asked[by], own).scalar_one() for asked in (_SUM, _ENTERED))
    return sum((each or Decimal(0) for each in found), Decimal(0))


def losses_in_a_row(
    connection: sa.Connection, account: str, since: datetime, by: RealizedBy = RealizedBy.AVERAGE
) -> int:
    """How many of the last orders that closed something since then lost money, back to the last that earned some.

    An order that came out even is passed over.
    """
    results = connection.execute(_BY_ORDER[by], {"account": account, "since": since})
    streak = 0
    for result in results.scalars():
        if result > 0:
            break
        streak += result < 0
    return streak
