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
        tick = situation.instrument.tick_size if situation.instrument else Decimal(0)
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
        value = situation.rupees(terms.quantity) or Decimal(0)
        if value <= LARGEST_VALUE:
            return None
        return Failure(f"value may be at most {LARGEST_VALUE:f} rupees, was {value:f}", LARGEST_VALUE, value)


@dataclass(frozen=True, slots=True)
class WithinFreezeQuantity(Check):
    """The exchange takes no single order above its freeze quantity."""

    limits: dict[str, int]
    """Units, by tradingsymbol or underlying."""
    code: ClassVar[str] = "FREEZE_QUANTITY"
    settings: ClassVar[tuple[str, ...]] = ("guardian.freeze_quantity",)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        own = terms.symbol.partition(":")[2]
        underlying = situation.instrument.name if situation.instrument else own
        limit = self.limits.get(own) or self.limits.get(underlying)
        if limit is None or terms.quantity <= limit:
            return None
        message = f"the exchange takes at most {limit} of {underlying} in one order, was {terms.quantity}"
        return Failure(message, limit, terms.quantity)
