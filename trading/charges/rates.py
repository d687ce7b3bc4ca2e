"""The rates of `data/charges.yaml`: read, checked and looked up by segment, exchange and day."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from durable_orders.trading.data_files import read_data
from durable_orders.trading.errors import RefusedError
from durable_orders.trading.orders.order import Side

FILE = "charges.yaml"
RUPEES = " rupees"
UNITS = {"%": Decimal(100), " per lakh": Decimal(100_000), " per crore": Decimal(10_000_000)}
DAYS_KEPT = 1024
"""Looked-up rates kept in memory. A day of one account needs one for each segment and exchange it trades."""


class NoCharges(RefusedError):
    """The charges of a trade cannot be worked out: not in the rates, or not a trade. Nothing was booked."""


class Segment(StrEnum):
    """What is charged alike."""

    EQUITY_DELIVERY = "equity_delivery"
    EQUITY_MTF = "equity_mtf"
    """Delivery with Kite's product MTF: the same taxes, and a brokerage."""
    EQUITY_INTRADAY = "equity_intraday"
    EQUITY_FUTURES = "equity_futures"
    EQUITY_OPTIONS = "equity_options"
    CURRENCY_FUTURES = "currency_futures"
    CURRENCY_OPTIONS = "currency_options"
    COMMODITY_FUTURES = "commodity_futures"
    COMMODITY_OPTIONS = "commodity_options"
    AGRI_FUTURES = "agri_futures"
    """On the commodities that are free of CTT."""


class Exchange(StrEnum):
    """Kite's codes, as they stand before the colon of a symbol."""

    NSE = "NSE"
    BSE = "BSE"
    NFO = "NFO"
    BFO = "BFO"
    CDS = "CDS"
    BCD = "BCD"
    MCX = "MCX"
    NCO = "NCO"

    @classmethod
    def of(cls, symbol: str) -> "Exchange":
        """Of a symbol such as `NFO:NIFTY25MAYFUT`. Raises `NoCharges`, which names the exchanges that are known."""
        code = symbol.partition(":")[0]
        try:
            return cls(code)
        except ValueError:
            raise NoCharges(f"{symbol}: the exchange must be one of {', '.join(cls)}, was {code!r}") from None


def _portion(text: object) -> Decimal:
    """`0.1%`, `3.25 per lakh` or `375 per crore` as a factor of the turnover."""
    for unit, whole in UNITS.items():
        if isinstance(text, str) and text.endswith(unit):
            return Decimal(text.removesuffix(unit)) / whole
    raise ValueError(f"must be a number and one of {', '.join(unit.strip() for unit in UNITS)}, was {text!r}")


def _rupees(text: object) -> Decimal:
    if isinstance(text, str) and text.endswith(RUPEES):
        return Decimal(text.removesuffix(RUPEES))
    raise ValueError(f"must be a number and rupees, was {text!r}")


Portion = Annotated[Decimal, BeforeValidator(_portion), Field(ge=0, lt=1)]
Rupees = Annotated[Decimal, BeforeValidator(_rupees), Field(gt=0, decimal_places=2)]


class Entry(BaseModel):
    """One line of the sheet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: date = Field(alias="from")
    """The first day of the rate (IST)."""
    source: Annotated[str, Field(min_length=15)]
    """Circular or page, by name and date."""
    segments: tuple[Segment, ...] = tuple(Segment)
    exchanges: tuple[Exchange, ...] = tuple(Exchange)

    def covers(self, segment: Segment, exchange: Exchange) -> bool:
        return segment in self.segments and exchange in self.exchanges


class Rate(Entry):
    rate: Portion
    side: Side | None = None
    """Who pays; `None` for both."""

    def for_side(self, side: Side) -> Decimal:
        return self.rate if self.side in (None, side) else Decimal(0)


class Brokerage(Entry):
    """For each executed order: a portion of its turnover, at most so much, or a flat sum."""

    rate: Portion | None = None
    at_most: Rupees | None = None
    flat: Rupees | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.rate is None) == (self.flat is None):
            raise ValueError("brokerage: give either rate or flat")
        return self

    def of(self, turnover: Decimal) -> Decimal:
        """Rupees, not rounded, for an order that was executed."""
        if self.rate is None:
            return self.flat or Decimal(0)
        return turnover * self.rate if self.at_most is None else min(turnover * self.rate, self.at_most)


GstBase = Literal["brokerage", "exchange_turnover_charge", "sebi_turnover_charge"]


class Gst(Entry):
    rate: Portion
    base: tuple[GstBase, ...]


class DpCharge(Entry):
    fee: Rupees
    """Before GST."""


class Agricultural(Entry):
    names: tuple[str, ...]
    """Kite's names of the underlying."""


