"""Which checks an order meets, and what they say: the same for the durable path and for backtests."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from trading.guardian.catalogue import chosen, chosen_for
from trading.guardian.check import Check, When
from trading.guardian.situation import Situation
from trading.guardian.survey import Needs
from trading.guardian.verdict import Refusal
from trading.market.instruments import Instruments
from trading.order import Order, Terms
from trading.settings import Settings

NEW = frozenset(When)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """Some checks, and what they need."""

    checks: tuple[Check, ...]
    needs: Needs

    @classmethod
    def of(cls, checks: Iterable[Check], occasions: Collection[When]) -> "Plan":
        applying = tuple(check for check in checks if check.when in occasions)
        return cls(applying, Needs.of(applying))

    def judge(self, terms: Terms, situation: Situation) -> tuple[Refusal, ...]:
        """Every reason against the order, not only the first."""
        if self._all_pass(terms, situation):
            return ()
        return tuple([refusal for check in self.checks if (refusal := run(check, terms, situation)) is not None])

    def _all_pass(self, terms: Terms, situation: Situation) -> bool:
        """Most orders do. A check remembers nothing, so the others are asked again for their words."""
        try:
            for check in self.checks:
                if check(terms, situation) is not None:
                    return False
        except Exception:  # `run` says which it was
            return False
        return True


class Plans:
    """The checks of every strategy. Raises `InvalidSettings` for a strategy rule that cannot be had."""

    def __init__(self, settings: Settings, instruments: Instruments) -> None:
        self._checks = tuple(chosen(settings, instruments))
        self._of_strategy = {code: tuple(chosen_for(code, settings)) for code in settings.guardian.strategies}
        self._new = {code: Plan.of((*self._checks, *own), NEW) for code, own in self._of_strategy.items()}
        self._plan = Plan.of(self._checks, NEW)

    def of_new(self, strategy: str) -> Plan:
        """For a new order of that strategy."""
        return self._new.get(strategy, self._plan)

    def of_change(self, order: Order, terms: Terms, *, raises: bool) -> Plan:
        """For a change of an order to these terms. `raises`: it needs more than is reserved."""
        occasions = {When.ALWAYS}
        if raises:
            occasions.add(When.NEW_RISK)
        if (terms.order_type, terms.price, terms.trigger_price) != (order.order_type, order.price, order.trigger_price):
            occasions.add(When.NEW_PRICE)
        return Plan.of((*self._checks, *self._of_strategy.get(order.strategy, ())), occasions)


def run(check: Check, terms: Terms, situation: Situation) -> Refusal | None:
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


def _words(figure: object) -> str:
    return f"{figure:f}" if isinstance(figure, Decimal) else str(figure)
