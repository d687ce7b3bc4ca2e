"""Where the broker's positions differ from the ledger's and nothing explains it."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import position_differences


class Cause(StrEnum):
    """What is likely to have made the difference. A guess for the human who looks, and nothing is done by it."""

    EXTERNAL_ORDER = "external order"
    RMS = "square-off by RMS"
    CONVERSION = "conversion"
    EXPIRY = "expiry"
    CORPORATE_ACTION = "corporate action"
    TRANSFER = "transfer"
    UNKNOWN = "unknown"


class Unexplained(NamedTuple):
    """One position of which broker and ledger say different things. Quantities are signed."""

    symbol: str
    product: str
    """One of `Product`, or another that only the broker has."""
    ours: int
    theirs: int
    cause: Cause
    since: datetime

    @property
    def quantity(self) -> int:
        """By how much the broker has more."""
        return self.theirs - self.ours

    def __str__(self) -> str:
        both = f"{self.ours} in the ledger, {self.theirs} at the broker"
        return f"{self.symbol} {self.product}: {both} (likely: {self.cause})"

    @property
    def as_news(self) -> str:
        return f"the broker's positions differ from the ledger's: {self}"

    @property
    def as_settled(self) -> str:
        return f"the broker's position agrees with the ledger's again: {self.symbol} {self.product}"


_D = position_differences.c
_OF_ACCOUNT = sa.select(*(_D[name] for name in Unexplained._fields)).where(_D.account == sa.bindparam("account"))
_OF_SYMBOL = _OF_ACCOUNT.where(_D.symbol == sa.bindparam("symbol"))


def unexplained(connection: sa.Connection, account: str, symbol: str | None = None) -> list[Unexplained]:
    """Of the account, or of one symbol in it; by symbol and product."""
    asked = _OF_ACCOUNT if symbol is None else _OF_SYMBOL
    own = {"account": account} | ({} if symbol is None else {"symbol": symbol})
    found = (
        Unexplained(**dict(row) | {"cause": Cause(row["cause"])}) for row in connection.execute(asked, own).mappings()
    )
    return sorted(found)


def keep_differences(connection: sa.Connection, account: str, found: Iterable[Unexplained]) -> None:
    """Put these in place of what stands."""
    connection.execute(sa.delete(position_differences).where(_D.account == account))
    rows = [{"account": account, **each._asdict(), "cause": each.cause.value} for each in found]
    if rows:
        upsert(connection, position_differences, rows)
