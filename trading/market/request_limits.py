"""Kite's limits on the requests of one account, counted: so many a minute, so many orders a day (`data/rules.yaml`)."""

from datetime import date, datetime
from typing import NamedTuple

from durable_orders.trading.market.rules import Broken, Rule, rules


class Sent(NamedTuple):
    """What the broker was sent of late: its count of a calendar minute and of a day, by the market's clock."""

    minute: datetime | None = None
    """The beginning of the minute that is counted."""
    requests: int = 0
    """Orders placed, changed and cancelled in that minute."""
    day: date | None = None
    orders: int = 0
    """Placed on that day, whatever became of them."""

    def and_one(self, day: date, at: datetime | None, *, is_order: bool) -> "Sent":
        """With one more request on that day. Without a market time, which stands while the market is closed, no minute
        counts it."""
        minute, requests = (self.minute, self.requests) if at is None else (_minute(at), self.in_minute(at) + 1)
        return Sent(minute, requests, day, self.on(day) + is_order)

    def over_minute(self, at: datetime | None) -> Broken | None:
        """What stands against one more request at that moment."""
        return None if at is None else over_minute(self.in_minute(at))

    def over_day(self, day: date) -> Broken | None:
        """What stands against one more order on that day."""
        return over_day(self.on(day))

    def in_minute(self, at: datetime) -> int:
        """Requests in the minute of that moment."""
        return self.requests if self.minute == _minute(at) else 0

    def on(self, day: date) -> int:
        """Orders on that day."""
        return self.orders if self.day == day else 0


NOTHING_SENT = Sent()


def is_limited(day: date) -> bool:
    """Whether the limits hold on that day."""
    return rules().limits.since <= day


def over_minute(requests: int) -> Broken | None:
    """What stands against one more request, after so many in the minute."""
    limits = rules().limits
    if requests < limits.orders_per_minute:
        return None
    words = f"Kite takes at most {limits.orders_per_minute} order requests a minute, and {requests} were made"
    return Broken(Rule.MINUTE, words, limits.source, limits.orders_per_minute, requests)


def over_day(orders: int) -> Broken | None:
    """What stands against one more order, after so many on the day."""
    limits = rules().limits
    if orders < limits.orders_per_day:
        return None
    words = f"Kite takes at most {limits.orders_per_day} orders a day, and {orders} were placed"
    return Broken(Rule.DAY, words, limits.source, limits.orders_per_day, orders)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
