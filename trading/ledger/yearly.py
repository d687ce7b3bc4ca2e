"""What an account bought, sold and earned within a time: its trades, and what moved its positions without an order."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger.journal import BATCH
from durable_orders.trading.ledger.results import COLUMNS
from durable_orders.trading.ledger.tables import CHARGED, fills, orders, position_entries
from durable_orders.trading.orders.order import PRICE_PLACES, Product, Side
from durable_orders.trading.orders.position_entry import OUTSIDE, EntryKind


class Earning(NamedTuple):
    """A trade, or the settlement of a contract. Rupees."""

    at: datetime
    symbol: str
    product: Product
    strategy: str
    side: Side
    value: Decimal
    """Quantity times price times what one of it stands for."""
    realized: Decimal
    """Before charges."""
    charges: Charges | None
    """`None` where they are not known; of a settlement there are none here."""


MOVES_MONEY = (EntryKind.EXPIRY, EntryKind.ANNULLED_TRADE, EntryKind.OTHER)
"""Entries that are trades of a kind. A conversion, a split or a transfer brings and costs nothing."""
_NAMES = ("at", "symbol", "product", "side", "quantity", "price", *CHARGED)


def earnings(
    connection: sa.Connection, account: str, since: datetime, until: datetime, by: RealizedBy = RealizedBy.AVERAGE
) -> Iterator[Earning]:
    """All of them from `since` to before `until`: the trades by their time, and then the entries, each strategy's part
    for itself. Read as they are taken."""
    asked = (
        sa.select(*(fills.c[name] for name in _NAMES), orders.c.strategy, COLUMNS[by].label("realized"))
        .join(orders, orders.c.order_id == fills.c.order_id)
        .where(fills.c.account == account, fills.c.at >= since, fills.c.at < until)
        .order_by(fills.c.at, fills.c.order_id, fills.c.number)
    )
    for row in connection.execute(asked, execution_options={"yield_per": BATCH}):
        charges = None if row.brokerage is None else Charges(**{name: getattr(row, name) for name in CHARGED})
        value = row.quantity * row.price * multiplier_of(row.symbol)
        terms = (row.at, row.symbol, Product(row.product), row.strategy, Side(row.side))
        yield Earning(*terms, value, row.realized, charges)
    yield from _entries(connection, account, since, until, by)


def _entries(
    connection: sa.Connection, account: str, since: datetime, until: datetime, by: RealizedBy
) -> Iterator[Earning]:
    own = position_entries.c
    asked = (
        sa.select(position_entries)
        .where(own.account == account, own.at >= since, own.at < until)
        .where(own.kind.in_([kind.value for kind in MOVES_MONEY]))
        .order_by(own.at, own.sequence, own.leg)
    )
    for row in connection.execute(asked).mappings():
        moved = {strategy: share[1] for strategy, share in (row["shares"] or {}).items() if share[1]}
        whole, left = row["quantity"], row[COLUMNS[by].name]
        for number, (strategy, quantity) in enumerate((moved or {row["strategy"] or OUTSIDE: whole}).items(), 1):
            own = left if number >= len(moved) else (row[COLUMNS[by].name] * quantity / whole).quantize(PRICE_PLACES)
            left -= own
            terms = (row["at"], row["symbol"], Product(row["product"]), strategy)
            side = Side.BUY if quantity > 0 else Side.SELL
            yield Earning(*terms, side, abs(row["paid"] * quantity / whole), own, Charges())
