"""Circuit breakers that tripped: each once, and each told to the account's watch at least once."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from pydantic import AwareDatetime

from durable_orders.trading.config.settings import OnTrip
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.tables import breaker_trips
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Frozen


class Trip(Frozen):
    """One breaker that tripped."""

    account: str
    key: str
    """Comes once: the cause with its day, or with its moment."""
    cause: str
    """A stable code, such as `MAX_DAILY_LOSS`."""
    message: str
    """One sentence with the limit and the value."""
    response: OnTrip
    """What the settings said about open orders and positions then."""
    at: AwareDatetime
    strategy: str | None = None
    """Whose day it has ended; `None` where it is the account's."""


_UNTOLD = (
    sa.select(*(breaker_trips.c[name] for name in Trip.model_fields))
    .where(breaker_trips.c.account == sa.bindparam("account"), breaker_trips.c.told_at.is_(None))
    .order_by(breaker_trips.c.at)
)


def has_tripped(connection: sa.Connection, account: str, key: str) -> bool:
    own = (breaker_trips.c.account == account) & (breaker_trips.c.key == key)
    return connection.execute(sa.select(sa.literal(1)).where(own)).one_or_none() is not None


def day_lock_key(now: datetime, strategy: str | None) -> str:
    """Of the trip that ends a day: it comes once."""
    return f"{start_of_day(now):%Y-%m-%d} DAY_LOCK{f' {strategy}' if strategy is not None else ''}"


def strategy_day_over(connection: sa.Connection, account: str, strategy: str, now: datetime) -> str:
    """Why the strategy's day is over; empty while it is not."""
    own = (breaker_trips.c.account == account) & (breaker_trips.c.key == day_lock_key(now, strategy))
    return connection.execute(sa.select(breaker_trips.c.message).where(own)).scalar_one_or_none() or ""


def enter(connection: sa.Connection, trip: Trip) -> bool:
    """Enter the trip, with its event in the feed. Whether it was new: the second time changes nothing."""
    if has_tripped(connection, trip.account, trip.key):
        return False
    connection.execute(sa.insert(breaker_trips).values(trip.model_dump(mode="python") | {"told_at": None}))
    words = f"{trip.cause}: {trip.message} (open orders: {trip.response})"
    add_event(connection, trip.account, EventType.BREAKER_TRIPPED, words, trip.at)
    return True


def untold(connection: sa.Connection, account: str) -> list[Trip]:
    """Those that the account's watch was not told of, oldest first."""
    return [Trip(**row) for row in connection.execute(_UNTOLD, {"account": account}).mappings()]


def told(database: Database, account: str, trips: Iterable[Trip], at: datetime) -> None:
    """The account's watch has been told of these."""
    with database.write(account) as connection:
        for trip in trips:
            own = (breaker_trips.c.account == trip.account) & (breaker_trips.c.key == trip.key)
            connection.execute(sa.update(breaker_trips).where(own).values(told_at=at))
