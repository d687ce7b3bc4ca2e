"""The orders of one day, and what its trades come to: what an evening holds against the broker."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.ledger.rows import OPEN
from durable_orders.trading.ledger.tables import CHARGED, fills, orders


@dataclass(slots=True)
class Traded:
    """The trades of one order within a day."""

    trades: int = 0
    quantity: int = 0
    value: Decimal = Decimal(0)
    """Quantity times price, as quoted."""
    turnover: Decimal = Decimal(0)
    """Rupees."""
    realized_pnl: Decimal = Decimal(0)
    charges: Charges | None = field(default_factory=Charges)
    """`None` where those of a trade are not known."""


def order_ids_of(connection: sa.Connection, account: str, since: datetime, until: datetime) -> list[str]:
    """Of orders that were created or traded from `since` to before `until`, and of all that are open."""
    own = sa.and_(orders.c.account == account, orders.c.status.in_(OPEN))
    created = sa.and_(orders.c.account == account, orders.c.created_at >= since, orders.c.created_at < until)
    traded = sa.select(fills.c.order_id).where(fills.c.account == account, fills.c.at >= since, fills.c.at < until)
    asked = sa.union(sa.select(orders.c.order_id).where(own), sa.select(orders.c.order_id).where(created), traded)
    return sorted(connection.execute(asked).scalars())


def symbols_within(connection: sa.Connection, account: str, since: datetime, until: datetime) -> set[str]:
    """Of orders that were created or traded from `since` to before `until`."""
    created = sa.select(orders.c.symbol).where(
        orders.c.account == account, orders.c.created_at >= since, orders.c.created_at < until
    )
    traded = sa.select(fills.c.symbol).where(fills.c.account == account, fills.c.at >= since, fills.c.at < until)
    return set(connection.execute(sa.union(created, traded)).scalars())


def traded_within(connection: sa.Connection, account: str, since: datetime, until: datetime) -> dict[str, Traded]:
    """By order id, the trades of these moments, whenever they became known."""
    names = ("order_id", "symbol", "quantity", "price", "realized_pnl", *CHARGED)
    asked = sa.select(*(fills.c[name] for name in names)).where(
        fills.c.account == account, fills.c.at >= since, fills.c.at < until
    )
    found: dict[str, Traded] = defaultdict(Traded)
    for row in connection.execute(asked):
        one = found[row.order_id]
        one.trades += 1
        one.quantity += row.quantity
        one.value += row.quantity * row.price
        one.turnover += row.quantity * row.price * multiplier_of(row.symbol)
        one.realized_pnl += row.realized_pnl
        known = None if row.brokerage is None else Charges(**{name: getattr(row, name) for name in CHARGED})
        one.charges = None if known is None or one.charges is None else one.charges + known
    return dict(found)
