"""One tick: the last price of a symbol at a moment of the market's time, and the order book if the source shows it."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from itertools import pairwise, repeat

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import PRICE_PLACES

MAX_PRICE = Decimal(10) ** 10
"""Rupees. As for orders: 14 digits, four of them behind the point."""


LEVELS = 5
"""Of each side, that Kite shows (Kite documentation, quote mode `full`)."""


@dataclass(frozen=True, slots=True)
class Level:
    """So many units offered or wanted at one price, in rupees."""

    price: Decimal
    quantity: int


@dataclass(frozen=True, slots=True)
class Depth:
    """The best five levels of each side, best first. Raises `InvalidTicks` for a book that cannot be."""

    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()

    def __post_init__(self) -> None:
        for name, levels, sign in (("bids", self.bids, -1), ("asks", self.asks, 1)):
            if len(levels) > LEVELS:
                raise InvalidTicks(f"depth: {name}: must be at most {LEVELS} levels, were {len(levels)}")
            for level in levels:
                if rule := tick_price_rule(level.price):
                    raise InvalidTicks(f"depth: {name}: {rule}, was {level.price}")
                if level.quantity <= 0:
                    raise InvalidTicks(f"depth: {name}: quantities must be above 0, was {level.quantity}")
            if any((after.price - before.price) * sign <= 0 for before, after in pairwise(levels)):
                raise InvalidTicks(f"depth: {name}: must be in the order of their price, best first")
        if self.bids and self.asks and self.bids[0].price >= self.asks[0].price:
            raise InvalidTicks(f"depth: the best bid of {self.bids[0].price} must be below the best ask")


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
    depth: Depth | None = None
    """`None` where the source does not say."""

    def __post_init__(self) -> None:
        for field, price in (("last_price", self.last_price), ("bid", self.bid), ("ask", self.ask)):
            if price is not None and (rule := tick_price_rule(price)):
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


def tick_price_rule(price: Decimal) -> str | None:
    """The rule that a price of a tick breaks, or `None`: the ledger keeps four places, and refuses more."""
    if rule := price_rule(price):
        return rule
    return None if price == price.quantize(PRICE_PLACES) else "must have at most four decimal places"


def made_ticks(*columns: Iterable[object]) -> list[Tick]:
    """Ticks of fields that were held against the rules already: a column for each field, in their order. Prices as by
    `tick_price_rule`, volumes of at least 0, times in `IST`; nothing of that is asked again."""
    symbols = list(columns[0])
    made = list(map(object.__new__, repeat(Tick, len(symbols))))
    for name, column in zip(fields(Tick), (symbols, *columns[1:]), strict=True):
        deque(map(Tick.__dict__[name.name].__set__, made, column), maxlen=0)
    return made
