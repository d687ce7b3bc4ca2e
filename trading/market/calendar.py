"""When a segment of the market trades, day by day, in IST.

Three layers, the later over the earlier: the weekdays without the holidays of NSE (`holidays`, XNSE), the dated file
`data/sessions.yaml`, and `market.exceptions` of the settings.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Protocol

from durable_orders.trading.config.sessions import MarketException, MarketSegment, Sessions, Window, WindowKind
from durable_orders.trading.config.settings import Calendar, Market
from durable_orders.trading.ist import IST
from durable_orders.trading.market.session_data import OrdinaryDay, close_of, data_of, distance, open_of

__all__ = ["ALWAYS_OPEN", "IST", "Session", "SessionCalendar", "SessionSource", "segment_calendar"]

SATURDAY = 5
DAY = timedelta(days=1)
DAYS_KEPT = 4096
"""Days kept in memory by each calendar."""


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day of a segment. The moment of opening belongs to it, the moment of closing does not."""

    date: date
    opens: datetime
    """The beginning of continuous trading."""
    closes: datetime
    """The end of trading, that of the closing auction where there is one. What comes after it, at the closing price,
    does not count."""
    windows: tuple[Window, ...] = ()
    """When orders are taken; without any, all day."""
    mis_cutoff: datetime | None = None
    """From then on the broker takes no MIS order; `None` where it always does."""
    amo_until: datetime | None = None
    """Until then after-market orders for it are taken."""
    amo_from: datetime | None = None
    """From then on those for the next one are."""
    known: bool = True
    """Whether it is known that this day trades, and when. Where not, the hours are only presumed."""
    source: str = ""

    @property
    def lacks_hours(self) -> bool:
        """Whether it is known that this day trades, and not when."""
        return not self.known and not self.windows

    @property
    def in_settings(self) -> str:
        """What to write into the settings so that this day is known."""
        if self.lacks_hours:
            return f'market.exceptions: [{{date: {self.date}, windows: [{{opens: "HH:MM", closes: "HH:MM"}}]}}]'
        of_holidays = "market.exceptions: [{date: YYYY-MM-DD, closed: true}]"
        return f"market.known_until: {self.date.year}-12-31, and {of_holidays} for each holiday until then"

    @property
    def over_at(self) -> datetime:
        """The end of all trading of that day, that at the closing price included."""
        ends = [datetime.combine(self.date, window.closes, IST) for window in self.windows]
        return max([self.closes, *ends])

    def contains(self, moment: datetime) -> bool:
        return self.opens <= moment < self.closes

    @property
    def auction_ahead_at(self) -> datetime | None:
        """When continuous trading ends before a closing auction, and the exchange cancels what may not rest in it
        (`rules.ends_before_auction`). `None` without one."""
        before = None
        for window in self.windows:
            if window.kind is WindowKind.CLOSING_AUCTION:
                return None if before is None else datetime.combine(self.date, before.closes, IST)
            before = window
        return None

    def is_before_auction(self, moment: datetime) -> bool:
        """Whether that moment is between the end of continuous trading and the closing auction: nobody but the exchange
        can cancel then."""
        end = self.auction_ahead_at
        return end is not None and end <= moment < self.closes and self.window_at(moment) is None

    def window_at(self, moment: datetime) -> Window | None:
        """The window that takes orders at that moment."""
        local = moment.astimezone(IST)
        if local.date() != self.date:
            return None
        return next((each for each in self.windows if each.opens <= local.time() < each.closes), None)

    def is_regular(self, moment: datetime) -> bool:
        """Whether an order of that moment is one of this session, and none of after the market: from the first window
        to the close, and while trades at the closing price are made."""
        if not self.windows:
            return self.contains(moment)
        first = datetime.combine(self.date, self.windows[0].opens, IST)
        return first <= moment < self.closes or self.window_at(moment) is not None

    def deadline(self, moment: datetime) -> datetime | None:
        """Until when an order of that moment may be sent; `None` where that is over."""
        if moment < self.closes:
            return self.closes
        window = self.window_at(moment)
        is_after = window is not None and window.kind is WindowKind.POST_CLOSE
        return datetime.combine(self.date, window.closes, IST) if is_after and window is not None else None


class SessionSource(Protocol):
    """Says which hours a symbol keeps."""

    def of(self, symbol: str) -> "SessionCalendar": ...

    def ends(self, day: date) -> Collection[datetime]:
        """When sessions of that day end, or their continuous trading does before a closing auction."""


@dataclass(frozen=True, slots=True)
class SessionCalendar:
    """The sessions of one segment, at most one a day. Every moment that it is asked about is an aware time."""

    session_on: Callable[[date], Session | None]
    """The session of that day; `None` for a day without one."""

    def of(self, symbol: str) -> "SessionCalendar":
        """Itself: the same hours for every symbol."""
        return self

    def ends(self, day: date) -> Collection[datetime]:
        session = self.session_on(day)
        return () if session is None else tuple(filter(None, (session.auction_ahead_at, session.closes)))

    def session_at_or_after(self, moment: datetime) -> Session:
        """The session that is open at `moment`, or the next one."""
        day = moment.astimezone(IST).date()
        today = self.session_on(day)
        return today if today is not None and moment < today.closes else self.next_session(day)

    def is_open(self, moment: datetime) -> bool:
        return self.session_at_or_after(moment).contains(moment)

    def is_regular(self, moment: datetime) -> bool:
        """Whether an order of that moment is one of a session, and none of after the market."""
        today = self.session_on(moment.astimezone(IST).date())
        return today is not None and today.is_regular(moment)

    def takes_amo(self, moment: datetime) -> bool:
        """Whether after-market orders are taken: not in a session, nor between its end and the evening."""
        today = self.session_on(moment.astimezone(IST).date())
        if today is None or today.amo_from is None or today.amo_until is None:
            return today is None
        return moment < today.amo_until or moment >= today.amo_from

    def deadline(self, moment: datetime) -> datetime:
        """Until when an order of that moment may be sent: the end of the session it is for."""
        today = self.session_on(moment.astimezone(IST).date())
        ends = today.deadline(moment) if today is not None else None
        return ends or self.session_at_or_after(moment).closes

    def next_session(self, day: date) -> Session:
        """The first session after that date."""
        found = None
        while found is None:
            day += DAY
            found = self.session_on(day)
        return found

    def sessions(self, first: date, days: int) -> Iterator[Session]:
        """Those of so many days from the first on."""
        for number in range(days):
            session = self.session_on(first + number * DAY)
            if session is not None:
                yield session

    def unknown_after(self, day: date) -> Session | None:
        """The first day after that date of which it is not known whether it trades, or when, if it comes within two
        years."""
        for _ in range(731):
            day += DAY
            session = self.session_on(day)
            if session is not None and not session.known:
                return session
        return None


