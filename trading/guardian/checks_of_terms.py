"""Whether an order can be traded as it is written: its symbol, product, lot and tick. Always on."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from trading.guardian.check import Check, Failure, When
from trading.guardian.situation import Situation
from trading.order import Product, Terms

LARGEST_VALUE = Decimal(10) ** 14
"""Rupees, a hundred trillion: no order is worth as much."""
EQUITY = ("NSE", "BSE")
"""Kite's segments of shares; those of derivatives have a dash, as in `NFO-FUT`."""
MOST_SLICES = 10
"""That Kite makes of one order (Kite documentation, autoslice)."""
ALLOWED = {True: (Product.MIS, Product.CNC, Product.MTF), False: (Product.MIS, Product.NRML)}
"""Products for shares, and for derivatives (Kite documentation, products)."""


class SymbolKnown(Check):
    """The symbol must be in the instrument master."""

    code: ClassVar[str] = "UNKNOWN_SYMBOL"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        if situation.instrument is not None:
            return None
        near = f", did you mean {situation.nearest_symbol}?" if situation.nearest_symbol else ""
        return Failure(f"symbol {terms.symbol} is not in the instrument master{near}", value=terms.symbol)


class Tradable(Check):
    """An index has a price but nothing to buy."""

    code: ClassVar[str] = "NOT_TRADABLE"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        if situation.instrument is None or situation.instrument.tradable:
            return None
        return Failure(f"symbol {terms.symbol} is an index and cannot be traded", value=terms.symbol)


class ProductFits(Check):
    """CNC and MTF are for shares, NRML is for derivatives, MIS for both."""

    code: ClassVar[str] = "PRODUCT_NOT_ALLOWED"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        instrument = situation.instrument
        if instrument is None or not instrument.tradable:
            return None
        allowed = ALLOWED[instrument.segment in EQUITY]
        if terms.product in allowed:
            return None
        names = ", ".join(allowed)
        return Failure(f"product in {instrument.segment} may be {names}, was {terms.product}", names, terms.product)


class LotMultiple(Check):
    """The quantity must be a whole number of lots."""

    code: ClassVar[str] = "LOT_SIZE"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        lot = situation.instrument.lot_size if situation.instrument else 0
        if lot <= 0 or terms.quantity % lot == 0:
            return None
        message = f"quantity must be a multiple of the lot of {lot}, was {terms.quantity}"
        return Failure(message, lot, terms.quantity)


class PricesOnTick(Check):
    """Price and trigger price must be multiples of the instrument's tick size."""

    code: ClassVar[str] = "TICK_SIZE"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        if (terms.price is None and terms.trigger_price is None) or situation.instrument is None:
            return None
        tick = situation.instrument.tick_size
        if tick <= 0:
            return None
        prices = {"price": terms.price, "trigger_price": terms.trigger_price}
        off = [f"{field} was {price}" for field, price in prices.items() if price is not None and price % tick]
        if not off:
            return None
        return Failure(f"prices must be multiples of the tick of {tick}; {', '.join(off)}", tick, ", ".join(off))


class Expressible(Check):
    """The order's value must fit the ledger, which counts to some 9e14 rupees."""

    code: ClassVar[str] = "VALUE_TOO_LARGE"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        value = situation.rupees(terms.quantity)
        if value is None or value <= LARGEST_VALUE:
            return None
        return Failure(f"value may be at most {LARGEST_VALUE:f} rupees, was {value:f}", LARGEST_VALUE, value)


@dataclass(frozen=True, slots=True)
class WithinFreezeQuantity(Check):
    """The exchange takes no single order above its freeze quantity. A leg of an iceberg is one, and so is each of the
    ten slices that Kite makes at most."""

    limits: dict[str, int]
    """Units, by tradingsymbol or underlying."""
    code: ClassVar[str] = "FREEZE_QUANTITY"
    settings: ClassVar[tuple[str, ...]] = ("guardian.freeze_quantity",)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        own = terms.symbol.partition(":")[2]
        underlying = situation.instrument.name if situation.instrument else own
        limit = self.limits.get(own) or self.limits.get(underlying)
        given = situation.order.instructions
        single, what = terms.quantity, "in one order"
        if given is not None and given.iceberg_quantity is not None:
            single, what = given.iceberg_quantity, "in one leg"
        elif given is not None and given.autoslice and limit is not None:
            limit, what = MOST_SLICES * limit, f"in {MOST_SLICES} slices"
        if limit is None or single <= limit:
            return None
        return Failure(f"the exchange takes at most {limit} of {underlying} {what}, was {single}", limit, single)


class LegsInLots(Check):
    """Each leg of an iceberg order must be a whole number of lots."""

    code: ClassVar[str] = "ICEBERG_LOT"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        lot = situation.instrument.lot_size if situation.instrument else 0
        leg = situation.order.instructions.iceberg_quantity if situation.order.instructions else None
        if lot <= 0 or leg is None or leg % lot == 0:
            return None
        return Failure(f"iceberg_quantity must be a multiple of the lot of {lot}, was {leg}", lot, leg)


class SlicesApply(Check):
    """Autoslice is for derivatives: they have a freeze quantity at which Kite can split."""

    code: ClassVar[str] = "AUTOSLICE_NOT_APPLICABLE"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        instrument = situation.instrument
        if instrument is None or instrument.segment not in EQUITY or not situation.order.is_autosliced:
            return None
        message = f"autoslice splits at the freeze quantity of a derivative, and {terms.symbol} has none"
        return Failure(message, value=terms.symbol)
