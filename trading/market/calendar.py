"""When the market is open, in IST."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

from holidays import financial_holidays

from trading.ist import IST
from trading.settings import Calendar

__all__ = ["CALENDARS", "IST", "Session", "SessionCalendar", "calendar_of"]

SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day. The moment of opening belongs to it, the moment of closing does not."""

    date: date
    opens: datetime
    closes: datetime

    def contains(self, moment: datetime) -> bool:
        return self.opens <= moment < self.closes


@dataclass(frozen=True)
class SessionCalendar:
    """The sessions of a market, at most one a day. Every moment that it is asked about is an aware time."""

    trades_on: Callable[[date], bool]
    opens: time
    """IST."""
    lasts: timedelta

    def session_at_or_after(self, moment: datetime) -> Session:
        """The session that is open at `moment`, or the next one."""
        day = moment.astimezone(IST).date()
        if self.trades_on(day) and moment < (today := self._session(day)).closes:
            return today
        return self.next_session(day)

    def is_open(self, moment: datetime) -> bool:
        return self.session_at_or_after(moment).contains(moment)

    def covers(self, at: time) -> bool:
        """Whether that time of day, IST, is after a session's opening and before its close."""
        opens = datetime.combine(date.min, self.opens)
        return opens < datetime.combine(date.min, at) < opens + self.lasts

    def next_session(self, day: date) -> Session:
        """The first session after that date."""
        day += timedelta(days=1)
        while not self.trades_on(day):
            day += timedelta(days=1)
        return self._session(day)

    def _session(self, day: date) -> Session:
        opens = datetime.combine(day, self.opens, IST)
        return Session(day, opens, opens + self.lasts)


@cache
def _nse_holidays(year: int) -> frozenset[date]:
    """A year at a time and finished before it is used: the library's own growing set is not safe among threads."""
    return frozenset(financial_holidays("XNSE", years=year))


def _nse_trades_on(day: date) -> bool:
    return day.weekday() < SATURDAY and day not in _nse_holidays(day.year)


def _always(_day: date) -> bool:
    return True


CALENDARS = {
    Calendar.XNSE: SessionCalendar(_nse_trades_on, time(9, 15), timedelta(hours=6, minutes=15)),
    Calendar.ALWAYS_OPEN: SessionCalendar(_always, time(0), timedelta(days=1)),
}


def calendar_of(kind: Calendar) -> SessionCalendar:
    """The calendar of a setting.

    `XNSE` is NSE's normal market, 09:15 to 15:30 on weekdays without a holiday (`holidays`, XNSE). The special
    sessions that NSE announces, such as Muhurat trading or a Saturday, are not in it. `always_open` has a session
    from each midnight to the next.
    """
    return CALENDARS[kind]
