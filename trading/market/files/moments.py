"""Times and dates as sources write them. An order of day and month, or a zone, is read where it is said, and told where
it is taken; it is never guessed from what looks likely."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

from durable_orders.trading.ist import IST

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMED = re.compile(r"(\d{1,2})[-/ ]([A-Za-z]{3,9})[-/ ,]+(\d{4}|\d{2})")
"""`29-Apr-2025`, `04-Jan-10`."""
NUMBERED = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})")
"""`29/04/2025`, or `04/29/2025`."""
JAVASCRIPT = re.compile(
    r"[A-Za-z]{3} ([A-Za-z]{3}) (\d{1,2}) (\d{4}) (\d{2}:\d{2}:\d{2}) (?:GMT|UTC)([+-]\d{2}):?(\d{2}).*"
)
"""`Tue Apr 29 2025 09:15:00 GMT+0530 (India Standard Time)`, as the chart of Kite writes it."""
CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?(?: ?([AaPp])[Mm])?")
EPOCH = re.compile(r"\d{9,19}(?:\.\d+)?")
CENTURY = 69
"""Two digits from here on are of the century before, as C has it."""
SIZES = ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3), (0, 1))
"""From which number on an epoch is in so many parts of a second."""
BEGAN = datetime(1970, 1, 1, tzinfo=UTC)

ZONE_TOLD = "times without a zone were taken as IST (--zone says otherwise)"


@dataclass(slots=True)
class Moments:
    """How the times of one file are read."""

    zone: tzinfo | None = None
    """Of times that have none; `None` is IST, and told."""
    day_first: bool | None = None
    """Of `04/05/2025`; `None` where nothing says so, and it is an error."""
    told_zone: bool = False
    """Whether a time without a zone was met, and none was given."""

    def learn(self, cells: Iterable[Any]) -> None:
        """The order of day and month, from dates that can only be of one."""
        if self.day_first is not None:
            return
        found = [match for cell in cells if isinstance(cell, str) and (match := NUMBERED.match(cell.strip()))]
        if any(int(each[1]) > len(MONTHS) for each in found):
            self.day_first = True
        elif any(int(each[2]) > len(MONTHS) for each in found):
            self.day_first = False

    def read(self, cell: Any, clock: Any = None) -> datetime:
        """In IST. `clock` is the time of the day where that stands apart. Raises `ValueError`."""
        at = self._at(cell)
        if clock is not None and at.time() == time(0):
            of_day = _clock(str(clock).strip())
            at = datetime.combine(at.date(), of_day, of_day.tzinfo or (None if is_date(cell) else at.tzinfo))
        if at.tzinfo is None:
            self.told_zone = self.told_zone or self.zone is None
            at = at.replace(tzinfo=self.zone or IST)
        return at.astimezone(IST)

    def _at(self, cell: Any) -> datetime:
        if isinstance(cell, datetime):
            return cell
        if isinstance(cell, date):
            return datetime.combine(cell, time(0), IST)
        text = str(cell).strip()
        try:
            if EPOCH.fullmatch(text):
                return _epoch(text)
            at = datetime.fromisoformat(text)
        except ValueError:
            return _written(text, self.day_first)
        # a date has no hour that could be of another zone
        return at.replace(tzinfo=IST) if len(text) <= len("2025-04-29") else at

    def day(self, cell: Any) -> date:
        """A date, as of an expiry. Raises `ValueError`."""
        at = self._at(cell)
        if at.time() != time(0):
            raise ValueError(cell)
        return at.date()


def is_date(cell: Any) -> bool:
    """Whether it says a day and no time of it."""
    if isinstance(cell, datetime):
        return False
    if isinstance(cell, date):
        return True
    text = str(cell).strip()
    return ":" not in text and EPOCH.fullmatch(text) is None


def _epoch(text: str) -> datetime:
    """Seconds, or thousandths, millionths or billionths, since 1970 in UTC."""
    whole, _, part = text.partition(".")
    number = int(whole)
    size = next(size for least, size in SIZES if number >= least)
    micro = number * 1_000_000 // size + (int((part + "000000")[:6]) if size == 1 else 0)
    return BEGAN + timedelta(microseconds=micro)


@lru_cache(maxsize=4096)
def _written(text: str, day_first: bool | None) -> datetime:
    """What `datetime.fromisoformat` does not know."""
    script = JAVASCRIPT.fullmatch(text)
    if script is not None:
        month, day, year, clock, hours, minutes = script.groups()
        sign = -1 if hours.startswith("-") else 1
        zone = timezone(timedelta(hours=int(hours), minutes=sign * int(minutes)))
        return datetime.combine(date(int(year), _month(month), int(day)), time.fromisoformat(clock), zone)
    for pattern in (NAMED, NUMBERED):
        match = pattern.match(text)
        if match is not None:
            rest = text[match.end() :].strip(" ,T")
            day = _named(match) if pattern is NAMED else _numbered(match, day_first)
            return datetime.combine(day, _clock(rest)) if rest else datetime.combine(day, time(0), IST)
    raise ValueError(text)


def _named(match: re.Match[str]) -> date:
    return date(_year(match[3]), _month(match[2]), int(match[1]))


def _numbered(match: re.Match[str], day_first: bool | None) -> date:
    if day_first is None:
        raise AmbiguousDate(match[0])
    day, month = (int(match[1]), int(match[2])) if day_first else (int(match[2]), int(match[1]))
    return date(_year(match[3]), month, day)


class AmbiguousDate(ValueError):
    """A date whose day and month nobody can tell apart."""


def _month(name: str) -> int:
    return MONTHS.index(name[:3].lower()) + 1


def _year(text: str) -> int:
    number = int(text)
    return number if len(text) > 2 else number + (1900 if number >= CENTURY else 2000)


@lru_cache(maxsize=4096)
def _clock(text: str) -> time:
    match = CLOCK.fullmatch(text)
    if match is None:
        return time.fromisoformat(text)
    hour, minute, second, part, half = match.groups()
    hours = int(hour) if half is None else int(hour) % 12 + (12 if half in "pP" else 0)
    return time(hours, int(minute), int(second or 0), round(float(part or 0) * 1e6))
