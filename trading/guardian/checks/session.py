"""Whether it is the time for an order."""

from dataclasses import dataclass
from typing import ClassVar

from durable_orders.trading.guardian.check import Check, Failure, Measure, When
from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.orders.order import Product, Terms, Validity


class NotLate(Check):
    """The order's deadline must not have passed. Durable must not mean late."""

    code: ClassVar[str] = "TOO_LATE"
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.now <= situation.place_by:
            return None
        late = (situation.now - situation.place_by).total_seconds()
        deadline = situation.place_by.isoformat(timespec="seconds")
        return Failure(f"its deadline passed {late:.1f} s ago ({deadline})", deadline, f"{late:.1f} s")

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        deadline, now = (f"{at.astimezone(IST):%Y-%m-%d %H:%M:%S}" for at in (situation.place_by, situation.now))
        return Measure(deadline, now, unit="IST")


@dataclass(frozen=True, slots=True)
class DayKnown(Check):
    """It must be known when the instrument trades: the exchanges publish the days of a year in the December before it,
    and the hours of a Muhurat session by circular. An order that only reduces a position passes."""

    sessions: SessionSource
    code: ClassVar[str] = "DAY_NOT_KNOWN"
    settings: ClassVar[tuple[str, ...]] = ("execution.mode", "market.exceptions", "market.known_until")
    when: ClassVar[When] = When.NEW_ORDER
    figures: ClassVar[Figures] = Figures.SYMBOL

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.instrument is None:
            return None
        session = self.sessions.of(terms.symbol).session_at_or_after(situation.market_time)
        if session.known or situation.only_reduces():
            return None
        words = f"whether and when {terms.symbol} trades on {session.date:%a %d %b %Y} is not known ({session.source})"
        return Failure(f"{words}; write into the settings {session.in_settings}", value=session.date.isoformat())


@dataclass(frozen=True, slots=True)
class SessionOpen(Check):
    """The market must take orders of this type for this instrument now, by the hours of its day: shares that have
    futures or options end in the closing auction, with times of its own."""

    sessions: SessionSource
    code: ClassVar[str] = "SESSION_CLOSED"
    settings: ClassVar[tuple[str, ...]] = ("guardian.require_open_session", "market.sessions", "market.exceptions")
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.instrument is None:
            return None
        moment = situation.market_time.astimezone(IST)
        session = self.sessions.of(terms.symbol).session_on(moment.date())
        if session is None:
            words = f"{terms.symbol} does not trade today, it is {moment:%a %d %b %H:%M:%S}"
            return Failure(words, value=moment.isoformat(timespec="seconds"))
        validity = situation.order.validity
        if any(each.takes(moment.time(), terms.order_type, validity, terms.side) for each in session.windows):
            return None
        if not session.windows:
            return None
        times = ", ".join(f"{window.opens:%H:%M}-{window.closes:%H:%M}" for window in session.windows)
        kind = terms.order_type if validity is Validity.DAY else f"{validity} {terms.order_type}"
        words = f"{terms.symbol} does not take {kind} orders at {moment:%a %H:%M:%S}; its hours today are {times}"
        return Failure(words, times, moment.isoformat(timespec="seconds"))


@dataclass(frozen=True, slots=True)
class BeforeMisCutoff(Check):
    """MIS orders must come before the broker's cut-off of the day."""

    sessions: SessionSource
    code: ClassVar[str] = "MIS_CUTOFF"
    settings: ClassVar[tuple[str, ...]] = ("guardian.refuse_mis_after_cutoff", "market.sessions", "market.exceptions")
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.instrument is None or terms.product is not Product.MIS:
            return None
        moment = situation.market_time.astimezone(IST)
        session = self.sessions.of(terms.symbol).session_on(moment.date())
        cutoff = session.mis_cutoff if session is not None else None
        if cutoff is None or moment < cutoff:
            return None
        words = f"MIS orders for {terms.symbol} are taken until {cutoff:%H:%M}, it is {moment:%H:%M:%S}"
        return Failure(words, cutoff.time().isoformat(), moment.isoformat(timespec="seconds"))
