"""`data/sessions.yaml`: the hours of each segment since when, and the days that are otherwise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from durable_orders.trading.config.sections import ClockTime
from durable_orders.trading.config.sessions import MarketSegment, Window, WindowKind, in_order
from durable_orders.trading.data_files import read_data

FILE = "sessions.yaml"
NEW_YORK = ZoneInfo("America/New_York")
US_WINTER = timedelta(hours=-5)
Source = Annotated[str, Field(min_length=15)]
"""Circular or page, by number and date."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Overnight(_Part):
    """When after-market orders (AMO) are taken: from one evening to the next morning."""

    opens: ClockTime
    closes: ClockTime


class KnownDays(_Part):
    """For which days everything is known of some segments."""

    segments: tuple[MarketSegment, ...]
    since: date = Field(alias="from")
    until: date
    source: Source

    def covers(self, day: date) -> bool:
        return self.since <= day <= self.until


class OrdinaryDay(_Part):
    """A segment's hours from a date on."""

    segments: tuple[MarketSegment, ...]
    since: date = Field(alias="from")
    windows: tuple[Window, ...]
    us_winter_close: ClockTime | None = None
    """The end of the last window while America keeps winter time."""
    amo: Overnight
    mis_cutoff: ClockTime | None = None
    mis_minutes_before_close: int | None = None
    source: Source

    _windows_in_order = field_validator("windows")(in_order)

    @model_validator(mode="after")
    def _has_one_cutoff(self) -> Self:
        if (self.mis_cutoff is None) == (self.mis_minutes_before_close is None):
            raise ValueError("mis_cutoff, mis_minutes_before_close: one of them must be given")
        return self

    def windows_on(self, day: date) -> tuple[Window, ...]:
        if self.us_winter_close is None or not is_us_winter(day):
            return self.windows
        return (*self.windows[:-1], self.windows[-1].model_copy(update={"closes": self.us_winter_close}))

    def cutoff_distance(self) -> timedelta:
        """How long before the close the broker takes no MIS order any more."""
        if self.mis_cutoff is None:
            return timedelta(minutes=self.mis_minutes_before_close or 0)
        return distance(self.mis_cutoff, close_of(self.windows))


class SpecialDay(_Part):
    """Days that are otherwise. With neither of the choices they have ordinary hours."""

    days: tuple[date, ...]
    segments: tuple[MarketSegment, ...]
    closed: bool = False
    hours_not_known: bool = False
    """It trades, and when is for a circular to say."""
    opens: ClockTime | None = None
    """Ordinary hours, of which what is before that time is left out."""
    closes: ClockTime | None = None
    """Ordinary hours, of which what is after that time is left out."""
    windows: tuple[Window, ...] = ()
    source: Source

    _windows_in_order = field_validator("windows")(in_order)

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        clipped = self.opens is not None or self.closes is not None
        if sum((self.closed, self.hours_not_known, clipped, bool(self.windows))) > 1:
            raise ValueError("closed, hours_not_known, windows and opens or closes: one of them at most")
        return self

    def windows_from(self, ordinary: tuple[Window, ...]) -> tuple[Window, ...]:
        if self.closed or self.hours_not_known:
            return ()
        if self.windows:
            return self.windows
        return tuple(clipped for window in ordinary if (clipped := self._clipped(window)) is not None)

    def _clipped(self, window: Window) -> Window | None:
        opens = max(window.opens, self.opens or window.opens)
        closes = min(window.closes, self.closes or window.closes)
        return window.model_copy(update={"opens": opens, "closes": closes}) if opens < closes else None


class Names(_Part):
    """Underlyings that keep the hours of a segment of their own."""

    names: frozenset[str]
    source: Source


class SessionFile(_Part):
    """The whole file."""

    lists: tuple[KnownDays, ...]
    hours: tuple[OrdinaryDay, ...]
    agri: Names
    agri_international: Names
    days: tuple[SpecialDay, ...]


@dataclass(frozen=True, slots=True)
class SegmentData:
    """What the file says of one segment."""

    known: KnownDays
    hours: tuple[OrdinaryDay, ...]
    """From the latest to the earliest."""
    special: Mapping[date, SpecialDay]

    def ordinary_on(self, day: date) -> OrdinaryDay:
        return next((each for each in self.hours if each.since <= day), self.hours[-1])


@cache
def session_file() -> SessionFile:
    return SessionFile.model_validate(read_data("durable_orders.trading.market", FILE))


@cache
def data_of(segment: MarketSegment) -> SegmentData:
    """Raises `ValueError` for a file that says two things of one segment and day."""
    file = session_file()
    (known,) = (each for each in file.lists if segment in each.segments)
    hours = sorted((each for each in file.hours if segment in each.segments), key=lambda each: each.since, reverse=True)
    if len({each.since for each in hours}) < len(hours):
        raise ValueError(f"{FILE}: the hours of {segment} begin twice on one day")
    special: dict[date, SpecialDay] = {}
    for day, entry in _days_of(file, segment):
        if special.setdefault(day, entry) is not entry:
            raise ValueError(f"{FILE}: {day} is there twice for {segment}")
    return SegmentData(known, tuple(hours), special)


def _days_of(file: SessionFile, segment: MarketSegment) -> Iterator[tuple[date, SpecialDay]]:
    for entry in file.days:
        if segment in entry.segments:
            yield from ((day, entry) for day in entry.days)


def is_us_winter(day: date) -> bool:
    return datetime.combine(day, time(12), NEW_YORK).utcoffset() == US_WINTER


def distance(earlier: time, later: time) -> timedelta:
    return datetime.combine(date.min, later) - datetime.combine(date.min, earlier)


def open_of(windows: tuple[Window, ...]) -> time:
    """The opening of continuous trading."""
    return next((each.opens for each in windows if each.kind is WindowKind.CONTINUOUS), windows[0].opens)


def close_of(windows: tuple[Window, ...]) -> time:
    """The end of trading, without what follows at the closing price."""
    ends = [each.closes for each in windows if each.kind is not WindowKind.POST_CLOSE]
    return ends[-1] if ends else windows[-1].closes
