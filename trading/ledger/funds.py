"""The broker's margin as it was last read, and what was approved since: the reading does not show that yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import funds, reservations
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Product, Side

IN_FLIGHT = timedelta(seconds=15)
"""An order that was approved so long before the reading may not have been at the broker by then."""


@dataclass(frozen=True, slots=True)
class Margin:
    """What there was to trade with."""

    read_at: datetime | None = None
    """`None` if it was never read."""
    available: Decimal | None = None
    """Rupees; `None` where the broker sets no limit."""
    approved_since: "tuple[Recent, ...]" = ()
    """Orders which the reading may not have counted, filled or still open."""


class Recent(NamedTuple):
    """What was approved of one symbol, product and side."""

    symbol: str
    product: Product
    side: Side
    units: int
    value: Decimal
    """Units times price, as quoted."""


_R = reservations.c
_READ = sa.select(funds.c.at, funds.c.available).where(funds.c.account == sa.bindparam("account"))
_UNITS = _R.filled + sa.case((_R.released_at.is_(None), _R.quantity), else_=0)
_VALUE = sa.func.sum(_UNITS * sa.type_coerce(_R.price, sa.BigInteger))
_SINCE = (
    sa.select(_R.symbol, _R.product, _R.side, sa.func.sum(_UNITS), sa.type_coerce(_VALUE, _R.price.type))
    .where(_R.account == sa.bindparam("account"), _R.order_id != sa.bindparam("own"))
    .where(_R.reserved_at > sa.bindparam("since", type_=_R.reserved_at.type))
    .group_by(_R.symbol, _R.product, _R.side)
)


def save_funds(database: Database, account: str, read: Funds | None, at: datetime) -> None:
    """The broker's funds, as they were read at that moment; `None` where it sets no limit."""
    row = {"account": account, "available": read.available if read else None, "at": at}
    with database.write(account) as connection:
        upsert(connection, funds, [row])


def margin_of(connection: sa.Connection, account: str, own: str) -> Margin:
    """What there is to trade with, for the order `own`, which does not count itself."""
    found = connection.execute(_READ, {"account": account}).one_or_none()
    if found is None:
        return Margin()
    read_at, available = found
    if available is None:
        return Margin(read_at)
    since = connection.execute(_SINCE, {"account": account, "own": own, "since": read_at - IN_FLIGHT})
    recent = (
        Recent(symbol, Product(product), Side(side), int(units), value) for symbol, product, side, units, value in since
    )
    return Margin(read_at, available, tuple(recent))
