"""Whether an order can be traded as it is written: its symbol, product, lot and tick. Always on."""

from abc import abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from durable_orders.trading.guardian.check import Check, Failure, Measure, When
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instruments import SHARES, Instrument
from durable_orders.trading.market.rules import freeze_quantity
from durable_orders.trading.orders.order import Product, Terms
from durable_orders.trading.orders.slices import MOST_SLICES

LARGEST_VALUE = Decimal(10) ** 14
"""Rupees, a hundred trillion: no order is worth as much."""
ALLOWED = {True: (Product.MIS, Product.CNC, Product.MTF), False: (Product.MIS, Product.NRML)}
"""Products for shares, and for derivatives (Kite documentation, products)."""


class OfInstrument(Check):
    """Is decided by the terms and the instrument alone."""

    __slots__ = ()
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return None if situation.instrument is None else self.failure_of(terms, situation.instrument)

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        return self.failure_of(terms, instrument) is not None

    @abstractmethod
    def failure_of(self, terms: Terms, instrument: Instrument) -> Failure | None:
        """Whatever the prices are."""


class SymbolKnown(Check):
    """The symbol must be in the instrument master."""

    code: ClassVar[str] = "UNKNOWN_SYMBOL"
    when: ClassVar[When] = When.ALWAYS

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        return False

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.instrument is not None:
            return None
        if situation.unreadable is not None:
            words = f"symbol {terms.symbol} cannot be ordered, its row of the instrument master is none"
            return Failure(f"{words}: {situation.unreadable}", value=terms.symbol)
        near = f", did you mean {situation.nearest_symbol}?" if situation.nearest_symbol else ""
        return Failure(f"symbol {terms.symbol} is not in the instrument master{near}", value=terms.symbol)


class Tradable(OfInstrument):
    """An index has a price but nothing to buy."""

    code: ClassVar[str] = "NOT_TRADABLE"

    def failure_of(self, terms: Terms, instrument: Instrument) -> Failure | None:
        if instrument.tradable:
            return None
        return Failure(f"symbol {terms.symbol} is an index and cannot be traded", value=terms.symbol)


class ProductFits(OfInstrument):
    """CNC and MTF are for shares, NRML is for derivatives, MIS for both."""

    code: ClassVar[str] = "PRODUCT_NOT_ALLOWED"

    def failure_of(self, terms: Terms, instrument: Instrument) -> Failure | None:
        if not instrument.tradable:
            return None
        allowed = ALLOWED[instrument.segment in SHARES]
        if terms.product in allowed:
            return None
        names = ", ".join(allowed)
        return Failure(f"product in {instrument.segment} may be {names}, was {terms.product}", names, terms.product)


class LotMultiple(OfInstrument):
    """The quantity must be a whole number of lots."""

    code: ClassVar[str] = "LOT_SIZE"

    def failure_of(self, terms: Terms, instrument: Instrument) -> Failure | None:
        lot = instrument.lot_size
        if lot <= 0 or terms.quantity % lot == 0:
            return None
        message = f"quantity must be a multiple of the lot of {lot}, was {terms.quantity}"
        return Failure(message, lot, terms.quantity)


class PricesOnTick(Check):
    """Price and trigger price must be multiples of the instrument's tick size."""

    code: ClassVar[str] = "TICK_SIZE"
    when: ClassVar[When] = When.ALWAYS

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        return terms.order_type.has_price or terms.order_type.has_trigger

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if (terms.price is None and terms.trigger_price is None) or situation.instrument is None:
            return None
        tick, price, trigger = situation.instrument.tick_size, terms.price, terms.trigger_price
        if tick <= 0 or ((price is None or not price % tick) and (trigger is None or not trigger % tick)):
            return None
        prices = {"price": terms.price, "trigger_price": terms.trigger_price}
        off = [f"{field} was {price}" for field, price in prices.items() if price is not None and price % tick]
        return Failure(f"prices must be multiples of the tick of {tick}; {', '.join(off)}", tick, ", ".join(off))


class Expressible(Check):
    """The order's value must fit the ledger, which counts to some 9e14 rupees."""

    code: ClassVar[str] = "VALUE_TOO_LARGE"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        value = situation.rupees(terms.quantity)
        if value is None or value <= LARGEST_VALUE:
            return None
        return Failure(f"value may be at most {LARGEST_VALUE:f} rupees, was {value:f}", LARGEST_VALUE, value)


@dataclass(frozen=True, slots=True)
class WithinFreezeQuantity(Check):
    """The exchange takes no single order above its freeze quantity. A leg of an iceberg is one, and so is each of the
    ten slices that Kite makes at most."""

    limits: dict[str, int]
    """Units, by tradingsymbol or underlying; what is not in there is as `rules.yaml` has it on the day."""
    code: ClassVar[str] = "FREEZE_QUANTITY"
    settings: ClassVar[tuple[str, ...]] = ("guardian.freeze_quantity",)

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        found = freeze_quantity(instrument, session.date, self.limits)
        return found is not None and terms.quantity > found[0]

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        found = self._frozen(terms, situation)
        if found is None or found[1] <= found[0]:
            return None
        limit, single, what, source = found
        underlying = situation.instrument.name if situation.instrument is not None else terms.symbol
        words = f"the exchange takes at most {limit} of {underlying} {what}, was {single} ({source})"
        return Failure(words, limit, single)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        found = self._frozen(terms, situation)
        return None if found is None else Measure(found[0], found[1], unit=f"units {found[2]}")

    def _frozen(self, terms: Terms, situation: CheckContext) -> tuple[int, int, str, str] | None:
        """The most that is taken, how much it is, in what, and the source; `None` where there is no freeze quantity."""
        if situation.instrument is None:
            return None
        day = situation.market_time.astimezone(IST).date()
        known = freeze_quantity(situation.instrument, day, self.limits)
        if known is None:
            return None
        (limit, source), given = known, situation.order.instructions
        if given is not None and given.iceberg_quantity is not None:
            return limit, given.iceberg_quantity, "in one leg", source
        if given is not None and given.autoslice:
            return MOST_SLICES * limit, terms.quantity, f"in {MOST_SLICES} slices", source
        return limit, terms.quantity, "in one order", source


class LegsInLots(Check):
    """Each leg of an iceberg order must be a whole number of lots."""

    code: ClassVar[str] = "ICEBERG_LOT"
    when: ClassVar[When] = When.ALWAYS

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        return False

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        lot = situation.instrument.lot_size if situation.instrument else 0
        leg = situation.order.instructions.iceberg_quantity if situation.order.instructions else None
        if lot <= 0 or leg is None or leg % lot == 0:
            return None
        return Failure(f"iceberg_quantity must be a multiple of the lot of {lot}, was {leg}", lot, leg)


class SlicesApply(Check):
    """Autoslice is for derivatives: they have a freeze quantity at which Kite can split."""

    code: ClassVar[str] = "AUTOSLICE_NOT_APPLICABLE"
    when: ClassVar[When] = When.ALWAYS

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        return False

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        instrument = situation.instrument
        if instrument is None or instrument.segment not in SHARES or not situation.order.is_autosliced:
            return None
        message = f"autoslice splits at the freeze quantity of a derivative, and {terms.symbol} has none"
        return Failure(message, value=terms.symbol)
