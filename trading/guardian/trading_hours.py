"""An example of a strategy rule: a strategy trades at its own hours only. Registered as `trading_hours`."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import model_validator

from durable_orders.trading.config.sections import ClockTime, Section
from durable_orders.trading.guardian.check import Check, Failure, When
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import Terms


class Day(StrEnum):
    """In the order of `datetime.weekday`."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class Options(Section):
    """IST; the end does not belong to it."""

    start: ClockTime
    end: ClockTime
    days: tuple[Day, ...] = tuple(Day)

    @model_validator(mode="after")
    def _in_order(self) -> "Options":
        if self.start >= self.end:
            raise ValueError("start: must be before end")
        return self


class TradingHours(Check):
    """The strategy may only order at its own hours, on its own days."""

    code: ClassVar[str] = "TRADING_HOURS"
    settings: ClassVar[tuple[str, ...]] = ("guardian.strategies.*.rules.trading_hours",)
    when: ClassVar[When] = When.NEW_ORDER

    def __init__(self, **options: object) -> None:
        """Raises pydantic's `ValidationError`."""
        self._options = Options.model_validate(options)

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        mine, moment = self._options, situation.market_time.astimezone(IST)
        if _day(moment) in mine.days and mine.start <= moment.time() < mine.end:
            return None
        hours = f"{', '.join(mine.days)} {mine.start:%H:%M} to {mine.end:%H:%M}"
        words = f"{situation.order.strategy} trades {hours}, it is {moment:%a %H:%M:%S}"
        return Failure(words, hours, moment.isoformat(timespec="seconds"))


def _day(moment: datetime) -> Day:
    return tuple(Day)[moment.weekday()]
