"""What may be sold for delivery: the broker's holdings of today, and what was traded since the morning.

What was carried into the day does not change with the day's sales, so it is taken as it was last read, and the day's
own trades are counted by the ledger, which has them before the broker's positions do.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.broker_positions import BrokerReading, last_reading, same_share
from durable_orders.trading.ledger.delivery import moved_today
from durable_orders.trading.ledger.exposure import Held

HOLDINGS_EVERY = timedelta(seconds=60)
"""So often they are read: what was carried into a day changes with it, and else only by what is pledged or
authorised."""


def with_deliverable(connection: sa.Connection, account: str, held: Iterable[Held], now: datetime) -> list[Held]:
    """The same, each of a delivery product with what may be sold of it. As it was without a reading of today: what the
    holdings were on another day says nothing. For brokers whose positions are of one day."""
    found = list(held)
    if not any(each.product.is_delivery for each in found):
        return found
    reading = last_reading(connection, account)
    if reading is None or reading.at < start_of_day(now):
        return found
    moved = moved_today(connection, account, now)
    return [
        replace(each, deliverable=_deliverable(each, reading, moved)) if each.product.is_delivery else each
        for each in found
    ]


def _deliverable(held: Held, reading: BrokerReading, moved: dict[tuple[str, str], int]) -> int:
    """A share is one wherever it was bought."""
    today = sum(moved.get((symbol, held.product.value), 0) for symbol in same_share(held.symbol))
    return reading.at_broker(held.symbol, held.product.value).sellable + today
