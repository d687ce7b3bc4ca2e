"""One tick: the last price of a symbol at a moment of the market's time."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading.errors import InvalidTicks
from trading.market.calendar import IST
from trading.order import PRICE_PLACES

MAX_PRICE = Decimal(10) ** 10
"""Rupees. As for orders: 14 digits, four of them behind the point."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What the market showed. Raises `InvalidTicks` for a price, a time or a volume that cannot be."""

    symbol: str
    """Exchange and Kite tradingsymbol, as in `NFO:NIFTY25MAYFUT`."""
    last_price: Decimal
    """Rupees."""
    at: datetime
    """Market time, in IST whatever zone it was given in."""
    volume: int = 0
    """Units traded in the session so far (Kite's `volume_traded`); 0 where the source has none, as for an index."""
    bid: Decimal | None = None
    """Rupees; `None` where nobody bids or the source does not say."""
    ask: Decimal | None = None

    def __post_init__(self) -> None:
        for field, price in (("last_price", self.last_price), ("bid", self.bid), ("ask", self.ask)):
            if price is not None and (rule := price_rule(price) or _places_rule(price)):
                raise InvalidTicks(f"{self.symbol}: {field}: {rule}, was {price}")
        if self.volume < 0:
            raise InvalidTicks(f"{self.symbol}: volume: must not be negative, was {self.volume}")
        if self.at.utcoffset() is None:
            raise InvalidTicks(f"{self.symbol}: at: must carry a zone, was {self.at}")
        if self.at.tzinfo is not IST:
            object.__setattr__(self, "at", self.at.astimezone(IST))


def price_rule(price: Decimal) -> str | None:
    """The rule that a price breaks, or `None`."""
    if not price.is_finite():
        return "must be a finite number"
    if price <= 0:
        return "must be above 0"
    if price >= MAX_PRICE:
        return f"must be below {MAX_PRICE}"
    return None


def _places_rule(price: Decimal) -> str | None:
    """The ledger keeps four places, and refuses more."""
    return None if price == price.quantize(PRICE_PLACES) else "must have at most four decimal places"
