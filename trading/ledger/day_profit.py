"""What an account, or a strategy in it, has earned today: realized and not, before charges, since the last prices of
the day before."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of, size_of
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger.day import Key, Traded, traded_since
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.reading import own_quantities, positions_of, strategy_positions_of
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import day_peaks
from durable_orders.trading.orders.offsets import offset

NOTHING = Traded()


class DayProfit(NamedTuple):
    """Rupees; a loss is negative."""

    rupees: Decimal
    unknown: tuple[str, ...] = ()
    """Symbols of which it is not known what they earned: with any, the sum says nothing."""


def profit_of_day(
    connection: sa.Connection, account: str, now: datetime, fresh: timedelta, strategy: str | None = None
) -> DayProfit:
    """Of the account, or of one strategy: of its own trades, with what others have closed of its holding at the prices
    at which they did. Of what is held now, a price has to be at most `fresh` old."""
    day = start_of_day(now)
    total, unknown = Decimal(0), []
    for position, today, whole in _books(connection, account, day, strategy):
        tick = last_tick(connection, account, position.symbol)
        is_old = position.quantity != 0 and (tick is None or now - tick.received_at > fresh)
        earned = grown(position, tick, day, today)
        if earned is None or is_old:
            unknown.append(position.symbol)
        else:
            total += earned / whole
    return DayProfit(total, tuple(unknown))


def _books(
    connection: sa.Connection, account: str, day: datetime, strategy: str | None
) -> Iterator[tuple[Position, Traded, int]]:
    """Positions, with what was traded since then, each so many times what it is."""
    today = traded_since(connection, account, day, strategy)
    if strategy is None:
        for own in positions_of(connection, account):
            yield own, today.get((own.symbol, own.product), NOTHING), 1
        return
    everybody = own_quantities(connection, account)
    theirs: dict[str, dict[Key, Traded]] = {}
    for key, own in strategy_positions_of(connection, account, strategy).items():
        held, traded = everybody.get(key, {}), today.get(key, NOTHING)
        closed = offset(held, strategy)
        for name in closed.by:
            if name not in theirs:
                theirs[name] = traded_since(connection, account, day, name)
        by = [theirs[name].get(key, NOTHING) for name in closed.by]
        shared = Traded(
            quantity=closed.shared(traded.quantity, sum(each.quantity for each in by)),
            paid=closed.shared(traded.paid, sum((each.paid for each in by), Decimal(0))),
        )
        yield own._replace(quantity=(own.quantity - closed.quantity) * closed.whole), shared, closed.whole


def grown(position: Position, tick: LastTick | None, day: datetime, today: Traded) -> Decimal | None:
    """Rupees that the position earned today, before charges: what it is worth now, less what it was worth at the last
    price of the day before, less what was paid today. `None` if a price that this takes is not known."""
    if size_of(position.symbol) is None:
        return None
    now, before = position.quantity, position.quantity - today.quantity
    last, close = (tick.last_price, tick.close_before(day)) if tick else (None, None)
    if (now and last is None) or (before and close is None):
        return None
    worth = now * (last or Decimal(0)) - before * (close or Decimal(0))
    return worth * multiplier_of(position.symbol) - today.paid


def best_of_day(connection: sa.Connection, account: str, now: datetime, strategy: str | None = None) -> Decimal | None:
    """The best result of the day (IST) that was kept, in rupees: the account's, or a strategy's."""
    own = (day_peaks.c.account == account) & (day_peaks.c.strategy == (strategy or ""))
    asked = sa.select(day_peaks.c.best).where(own, day_peaks.c.day == now.astimezone(IST).date())
    return connection.execute(asked).scalar_one_or_none()


def keep_best_of_day(
    connection: sa.Connection, account: str, now: datetime, best: Decimal, strategy: str | None = None
) -> None:
    row = {"account": account, "strategy": strategy or "", "day": now.astimezone(IST).date(), "best": best}
    upsert(connection, day_peaks, [row])
