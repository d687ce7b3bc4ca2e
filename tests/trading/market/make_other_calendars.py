"""Writes `other_calendars.csv`: on which weekdays two other libraries have NSE or BSE shut, and on which weekends open.

They bring pandas along, so that their answers are kept here. Run it where they are installed:
`pip install exchange-calendars==4.13.2 pandas-market-calendars==5.5.0 && python make_other_calendars.py`.
"""

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path

TARGET = Path(__file__).with_name("other_calendars.csv")
FIRST, LAST = date(2024, 1, 1), date(2026, 12, 31)
SATURDAY = 5


def rows() -> Iterator[tuple[str, str, str]]:
    """Library and calendar, day, and what is unusual about it."""
    import exchange_calendars
    import pandas_market_calendars

    bombay = exchange_calendars.get_calendar("XBOM", start=FIRST.isoformat(), end=LAST.isoformat())
    nse = pandas_market_calendars.get_calendar("NSE").valid_days(FIRST.isoformat(), LAST.isoformat())
    for name, days in (("exchange-calendars XBOM", bombay.sessions), ("pandas-market-calendars NSE", nse)):
        trades = {moment.date() for moment in days}
        label = f"{name} {version(name.split()[0])}"
        for number in range((LAST - FIRST).days + 1):
            day = FIRST + timedelta(days=number)
            is_weekday = day.weekday() < SATURDAY
            if (day in trades) != is_weekday:
                yield label, day.isoformat(), "open" if day in trades else "closed"


if __name__ == "__main__":
    with TARGET.open("w", newline="") as file:
        csv.writer(file).writerows([("library", "day", "is"), *rows()])
