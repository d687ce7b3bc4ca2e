"""Kite's tradingsymbols of contracts: year and month, or year, month and day of a weekly option; then the strike."""

import re

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
SHORT_MONTHS = "123456789OND"
EXPIRING = re.compile(
    rf"(?P<underlying>.+?)(?P<year>\d{{2}})(?:(?P<month>{'|'.join(MONTHS)})|(?P<short>[1-9OND])(?P<day>\d{{2}}))"
    r"(?P<strike>[\d.]*)(?P<kind>FUT|CE|PE)"
)


def month_of(month: str) -> int:
    """Of `DEC`, or of `D` in a weekly one; January is 1."""
    return (MONTHS.index(month) if len(month) > 1 else SHORT_MONTHS.index(month)) + 1
