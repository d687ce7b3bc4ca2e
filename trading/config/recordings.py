"""How files of recorded ticks and candles are read, where they do not say it themselves."""

from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator

from durable_orders.trading.config.sections import Count, Rupees, Section


class Dates(StrEnum):
    """What `04/05/2025` is."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


class Recordings(Section):
    zone: str | None = None
    """Of times without one, as `UTC` or `Asia/Kolkata`; without it they are IST, which is told."""
    dates: Dates | None = None
    """Of dates whose day and month cannot be told apart; without it they are an error."""
    skip_bad: bool = False
    """Rows that cannot be are counted in the report; otherwise the first is an error."""

    lot: Count | None = None
    """Units, of instruments in the files that no master has, and nothing that is shipped knows."""
    tick: Rupees | None = None
    """Of the same."""

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError("must be a time zone as in UTC or Asia/Kolkata") from None
        return zone
