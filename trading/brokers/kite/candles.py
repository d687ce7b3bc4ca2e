"""Kite's historical candles (Kite documentation, historical candle data)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from durable_orders.trading.brokers.kite.rows import moment
from durable_orders.trading.market.bars import DAY, KITE_INTERVALS, Bar, name_of
from durable_orders.trading.market.calendar import SessionCalendar
from durable_orders.trading.orders.order import PRICE_PLACES

NAMES = {each: name_of(each) for each in KITE_INTERVALS}
MOST_DAYS = {
    "minute": 60,
    "3minute": 100,
    "5minute": 100,
    "10minute": 100,
    "15minute": 200,
    "30minute": 200,
    "60minute": 400,
    "day": 2000,
}
"""Calendar days in one reading (Kite's forum, historical API limits)."""


def bars_from(
    rows: Sequence[Mapping[str, Any]], symbol: str, interval: timedelta, calendar: SessionCalendar
) -> Iterator[Bar]:
    """A day's candle goes from opening to close; the last one of a session ends with that. Raises one of
    `rows.UNREADABLE` for what is no candle."""
    for row in rows:
        at = moment(row["date"])
        if at is None:
            raise ValueError("a candle without its time")
        session = calendar.session_on(at.date())
        begins = session.opens if session is not None and interval == DAY else at
        ends = begins + interval
        if session is not None and begins < session.closes:
            ends = session.closes if interval == DAY else min(ends, session.closes)
        opened, high, low, close = (_rupees(row[name]) for name in ("open", "high", "low", "close"))
        oi = row.get("oi")
        yield Bar(symbol, begins, ends, opened, high, low, close, int(row["volume"]), None if oi is None else int(oi))


def spans(first: date, last: date, interval: timedelta) -> Iterator[tuple[date, date]]:
    """The days from `first` to `last`, in as many readings as they take."""
    most = timedelta(days=MOST_DAYS[NAMES[interval]] - 1)
    while first <= last:
        ends = min(first + most, last)
        yield first, ends
        first = ends + timedelta(days=1)


def _rupees(value: Any) -> Decimal:
    rupees = Decimal(str(value))
    if not rupees.is_finite():
        raise ValueError("a price that is no number")
    return rupees.quantize(PRICE_PLACES)