class RateSheet(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brokerage: tuple[Brokerage, ...]
    transaction_tax: tuple[Rate, ...]
    exchange_turnover_charge: tuple[Rate, ...]
    ipft: tuple[Rate, ...]
    sebi_turnover_charge: tuple[Rate, ...]
    stamp_duty: tuple[Rate, ...]
    gst: tuple[Gst, ...]
    dp_charge: tuple[DpCharge, ...]
    agricultural: Agricultural

    @model_validator(mode="after")
    def _one_rate_a_day(self) -> Self:
        for name, series in self.series().items():
            keys = Counter((pair, entry.since) for entry in series for pair in _pairs(entry))
            if double := [key for key, count in keys.items() if count > 1]:
                raise ValueError(f"{name}: two rates from {double[0][1]} for {' on '.join(double[0][0])}")
        return self

    def series(self) -> dict[str, tuple[Entry, ...]]:
        """The entries of each charge by its name in the file."""
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), tuple)}


E = TypeVar("E", bound=Entry)


def _pairs(entry: Entry) -> Iterable[tuple[Segment, Exchange]]:
    return ((segment, exchange) for segment in entry.segments for exchange in entry.exchanges)


@dataclass(frozen=True, slots=True)
class DayRates:
    """What holds for one segment on one exchange on one day."""

    brokerage: Brokerage
    transaction_tax: Rate
    exchange_turnover_charge: Rate
    ipft: Rate
    sebi_turnover_charge: Rate
    stamp_duty: Rate
    gst: Gst
    dp_charge: DpCharge


@cache
def rate_sheet() -> RateSheet:
    """The sheet that is shipped with the package."""
    return RateSheet.model_validate(read_data("durable_orders.trading.charges", FILE))


@lru_cache(maxsize=DAYS_KEPT)
def rates_on(segment: Segment, exchange: Exchange, on: date) -> DayRates:
    """Raises `NoCharges` where the two do not go together, and for a day before the first rates."""
    first = first_day(segment, exchange)
    if on < first:
        raise NoCharges(f"{FILE}: the rates for {segment} on {exchange} begin on {first}; there are none for {on}")
    sheet = rate_sheet()
    where = segment, exchange, on
    return DayRates(
        brokerage=latest(sheet.brokerage, *where),
        transaction_tax=latest(sheet.transaction_tax, *where),
        exchange_turnover_charge=latest(sheet.exchange_turnover_charge, *where),
        ipft=latest(sheet.ipft, *where),
        sebi_turnover_charge=latest(sheet.sebi_turnover_charge, *where),
        stamp_duty=latest(sheet.stamp_duty, *where),
        gst=latest(sheet.gst, *where),
        dp_charge=latest(sheet.dp_charge, *where),
    )


def first_day(segment: Segment, exchange: Exchange) -> date:
    """From which every charge is known. Raises `NoCharges` if one never is."""
    begins = []
    for name, series in rate_sheet().series().items():
        known = [entry.since for entry in series if entry.covers(segment, exchange)]
        if not known:
            raise NoCharges(f"{FILE}: {name}: there is no rate for {segment} on {exchange}")
        begins.append(min(known))
    return max(begins)


def latest(series: Iterable[E], segment: Segment, exchange: Exchange, on: date) -> E:
    """The entry that holds on a day from `first_day` on."""
    return max((entry for entry in series if entry.covers(segment, exchange) and entry.since <= on), key=_since)


def _since(entry: Entry) -> date:
    return entry.since
