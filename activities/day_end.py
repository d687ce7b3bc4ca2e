"""When a day is over: what is compared before is compared again."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from durable_orders.trading.errors import DayNotOver
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionSource

SHARE = "NSE:INFY"
"""Any: all shares have their sessions on the same days."""


class DayEnd(NamedTuple):
    at: datetime
    what: str
    """The symbol that trades until then."""


def day_end(sessions: SessionSource | None, day: date, symbols: Iterable[str]) -> DayEnd | None:
    """The end of the last session of these symbols and of shares; where none of them has one, of all segments.

    `None` where nothing trades on that day, and where the market never closes (no `sessions`).
    """
    if sessions is None:
        return None
    own = ((symbol, sessions.of(symbol).session_on(day)) for symbol in {SHARE, *symbols})
    ends = [DayEnd(session.over_at, symbol) for symbol, session in own if session is not None]
    return max(ends or [DayEnd(at, "another segment") for at in sessions.ends(day)], default=None)


def must_be_over(end: DayEnd | None, day: date, now: datetime) -> None:
    """Raises `DayNotOver`."""
    if end is not None and now < end.at:
        words = f"date: {end.what} trades until {end.at.astimezone(IST):%H:%M} IST on {day}"
        raise DayNotOver(f"{words}; close the day after that", left=end.at - now)
