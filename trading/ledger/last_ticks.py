"""The last tick of each symbol, so that every process can price an order and judge how old the price is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from trading.ledger.rows import upsert
from trading.ledger.tables import ticks as table
from trading.market.ticks import Tick

_LAST = sa.select(table.c.last_price, table.c.at, table.c.received_at).where(
    *(column == sa.bindparam(column.name) for column in table.primary_key)
)


@dataclass(frozen=True, slots=True)
class LastTick:
    last_price: Decimal
    """Rupees."""
    at: datetime
    """On the market's clock, which is the feed's where it replays."""
    received_at: datetime
    """On the wall's clock."""


def save_ticks(connection: sa.Connection, account: str, ticks: Sequence[Tick], received_at: datetime) -> None:
    """Keep the last of these ticks for each symbol, in place of the one that was known.

    The last received counts, whatever its time: a replay that starts again goes back on the market's clock.
    """
    last = {tick.symbol: {"last_price": tick.last_price, "at": tick.at} for tick in ticks}
    if not last:
        return
    shared = {"account": account, "received_at": received_at}
    upsert(connection, table, [{"symbol": symbol, **shared, **seen} for symbol, seen in last.items()])


def last_tick(connection: sa.Connection, account: str, symbol: str) -> LastTick | None:
    row = connection.execute(_LAST, {"account": account, "symbol": symbol}).one_or_none()
    return None if row is None else LastTick(*row)
