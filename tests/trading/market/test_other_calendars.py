"""The days of shares against other calendars: each difference is known, and so is who is right."""

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest
from holidays import financial_holidays

from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.market.calendar import segment_calendar

TABLE = Path(__file__).with_name("other_calendars.csv")
"""Made by `make_other_calendars.py`."""
EXCHANGE, PANDAS = "exchange-calendars XBOM 4.13.2", "pandas-market-calendars NSE 5.5.0"
FIRST, LAST = date(2024, 1, 1), date(2026, 12, 31)
WEEKENDS = {"2024-01-20", "2024-03-02", "2024-05-18", "2025-02-01", "2026-02-01", "2026-11-08"}
"""Saturdays and Sundays with a session by circular: disaster recovery, Budget, Muhurat."""
MUHURAT = {"2024-11-01", "2025-10-21"}
"""Holidays with a session of an hour."""
BY_NOTICE = {"2024-01-22", "2024-05-20", "2024-11-20", "2026-01-15"}
"""Closed after the year's list was out."""


def days() -> list[date]:
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def other(library: str) -> set[date]:
    """The days on which it has the market open."""
    with TABLE.open(newline="") as file:
        unusual = {date.fromisoformat(row["day"]) for row in csv.DictReader(file) if row["library"] == library}
    assert unusual, "the table has it under another version"
    return {day for day in days() if (day.weekday() < 5) != (day in unusual)}


def ours() -> set[date]:
    calendar = segment_calendar(MarketSegment.EQUITY)
    return {session.date for session in calendar.sessions(FIRST, len(days()))}


def told(found: set[date]) -> set[str]:
    return {day.isoformat() for day in found}


@pytest.mark.parametrize(
    ("library", "only_here", "only_there"),
    [
        (EXCHANGE, WEEKENDS | MUHURAT, set()),
        (PANDAS, WEEKENDS, set()),
    ],
)
def test_every_difference_to_another_calendar_is_a_session_by_circular(
    library: str, only_here: set[str], only_there: set[str]
) -> None:
    theirs = other(library)

    assert told(ours() - theirs) == only_here
    assert told(theirs - ours()) == only_there


def test_our_file_changes_just_these_days_of_the_library_under_it() -> None:
    base = {day for day in days() if day.weekday() < 5 and day not in financial_holidays("XNSE", years=day.year)}

    assert told(ours() - base) == WEEKENDS | MUHURAT
    assert told(base - ours()) == BY_NOTICE
