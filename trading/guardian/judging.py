"""Which checks an order meets, and what they say: the same for the durable path and for backtests."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.catalogue import chosen, chosen_for
from durable_orders.trading.guardian.check import Check, When
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.guardian.checks import exchange, market, session
from durable_orders.trading.guardian.facts_reader import Needs
from durable_orders.trading.market.calendar import Session, SessionCalendar, SessionSource
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.orders.judged import CheckFigure, Judged
from durable_orders.trading.orders.order import Order, Terms
from durable_orders.trading.orders.verdict import Refusal

NEW = frozenset(When) - {When.CHANGE}

OF_THE_MOMENT = (
    *(session.DayKnown, session.SessionOpen, session.BeforeMisCutoff),
    *(exchange.TakenNow, market.PriceFresh),
)
"""Checks that ask what the market takes just now: a GTT may be placed at any hour, and its order comes later."""
KEPT = 4096
"""Kinds of orders of which it is kept which checks concern them."""

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """The checks that concern some orders that are alike, for as long as instrument and session are these."""

    instrument: Instrument
    calendar: SessionCalendar
    session: Session
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Some checks, and what they need."""

    checks: tuple[Check, ...]
    needs: Needs
    sessions: SessionSource
    measuring: tuple[Check, ...] = ()
    """Those of the checks that have a figure."""
    _asked: dict[tuple[object, ...], Asked] = field(default_factory=dict, compare=False)
    _of_kinds: dict[tuple[type[Check], ...], tuple[Check, ...]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, checks: Iterable[Check], occasions: Collection[When], sessions: SessionSource) -> "Plan":
        applying = tuple(check for check in checks if check.when in occasions)
        measuring = tuple(check for check in applying if type(check).measured is not Check.measured)
        return cls(applying, Needs.of(applying), sessions, measuring)

    def of_kinds(self, kinds: tuple[type[Check], ...]) -> tuple[Check, ...]:
        """Those of the checks that are of one of these kinds."""
        if kinds not in self._of_kinds:
            self._of_kinds[kinds] = tuple(check for check in self.checks if isinstance(check, kinds))
        return self._of_kinds[kinds]

    def judge(self, terms: Terms, situation: CheckContext) -> tuple[Refusal, ...]:
        """Every reason against the order, not only the first."""
        if self._all_pass(terms, situation):
            return ()
        return tuple([refusal for check in self.checks if (refusal := run(check, terms, situation)) is not None])

    def judged(self, terms: Terms, situation: CheckContext) -> Judged:
        """Of an order that has passed: how many checks that were, and where it stood against each limit."""
        measured = [each for check in self.measuring if (each := _figure(check, terms, situation)) is not None]
        return Judged(at=situation.now, checks=len(self.checks), figures=tuple(measured))

    def _all_pass(self, terms: Terms, situation: CheckContext) -> bool:
        """Most orders do. A check remembers nothing, so the others are asked again for their words."""
        try:
            for check in self._concerned(terms, situation):
                if check(terms, situation) is not None:
                    return False
        except Exception:  # `run` says which it was
            return False
        return True

    def _concerned(self, terms: Terms, situation: CheckContext) -> tuple[Check, ...]:
        """Most checks pass an order for what it is, and all that are alike: those are asked once a session."""
        instrument, at = situation.instrument, situation.market_time
        if instrument is None or situation.order.instructions is not None or not situation.has_market_time:
            return self.checks
        symbol = terms.symbol
        calendar = self.sessions.of(symbol)
        alike = (symbol, terms.side, terms.quantity, terms.order_type, terms.product, terms.validity)
        asked = self._asked.get(alike)
        is_same = asked is not None and asked.calendar is calendar and asked.instrument is instrument
        if asked is not None and is_same and asked.session.contains(at):
            return asked.checks
        session = calendar.session_at_or_after(at)
        if not session.contains(at):
            return self.checks
        if len(self._asked) > KEPT:
            self._asked.clear()
        checks = tuple([check for check in self.checks if check.concerns(terms, instrument, session)])
        self._asked[alike] = Asked(instrument, calendar, session, checks)
        return checks


class Plans:
    """The checks of every strategy. Raises `InvalidSettings` for a strategy rule that cannot be had."""

    def __init__(self, settings: Settings, instruments: Instruments) -> None:
        self._checks = tuple(chosen(settings, instruments))
        self._of_strategy = {code: tuple(chosen_for(code, settings)) for code in settings.guardian.strategies}
        self._sessions = InstrumentSessions(settings.market, instruments)
        self._new = {
            code: Plan.of((*self._checks, *own), NEW, self._sessions) for code, own in self._of_strategy.items()
        }
        self._plan = Plan.of(self._checks, NEW, self._sessions)

    def of_new(self, strategy: str) -> Plan:
        """For a new order of that strategy."""
        return self._new.get(strategy, self._plan)

    def of_gtt(self, strategy: str) -> Plan:
        """For the order that a GTT of that strategy is to place."""
        own = (*self._checks, *self._of_strategy.get(strategy, ()))
        return Plan.of((check for check in own if not isinstance(check, OF_THE_MOMENT)), NEW, self._sessions)

    def of_change(self, order: Order, terms: Terms, *, raises: bool) -> Plan:
        """For a change of an order to these terms. `raises`: it needs more than is reserved."""
        occasions = {When.ALWAYS, When.CHANGE}
        if raises:
            occasions.add(When.NEW_RISK)
        if (terms.order_type, terms.price, terms.trigger_price) != (order.order_type, order.price, order.trigger_price):
            occasions.add(When.NEW_PRICE)
        return Plan.of((*self._checks, *self._of_strategy.get(order.strategy, ())), occasions, self._sessions)


def run(check: Check, terms: Terms, situation: CheckContext) -> Refusal | None:
    """A check that raises refuses the order: what cannot be checked is not sent."""
    try:
        failure = check(terms, situation)
    except Exception as error:
        log.exception("check %s failed on %s", check.code, terms.summary())
        return Refusal(code=check.code, message=f"the check itself failed ({type(error).__name__})")
    if failure is None:
        return None
    limit, value = (None if figure is None else _words(figure) for figure in (failure.limit, failure.value))
    return Refusal(code=check.code, message=failure.message, limit=limit, value=value)


def _figure(check: Check, terms: Terms, situation: CheckContext) -> CheckFigure | None:
    """A check that has let the order pass and has no figure to show for it does not hold it up."""
    try:
        found = check.measured(terms, situation)
        if found is None:
            return None
        before = None if found.before is None else _words(found.before)
        return CheckFigure(check.code, _words(found.limit), before, _words(found.value), str(found.unit))
    except Exception:
        log.exception("check %s has no figure of %s", check.code, terms.summary())
        return None


def _words(figure: object) -> str:
    return f"{figure:f}" if isinstance(figure, Decimal) else str(figure)
