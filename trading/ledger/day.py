"""What was traded since a moment, such as the day's beginning, by symbol and product. Money in rupees."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger.tables import CHARGED, fills, orders, position_entries
from durable_orders.trading.orders.order import Product, Side

Key = tuple[str, Product]

_SINCE = sa.select(
    *(fills.c[name] for name in ("symbol", "product", "side", "quantity", "price", "realized_pnl", "realized_fifo")),
    *(fills.c[name] for name in CHARGED),
).where(
    fills.c.account == sa.bindparam("account"),
    fills.c.at >= sa.bindparam("since", type_=fills.c.at.type),
)
_E = position_entries.c
_ENTERED = sa.select(_E.symbol, _E.product, _E.quantity, _E.paid, _E.realized_pnl, _E.realized_fifo, _E.shares).where(
    _E.account == sa.bindparam("account"), _E.at >= sa.bindparam("since", type_=_E.at.type)
)


@dataclass(slots=True)
class Traded:
    """The trades and entries of one symbol and product, added up."""

    quantity: int = 0
    """Bought less sold."""
    paid: Decimal = Decimal(0)
    """For what was bought, less what was received for what was sold."""
    realized_pnl: Decimal = Decimal(0)
    realized_fifo: Decimal = Decimal(0)
    charges: Decimal = Decimal(0)
    uncharged: int = 0
    """Fills whose charges are not known."""

    def realized_by(self, by: RealizedBy) -> Decimal:
        return self.realized_fifo if by is RealizedBy.FIFO else self.realized_pnl

    def add(self, row: Any) -> None:
        signed = Side(row.side).sign * row.quantity
        self.quantity += signed
        self.paid += signed * row.price * multiplier_of(row.symbol)
        self.realized_pnl += row.realized_pnl
        self.realized_fifo += row.realized_fifo
        if row.brokerage is None:
            self.uncharged += 1
        else:
            self.charges += sum((getattr(row, name) for name in CHARGED), Decimal(0))

    def enter_part(self, row: Any, quantity: int) -> None:
        """So much of it, signed, is a strategy's own."""
        self.quantity += quantity
        self.paid += row.paid * quantity / row.quantity

    def enter(self, row: Any) -> None:
        self.quantity += row.quantity
        self.paid += row.paid
        self.realized_pnl += row.realized_pnl
        self.realized_fifo += row.realized_fifo


def traded_since(
    connection: sa.Connection, account: str, since: datetime, strategy: str | None = None
) -> dict[Key, Traded]:
    """By the time of the trades, whenever they became known; of one strategy, its own orders' and its share of what was
    entered."""
    found: dict[Key, Traded] = defaultdict(Traded)
    own = {"account": account, "since": since}
    of_strategy = _SINCE.join_from(fills, orders, orders.c.order_id == fills.c.order_id)
    of_strategy = of_strategy.where(orders.c.strategy == strategy)
    for row in connection.execute(_SINCE if strategy is None else of_strategy, own):
        found[row.symbol, Product(row.product)].add(row)
    for row in connection.execute(_ENTERED, own):
        if strategy is None:
            found[row.symbol, Product(row.product)].enter(row)
        elif part := (row.shares or {}).get(strategy, (0, 0))[1]:
            found[row.symbol, Product(row.product)].enter_part(row, int(part))
    return dict(found)
