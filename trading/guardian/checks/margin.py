"""Whether the broker's margin carries an order: the broker's own figure, as last read, less what was approved since.

What an order binds is an estimate (`guardian.margins`). The broker has the last word; this keeps hopeless orders from
being sent. Kite keeps the funds for commodities apart, so orders for those pass, and take nothing from the rest.
"""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import ClassVar

from durable_orders.trading.charges.contracts import multiplier_of, size_of
from durable_orders.trading.config.margins import Margins
from durable_orders.trading.guardian.check import Check, Failure, Measure
from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ledger.funds import Recent
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.margin_rates import bound
from durable_orders.trading.orders.order import Terms

COMMODITIES = ("MCX", "NCO")
"""The beginning of their segments and of their symbols."""


@dataclass(frozen=True, slots=True)
class MarginCheck(Check):
    """Needs the broker's margin, read at most `max_age` seconds ago. Orders that only reduce a position pass."""

    margins: Margins
    max_age: float
    instruments: Instruments
    settings: ClassVar[tuple[str, ...]] = ("guardian.require_margin",)
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.MARGIN

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        instrument, margin = situation.instrument, situation.margin()
        if instrument is None or instrument.segment.startswith(COMMODITIES) or situation.only_reduces():
            return None
        if margin.read_at is None:
            return _unknown("it was not read yet")
        if (age := (situation.now - margin.read_at).total_seconds()) > self.max_age:
            return _unknown(f"it was read {age:.0f} s ago, and may be {self.max_age:g} s old")
        if margin.available is None:
            return None
        if situation.price is None:
            return _unknown("the order's worth is not, without a last price")
        recents = [each for each in margin.approved_since if not each.symbol.startswith(COMMODITIES)]
        for symbol in (terms.symbol, *(each.symbol for each in recents)):
            if size_of(symbol) is None:
                return _unknown(f"the size of a lot of {symbol} is not")
        return self.judge(terms, situation, self._left(margin.available, recents))

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        instrument, margin = situation.instrument, situation.margin()
        is_asked = instrument is not None and not instrument.segment.startswith(COMMODITIES)
        if not is_asked or situation.only_reduces() or margin.available is None:
            return None
        recents = [each for each in margin.approved_since if not each.symbol.startswith(COMMODITIES)]
        needed = self.units(terms, situation)
        binds = self.needed(terms, situation, needed).quantize(Decimal("0.01"))
        return Measure(self._left(margin.available, recents), binds, unit=f"rupees of margin for {needed}")

    def _left(self, available: Decimal, recents: Iterable[Recent]) -> Decimal:
        since = sum((self._bound(each) for each in recents), Decimal(0))
        return (available - since).quantize(Decimal("0.01"), ROUND_DOWN)

    @abstractmethod
    def units(self, terms: Terms, situation: CheckContext) -> int:
        """For how many of the order there has to be margin."""

    @abstractmethod
    def judge(self, terms: Terms, situation: CheckContext, available: Decimal) -> Failure | None:
        """The same with `available` rupees."""

    def needed(self, terms: Terms, situation: CheckContext, units: int) -> Decimal:
        """Rupees of margin that so many of the order bind."""
        price, units = situation.price or Decimal(0), units * multiplier_of(terms.symbol)
        return bound(terms.product, situation.instrument, terms.side, units, price, self.margins)

    def _bound(self, recent: Recent) -> Decimal:
        instrument = self.instruments.get(recent.symbol)
        price = recent.value / recent.units if recent.units else Decimal(0)
        units = recent.units * multiplier_of(recent.symbol)
        return bound(recent.product, instrument, recent.side, units, price, self.margins)


def _unknown(why: str) -> Failure:
    return Failure(f"the available margin is not known: {why}")


class MarginAvailable(MarginCheck):
    """The units of the order that open a position must not need more margin than the broker has available."""

    __slots__ = ()
    code: ClassVar[str] = "INSUFFICIENT_MARGIN"

    def judge(self, terms: Terms, situation: CheckContext, available: Decimal) -> Failure | None:
        needed = self.needed(terms, situation, self.units(terms, situation))
        if needed <= available:
            return None
        words = f"margin may be at most the {available:f} rupees available, and would be {needed:.2f}"
        return Failure(words, available, needed.quantize(Decimal("0.01")))

    def units(self, terms: Terms, situation: CheckContext) -> int:
        after = situation.held().plus(terms.side, situation.asked)
        return min(situation.asked.quantity, after.reach(terms.side))


class LotAffordable(MarginCheck):
    """The available margin must carry at least one lot: otherwise no smaller order would help."""

    __slots__ = ()
    code: ClassVar[str] = "LOT_NOT_AFFORDABLE"

    def judge(self, terms: Terms, situation: CheckContext, available: Decimal) -> Failure | None:
        lot = self.units(terms, situation)
        needed = self.needed(terms, situation, lot)
        if needed <= available:
            return None
        words = f"one lot of {lot} needs {needed:.2f} rupees of margin, and {available:f} are available"
        return Failure(words, available, needed.quantize(Decimal("0.01")))

    def units(self, terms: Terms, situation: CheckContext) -> int:
        return max(situation.instrument.lot_size, 1) if situation.instrument else 1
