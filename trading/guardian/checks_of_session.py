"""Whether it is the time for an order."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from trading.guardian.check import Check, Failure, When
from trading.guardian.situation import Situation
from trading.market.calendar import IST
from trading.market.instruments import Instrument
from trading.order import Product, Terms
from trading.settings import Hours, Window

HoursOf = Callable[[Instrument], Hours]


class NotLate(Check):
    """The order's deadline must not have passed. Durable must not mean late."""

    code: ClassVar[str] = "TOO_LATE"
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        if situation.now <= situation.place_by:
            return None
        late = (situation.now - situation.place_by).total_seconds()
        deadline = situation.place_by.isoformat(timespec="seconds")
        return Failure(f"its deadline passed {late:.1f} s ago ({deadline})", deadline, f"{late:.1f} s")


@dataclass(frozen=True, slots=True)
class SessionOpen(Check):
    """The market must take orders of this type for this instrument now: shares that have futures or options end in the
    closing auction, with times of its own."""

    trades_on: Callable[[date], bool]
    hours_of: HoursOf
    code: ClassVar[str] = "SESSION_CLOSED"
    settings: ClassVar[tuple[str, ...]] = ("guardian.require_open_session", "market.sessions")
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        if situation.instrument is None:
            return None
        windows = self.hours_of(situation.instrument).windows
        moment = situation.market_time.astimezone(IST)
        if self.trades_on(moment.date()) and any(_takes(window, terms, situation) for window in windows):
            return None
        times = ", ".join(f"{window.opens:%H:%M}-{window.closes:%H:%M}" for window in windows)
        words = f"{terms.symbol} takes {terms.order_type} orders on trading days at {times}, it is {moment:%a %H:%M:%S}"
        return Failure(words, times, moment.isoformat(timespec="seconds"))


@dataclass(frozen=True, slots=True)
class BeforeMisCutoff(Check):
    """MIS orders must come before the broker's cut-off."""

    hours_of: HoursOf
    code: ClassVar[str] = "MIS_CUTOFF"
    settings: ClassVar[tuple[str, ...]] = ("guardian.refuse_mis_after_cutoff", "market.sessions")
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        if situation.instrument is None or terms.product is not Product.MIS:
            return None
        cutoff = self.hours_of(situation.instrument).mis_cutoff
        moment = situation.market_time.astimezone(IST)
        if moment.time() < cutoff:
            return None
        words = f"MIS orders for {terms.symbol} are taken until {cutoff:%H:%M}, it is {moment:%H:%M:%S}"
        return Failure(words, cutoff.isoformat(), moment.isoformat(timespec="seconds"))


def _takes(window: Window, terms: Terms, situation: Situation) -> bool:
    moment = situation.market_time.astimezone(IST).time()
    return window.opens <= moment < window.closes and terms.order_type in window.order_types
