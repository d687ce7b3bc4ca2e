"""Indian Standard Time, in which markets open, days end and charges are billed."""

from datetime import datetime
from zoneinfo import ZoneInfo

YEARS = range(1970, 9999)
"""What both databases and Python can hold of any zone, with a day to spare at the end."""
IST = ZoneInfo("Asia/Kolkata")


def start_of_day(moment: datetime) -> datetime:
    """The midnight in IST with which the day of that moment began."""
    return moment.astimezone(IST).replace(hour=0, minute=0, second=0, microsecond=0)
