"""The pre-trade checks: one small class a check, each with a stable code."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Protocol

from trading.market.instruments import Instrument
from trading.order import Terms

LARGEST_VALUE = Decimal(10) ** 14
"""Rupees, a hundred trillion: no order is worth as much."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a check may look at, read in the transaction that also reserves."""

    now: datetime
    place_by: datetime
    instrument: Instrument | None
    nearest_symbol: str | None
    last_price: Decimal | None
    """Rupees; `None` before the first tick."""
    halt_reason: str | None
    unsettled: Sequence[str]
    """Orders whose outcome is unknown while the broker's book cannot be read."""


class Check(Protocol):
    code: ClassVar[str]

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        """`None` if the order passes, else one sentence with the limit and the value."""


class SymbolKnown:
    """The symbol is in the instrument master."""

    code: ClassVar[str] = "UNKNOWN_SYMBOL"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        if situation.instrument is not None:
            return None
        near = f", did you mean {situation.nearest_symbol}?" if situation.nearest_symbol else ""
        return f"symbol {terms.symbol} is not in the instrument master{near}"


class Tradable:
    """An index has a price but nothing to buy (Kite: segment INDICES, `tradable` false)."""

    code: ClassVar[str] = "NOT_TRADABLE"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        instrument = situation.instrument
        if instrument is None or instrument.segment != "INDICES":
            return None
        return f"symbol {terms.symbol} is an index and cannot be traded"


class LotMultiple:
    """The quantity is a whole number of lots."""

    code: ClassVar[str] = "LOT_SIZE"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        lot = situation.instrument.lot_size if situation.instrument else 0
        if lot <= 0 or terms.quantity % lot == 0:
            return None
        return f"quantity must be a multiple of the lot of {lot}, was {terms.quantity}"


class PricesOnTick:
    """Price and trigger price are multiples of the instrument's tick size."""

    code: ClassVar[str] = "TICK_SIZE"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        tick = situation.instrument.tick_size if situation.instrument else Decimal(0)
        if tick <= 0:
            return None
        prices = {"price": terms.price, "trigger_price": terms.trigger_price}
        off = [f"{field} was {price}" for field, price in prices.items() if price is not None and price % tick]
        return f"prices must be multiples of the tick of {tick}; {', '.join(off)}" if off else None


@dataclass(frozen=True, slots=True)
class MaxOrderQuantity:
    """`guardian.max_order_quantity`, in units."""

    limit: int
    code: ClassVar[str] = "MAX_ORDER_QUANTITY"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        if terms.quantity <= self.limit:
            return None
        return f"quantity may be at most {self.limit}, was {terms.quantity}"


@dataclass(frozen=True, slots=True)
class MaxOrderValue:
    """`guardian.max_order_value`, in rupees. Without a price or a last price the value cannot be known: refused."""

    limit: Decimal
    code: ClassVar[str] = "MAX_ORDER_VALUE"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        price = order_price(terms, situation.last_price)
        if price is None:
            return f"value may be at most {self.limit} rupees, and without a last price it cannot be known"
        value = price * terms.quantity
        return f"value may be at most {self.limit} rupees, was {value}" if value > self.limit else None


class Expressible:
    """The order's value fits the ledger, which counts to some 9e14 rupees."""

    code: ClassVar[str] = "VALUE_TOO_LARGE"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        value = (order_price(terms, situation.last_price) or Decimal(0)) * terms.quantity
        return f"value may be at most {LARGEST_VALUE} rupees, was {value}" if value > LARGEST_VALUE else None


class NotHalted:
    """The account is not halted."""

    code: ClassVar[str] = "HALTED"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        return f"the account is halted: {situation.halt_reason}" if situation.halt_reason is not None else None


class NothingUnsettled:
    """No order of the account is unknown with an unreadable book: unknown exposure takes no new risk."""

    code: ClassVar[str] = "UNKNOWN_OUTSTANDING"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        if not situation.unsettled:
            return None
        return f"no new risk while the outcome of {', '.join(situation.unsettled)} is unknown"


class NotLate:
    """The order's deadline has not passed. Durable must not mean late."""

    code: ClassVar[str] = "TOO_LATE"

    def __call__(self, terms: Terms, situation: Situation) -> str | None:
        if situation.now <= situation.place_by:
            return None
        late = (situation.now - situation.place_by).total_seconds()
        return f"its deadline passed {late:.1f} s ago ({situation.place_by.isoformat(timespec='seconds')})"


def order_price(terms: Terms, last_price: Decimal | None) -> Decimal | None:
    """Rupees a share that an order is valued at: its limit, else its trigger, else the last price."""
    return terms.price or terms.trigger_price or last_price


VALIDATION: tuple[Check, ...] = (SymbolKnown(), Tradable(), LotMultiple(), PricesOnTick(), Expressible())
"""What also holds for an amendment."""
ADMISSION: tuple[Check, ...] = (NotHalted(), NothingUnsettled(), NotLate())
"""What only matters for new risk."""
