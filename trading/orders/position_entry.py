"""What moves a position without an order: a conversion, an expiry, a corporate action. Said by a rule or by a human."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from durable_orders.trading.orders.order import Frozen, Name, Product, Symbol

OUTSIDE = "external"
"""The strategy of what no strategy of this system has done, as of orders that were placed by hand."""
MOST = 1_000_000_000


class EntryKind(StrEnum):
    CONVERSION = "conversion"
    """Of the product, as Kite's `PUT /portfolio/positions` does: the cost goes along."""
    EXPIRY = "expiry"
    """A contract that was settled, in cash or worthless, at `price`."""
    CORPORATE_ACTION = "corporate-action"
    """A split, a bonus, a consolidation: quantity and price move, the cost stays."""
    ANNULLED_TRADE = "annulled-trade"
    """A trade that the exchange has annulled, taken back at its own price."""
    OPENING_BALANCE = "opening-balance"
    """What was held before this system began, at what it cost."""
    TRANSFER = "transfer"
    """Into the demat account or out of it, off the market."""
    OTHER = "other"
    """Any other trade that is in no book of ours, such as one by hand or by RMS while nothing ran."""

    @property
    def keeps_the_cost(self) -> bool:
        return self in (EntryKind.CONVERSION, EntryKind.CORPORATE_ACTION)

    @property
    def closes(self) -> bool:
        """Whether it can only make a position smaller."""
        return self in (EntryKind.CONVERSION, EntryKind.EXPIRY)

    @property
    def is_in_the_days_positions(self) -> bool:
        """Of delivery, whether the broker shows it among the positions of its day, and not among the holdings."""
        return self in (EntryKind.CONVERSION, EntryKind.ANNULLED_TRADE)


class PositionEntry(Frozen):
    """One change of the account's position in a symbol and product."""

    symbol: Symbol
    product: Product
    quantity: Annotated[int, Field(ge=-MOST, le=MOST)]
    """Signed, as Kite counts: what is added to the position."""
    kind: EntryKind = EntryKind.OTHER
    price: Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=4)] | None = None
    """Rupees as quoted; 0 for an option that expired worthless. None for what keeps the cost."""
    to_product: Product | None = None
    """Of a conversion."""
    strategy: Name | None = None
    """Whose position it was; without it, what no strategy has done comes first, then the greatest."""
    evidence: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]
    """Where it was looked up, in words."""
    who: Annotated[str, Field(min_length=1, max_length=100)] = "by the client"
    at: AwareDatetime | None = None
    """When it counts, as for the day's result; when it was recorded, if not given."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.quantity:
            raise ValueError("quantity: must not be 0")
        if (self.kind is EntryKind.CONVERSION) != (self.to_product is not None):
            raise ValueError("to_product: a conversion has one, and nothing else has")
        if self.to_product is self.product:
            raise ValueError(f"to_product: must be another than {self.product}")
        if self.kind.keeps_the_cost and self.price is not None:
            raise ValueError(f"price: {self.kind} has none: the cost stays")
        if not self.kind.keeps_the_cost and self.price is None:
            raise ValueError("price: must be given, in rupees as quoted; it may be 0")
        return self

    def problem_with(self, held: int) -> str | None:
        """Why it cannot be said of a position of so many; `None` if it can."""
        after = held + self.quantity
        if self.kind.closes and not (held * self.quantity < 0 and abs(self.quantity) <= abs(held)):
            return f"quantity: {self.kind} closes a part of what is held, {held}, was {self.quantity}"
        if self.kind is EntryKind.CORPORATE_ACTION and self.strategy is not None:
            return f"strategy: {self.kind} moves what everybody holds, in proportion, was {self.strategy}"
        if self.kind is EntryKind.CORPORATE_ACTION and held * after <= 0:
            return f"quantity: {self.kind} keeps the side of what is held, {held}, was {self.quantity}"
        return None

    @property
    def words(self) -> str:
        at = f" at {self.price:f}" if self.price is not None else ""
        to = f" to {self.to_product}" if self.to_product is not None else ""
        return f"{self.symbol} {self.product} {self.quantity:+d}{at}, {self.kind}{to}: {self.evidence}"


def shares(quantity: int, own: Mapping[str, int], strategy: str | None = None) -> dict[str, int]:
    """Whose position such a change moves by how much, where the strategies hold so many: together, all of it.

    What makes positions smaller takes what no strategy has done first, then the greatest. What none of them has, and
    what opens, is nobody's.
    """
    if strategy is not None:
        return {strategy: quantity}
    found, left = {}, quantity
    for name in sorted(own, key=lambda name: (name != OUTSIDE, -abs(own[name]), name)):
        if own[name] * left < 0:
            taken = min(abs(left), abs(own[name])) * (1 if left > 0 else -1)
            found[name] = taken
            left -= taken
    return found | ({OUTSIDE: found.get(OUTSIDE, 0) + left} if left else {})


def in_proportion(quantity: int, held: int, own: Mapping[str, int]) -> dict[str, int]:
    """The same where all that is held, `held`, grows or shrinks by so many: what a share is too small for goes to who
    has most."""
    found = {name: scaled(mine, held, held + quantity) - mine for name, mine in own.items()}
    left = quantity - sum(found.values())
    most = max(own, key=lambda name: (abs(own[name]), name), default=OUTSIDE)
    return found | ({most: found.get(most, 0) + left} if left else {})


def scaled(quantity: int, before: int, after: int) -> int:
    """A part of what is held, when all of it goes from `before` to `after`. Half a share is rounded to even."""
    return round(Decimal(quantity) * after / before)
