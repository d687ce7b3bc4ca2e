"""What was traded since a moment, such as the day's beginning, by symbol and product. Money in rupees."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from trading.contracts import multiplier_of
from trading.ledger.tables import CHARGED, fills
from trading.order import Product, Side
from trading.settings import RealizedBy

Key = tuple[str, Product]

_SINCE = sa.select(
    *(fills.c[name] for name in ("symbol", "product", "side", "quantity", "price", "realized_pnl", "realized_fifo")),
    *(fills.c[name] for name in CHARGED),
).where(
    fills.c.account == sa.bindparam("account"),
    fills.c.at >= sa.bindparam("since", type_=fills.c.at.type),
)


@dataclass(slots=True)
class Traded:
    """The trades of one symbol and product, added up."""

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


def traded_since(connection: sa.Connection, account: str, since: datetime) -> dict[Key, Traded]:
    """By the time of the trades, whenever they became known."""
    found: dict[Key, Traded] = defaultdict(Traded)
    for row in connection.execute(_SINCE, {"account": account, "since": since}):
        found[row.symbol, Product(row.product)].add(row)
    return dict(found)
