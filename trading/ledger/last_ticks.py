"""The last tick of each symbol, so that every process can price an order and judge how old the price is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.rows import insertion
from durable_orders.trading.ledger.tables import ticks as table
from durable_orders.trading.market.liquidity import Liquidity
from durable_orders.trading.market.ticks import Depth, Level, Tick

_OF_SYMBOL = tuple(column == sa.bindparam(f"of_{column.name}") for column in table.primary_key)
_LAST = prepared(
    sa.select(table.c.last_price, table.c.at, table.c.received_at, table.c.previous_close).where(*_OF_SYMBOL)
)
_WHOLE = prepared(sa.select(table).where(*_OF_SYMBOL))
_TAKEN = prepared(sa.update(table).where(*_OF_SYMBOL))


@dataclass(frozen=True, slots=True)
class LastTick:
    last_price: Decimal
    """Rupees."""
    at: datetime
    """On the market's clock, which is the feed's where it replays."""
    received_at: datetime
    """On the wall's clock."""
    previous_close: Decimal | None = None
    """Rupees: the last price that was received before that day (IST); `None` if there was none."""

    def close_before(self, day: datetime) -> Decimal | None:
        """The last price that was received before the day began, at that moment; `None` if there was none."""
        return self.last_price if self.received_at < day else self.previous_close


def save_ticks(connection: sa.Connection, account: str, ticks: Sequence[Tick], received_at: datetime) -> None:
    """Keep the last of these ticks for each symbol, of which nothing was taken yet."""
    save_offers(connection, account, [Liquidity(tick) for tick in ticks], received_at)


def save_offers(connection: sa.Connection, account: str, offers: Sequence[Liquidity], received_at: datetime) -> None:
    """Keep the last of these ticks for each symbol, and what was taken of it, in place of the one that was known.

    The last received counts, whatever its time: a replay that starts again goes back on the market's clock. The first
    one of a day (IST) makes the one before the last price of its day.
    """
    last = {offer.tick.symbol: offer for offer in offers}
    if not last:
        return
    shared = {"account": account, "received_at": received_at, "today": start_of_day(received_at)}
    rows = [{"symbol": symbol, **shared, **_columns(offer)} for symbol, offer in last.items()]
    connection.execute(_saving(connection.dialect.name), rows)


@cache
def _saving(dialect: str) -> Any:
    statement = insertion(table, dialect).values(
        {column.name: sa.bindparam(column.name) for column in table.columns if column is not CLOSE}
    )
    new = statement.excluded
    before = sa.case(
        (table.c.received_at < sa.bindparam("today", type_=table.c.at.type), table.c.last_price), else_=CLOSE
    )
    changes = {column.name: new[column.name] for column in table.columns if column not in (*table.primary_key, CLOSE)}
    changes |= {CLOSE.name: before}
    return prepared(statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes))


CLOSE = table.c.previous_close


def save_taken(connection: sa.Connection, account: str, offer: Liquidity) -> None:
    """Keep what was taken of the last tick of its symbol."""
    of = {"of_account": account, "of_symbol": offer.tick.symbol}
    connection.execute(_TAKEN, of | {"bought": offer.bought, "sold": offer.sold})


def last_price(connection: sa.Connection, account: str, symbol: str) -> Decimal | None:
    """As quoted; `None` before the first tick."""
    tick = last_tick(connection, account, symbol)
    return None if tick is None else tick.last_price


def last_tick(connection: sa.Connection, account: str, symbol: str) -> LastTick | None:
    row = connection.execute(_LAST, {"of_account": account, "of_symbol": symbol}).one_or_none()
    return None if row is None else LastTick(*row)


def last_offer(connection: sa.Connection, account: str, symbol: str) -> tuple[Liquidity, datetime] | None:
    """The last tick with what is left of it, and when it was received, on the wall's clock."""
    row = connection.execute(_WHOLE, {"of_account": account, "of_symbol": symbol}).one_or_none()
    if row is None:
        return None
    return Liquidity(_tick_of(row), row.traded, row.bought or 0, row.sold or 0), row.received_at


def ticks_received(connection: sa.Connection, account: str, after: datetime) -> list[tuple[Tick, datetime]]:
    """The last tick of each symbol that was received later than that, with when it was, in that order."""
    own = (table.c.account == account) & (table.c.received_at > after)
    rows = connection.execute(sa.select(table).where(own).order_by(table.c.received_at, table.c.symbol))
    return [(_tick_of(row), row.received_at) for row in rows]


def symbols_with_ticks(connection: sa.Connection, account: str) -> list[str]:
    """Of which a price has ever come, the last received first."""
    found = sa.select(table.c.symbol).where(table.c.account == account)
    return list(connection.execute(found.order_by(table.c.received_at.desc(), table.c.symbol)).scalars())


def _tick_of(row: Any) -> Tick:
    return Tick(row.symbol, row.last_price, row.at, row.volume or 0, row.bid, row.ask, _depth_of(row.depth))


def _columns(offer: Liquidity) -> dict[str, Any]:
    tick = offer.tick
    return {
        "last_price": tick.last_price,
        "at": tick.at,
        "volume": tick.volume,
        "bid": tick.bid,
        "ask": tick.ask,
        "depth": _plain(tick.depth),
        "traded": offer.traded,
        "bought": offer.bought,
        "sold": offer.sold,
    }


def _plain(depth: Depth | None) -> dict[str, list[list[Any]]] | None:
    if depth is None:
        return None
    sides = {"bids": depth.bids, "asks": depth.asks}
    return {name: [[str(level.price), level.quantity] for level in levels] for name, levels in sides.items()}


def _depth_of(plain: dict[str, list[list[Any]]] | None) -> Depth | None:
    if plain is None:
        return None
    bids, asks = (tuple(Level(Decimal(price), units) for price, units in plain[name]) for name in ("bids", "asks"))
    return Depth(bids, asks)
