"""Instruments of data files that no master has: contracts that have expired (`data/index_contracts.yaml`), and what the
user says of the rest."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.data_files import read_data
from durable_orders.trading.market.calendar import segment_calendar
from durable_orders.trading.market.instruments import INDEX_TICK, INDICES, SHARES, Instrument
from durable_orders.trading.market.rules import rules
from durable_orders.trading.market.tradingsymbols import EXPIRING, MONTHS, SHORT_MONTHS, month_of

FILE = "index_contracts.yaml"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
OF_SHARES = "SHARES"
Source = Annotated[str, Field(min_length=15)]


class Cycle(StrEnum):
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class _Entry(BaseModel):
    """Of contracts that expire in these days."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: date = Field(alias="from")
    until: date = date.max
    source: Source

    def covers(self, expiry: date) -> bool:
        return self.since <= expiry <= self.until


class Lot(_Entry):
    name: str
    of: Cycle | None = None
    """Without one, of both."""
    units: Annotated[int, Field(gt=0)]


class ExpiryDay(_Entry):
    names: frozenset[str]
    weekday: str


class Step(_Entry):
    kinds: frozenset[str]
    names: frozenset[str]
    step: Decimal


class IndexContracts(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lots: tuple[Lot, ...]
    expiries: tuple[ExpiryDay, ...]
    ticks: tuple[Step, ...]


@cache
def index_contracts() -> IndexContracts:
    return IndexContracts.model_validate(read_data("durable_orders.trading.market", FILE))


@dataclass(frozen=True, slots=True)
class Unlisted:
    """What the user says of instruments that no master has; it lies over the file."""

    lot: int | None = None
    """Units."""
    tick: Decimal | None = None
    """Rupees."""


@dataclass(frozen=True, slots=True)
class Made:
    """An instrument that no master has, or what is missing for it to be one."""

    instrument: Instrument | None
    words: str
    """What it was taken to be and by what; or what is missing."""


def made_instrument(symbol: str, told: Unlisted) -> Made:
    """By its symbol: an index, a share, or a contract. What is not known of it is never made up."""
    exchange, _, name = symbol.partition(":")
    index = next((key for key, own in rules().indices.symbols.items() if own == symbol), None)
    if index is not None:
        found = Instrument(symbol, 0, INDEX_TICK, 1, None, None, "EQ", INDICES, name)
        return Made(found, f"{symbol} is in no master: taken as an index, which cannot be ordered")
    match = EXPIRING.fullmatch(name) if exchange not in SHARES else None
    if match is None:
        if exchange not in SHARES or told.tick is None:
            return _missing(lot=exchange in SHARES or told.lot is not None, tick=told.tick is not None)
        found = Instrument(symbol, 0, told.tick, told.lot or 1, None, None, "EQ", exchange, name)
        return Made(found, f"{symbol} is in no master: tick {told.tick}, as told")
    return _contract(symbol, told)


def _contract(symbol: str, told: Unlisted) -> Made:
    exchange, _, name = symbol.partition(":")
    match = EXPIRING.fullmatch(name)
    assert match is not None  # noqa: S101
    underlying, kind = match["underlying"], match["kind"]
    cycle = Cycle.WEEKLY if match["day"] else Cycle.MONTHLY
    expiry = expiry_of_symbol(symbol)
    is_of_nse = exchange == "NFO"
    lots = [each for each in index_contracts().lots if each.name == underlying and each.of in (None, cycle)]
    ticks = [each for each in index_contracts().ticks if underlying in each.names and kind in each.kinds]
    own_lot = next((each for each in lots if expiry and each.covers(expiry)), None) if is_of_nse else None
    own_tick = next((each for each in ticks if expiry and each.covers(expiry)), None) if is_of_nse else None
    lot = told.lot or (own_lot.units if own_lot is not None else None)
    tick = told.tick or (own_tick.step if own_tick is not None else None)
    if lot is None or tick is None:
        return _missing(lot=lot is not None, tick=tick is not None)
    segment = f"{exchange}-{'FUT' if kind == 'FUT' else 'OPT'}"
    strike = Decimal(match["strike"]) if match["strike"] else None
    found = Instrument(symbol, 0, tick, lot, expiry, strike, kind, segment, underlying)
    ends = f"expires {expiry:%d %b %Y}" if expiry is not None else "day of expiry not known"
    by = "as told" if own_lot is None or told.lot else own_lot.source
    return Made(found, f"{symbol} is in no master: lot {lot}, tick {tick:f}, {ends} ({by})")


def _missing(*, lot: bool, tick: bool) -> Made:
    options = [option for option, known in (("--lot", lot), ("--tick", tick)) if not known]
    return Made(None, f"{' and '.join(options)} would say what no master has of it")


def expiry_of_symbol(symbol: str) -> date | None:
    """The day on which a contract of NSE's expires, by its symbol; `None` where that is not known. A weekly option says
    it itself."""
    exchange, _, name = symbol.partition(":")
    match = EXPIRING.fullmatch(name)
    if match is None:
        return None
    year, month = 2000 + int(match["year"]), month_of(match["month"] or match["short"])
    last = date(year, month, monthrange(year, month)[1])
    if match["day"] is not None:
        return last.replace(day=int(match["day"])) if 1 <= int(match["day"]) <= last.day else None
    if exchange != "NFO":
        return None
    name = match["underlying"] if match["underlying"] in rules().indices.names else OF_SHARES
    for entry in index_contracts().expiries:
        day = last - timedelta(days=(last.weekday() - WEEKDAYS.index(entry.weekday)) % 7)
        if name in entry.names and entry.covers(day):
            return _trading_day(day)
    return None


def contract_name(underlying: str, expiry: date, strike: Decimal | None, kind: str) -> str:
    """Kite's tradingsymbol of NSE's future (without a `strike`) or option. One that does not expire with its month's
    is a weekly one."""
    monthly = f"{underlying}{expiry:%y}{MONTHS[expiry.month - 1]}"
    if strike is None:
        return f"{monthly}FUT"
    of_month = expiry_of_symbol(f"NFO:{monthly}FUT")
    weekly = f"{underlying}{expiry:%y}{SHORT_MONTHS[expiry.month - 1]}{expiry:%d}"
    price = f"{strike.normalize():f}"
    return f"{monthly if of_month in (None, expiry) else weekly}{price}{kind}"


def _trading_day(day: date) -> date | None:
    """That day, or the last day of trading before it; `None` where the calendar does not know."""
    calendar = segment_calendar(MarketSegment.EQUITY_OPTIONS)
    for back in range(7):
        session = calendar.session_on(day - timedelta(days=back))
        if session is not None:
            return session.date if session.known else None
    return None