def _always_open(day: date) -> Session:
    opens = datetime.combine(day, time(0), IST)
    return Session(day, opens, opens + DAY, source="market.calendar: always_open")


ALWAYS_OPEN = SessionCalendar(lru_cache(DAYS_KEPT)(_always_open))


@lru_cache(maxsize=256)
def _segment_calendar(
    segment: MarketSegment, sessions: Sessions, exceptions: tuple[MarketException, ...], known_until: date | None
) -> SessionCalendar:
    own = {each.date: each for each in exceptions if segment in each.segments}
    days = _Days(segment, sessions, own, known_until)
    return SessionCalendar(lru_cache(DAYS_KEPT)(days.session_on))


def segment_calendar(segment: MarketSegment, market: Market | None = None) -> SessionCalendar:
    """The calendar of a segment by these settings."""
    chosen = market or Market()
    if chosen.calendar is Calendar.ALWAYS_OPEN:
        return ALWAYS_OPEN
    return _segment_calendar(segment, chosen.sessions, chosen.exceptions, chosen.known_until)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one day of a segment is made of."""

    windows: tuple[Window, ...]
    source: str
    known: bool = True


class _Days:
    """The days of one segment."""

    def __init__(
        self,
        segment: MarketSegment,
        sessions: Sessions,
        own: Mapping[date, MarketException],
        known_until: date | None,
    ) -> None:
        self._data = data_of(segment)
        self._known_until = known_until
        self._changed = sessions.of(segment)
        self._own = own

    def session_on(self, day: date) -> Session | None:
        ordinary = self._data.ordinary_on(day)
        plan = self._exception(day, ordinary) or self._listed(day, ordinary)
        if plan is None:
            return None
        if not plan.windows:
            return None if plan.known else _whole_day(day, plan.source)
        return self._session(day, plan, ordinary)

    def _exception(self, day: date, ordinary: OrdinaryDay) -> _Plan | None:
        """By `market.exceptions`."""
        given = self._own.get(day)
        if given is None:
            return None
        source = f"market.exceptions{': ' if given.reason else ''}{given.reason}"
        windows = () if given.closed else given.windows or self._usual(day, ordinary)
        return _Plan(windows, source)

    def _listed(self, day: date, ordinary: OrdinaryDay) -> _Plan | None:
        """By the file and, under it, the library."""
        special = self._data.special.get(day)
        usual = self._usual(day, ordinary)
        if special is not None:
            return _Plan(special.windows_from(usual), special.source, known=not special.hours_not_known)
        if day.weekday() >= SATURDAY or day in _nse_holidays(day.year):
            return None
        known = self._data.known
        if known.covers(day):
            return _Plan(usual, f"{_library()}; {ordinary.source}")
        if self._known_until is not None and known.until < day <= self._known_until:
            return _Plan(usual, f"market.known_until: {self._known_until}; {ordinary.source}")
        return _Plan(usual, f"the exchanges' lists are here for {known.since} to {known.until}", known=False)

    def _usual(self, day: date, ordinary: OrdinaryDay) -> tuple[Window, ...]:
        return self._changed.windows or ordinary.windows_on(day)

    def _session(self, day: date, plan: _Plan, ordinary: OrdinaryDay) -> Session:
        """A day with other hours keeps the distances of an ordinary one: from the MIS cut-off to the close, and from
        after-market orders to the opening and the close."""
        opens, closes = (datetime.combine(day, at, IST) for at in (open_of(plan.windows), close_of(plan.windows)))
        is_usual = plan.windows == self._usual(day, ordinary)
        cutoff = closes - ordinary.cutoff_distance()
        if self._changed.mis_cutoff is not None and is_usual:
            cutoff = datetime.combine(day, self._changed.mis_cutoff, IST)
        last = datetime.combine(day, plan.windows[-1].closes, IST)
        usual = ordinary.windows
        return Session(
            day,
            opens,
            closes,
            plan.windows,
            mis_cutoff=cutoff,
            amo_until=opens - distance(ordinary.amo.closes, open_of(usual)),
            amo_from=last + distance(usual[-1].closes, ordinary.amo.opens),
            known=plan.known,
            source=plan.source,
        )


def _whole_day(day: date, source: str) -> Session:
    return replace(_always_open(day), known=False, source=source)


@cache
def _library() -> str:
    from importlib.metadata import version

    return f"holidays {version('holidays')}, XNSE"


@cache
def _nse_holidays(year: int) -> frozenset[date]:
    """A year at a time and finished before it is used: the library's own growing set is not safe among threads."""
    from holidays import financial_holidays  # a tenth of a second, and most commands ask for no session

    return frozenset(financial_holidays("XNSE", years=year))
