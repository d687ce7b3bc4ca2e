"""What a symbol says by itself: of which kind it is, what it is written on, and what one of its quantity stands for.

Kite's instrument master forgets a contract when it expires. Its symbol stays in the ledger, and so does what it cost
and earned: so that is worked out from the symbol alone, today and years later alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from durable_orders.trading.charges.rates import Exchange
from durable_orders.trading.data_files import read_data
from durable_orders.trading.market.tradingsymbols import EXPIRING, month_of

FILE = "contracts.yaml"
SHARES = (Exchange.NSE, Exchange.BSE)
IN_UNITS = (*SHARES, Exchange.NFO, Exchange.BFO)
"""Where an order's quantity is a number of units, and never of lots."""
SYMBOLS_KEPT = 4096


class Kind(StrEnum):
    """Kite's `instrument_type`."""

    SHARE = "EQ"
    FUTURE = "FUT"
    CALL = "CE"
    PUT = "PE"

    @property
    def is_option(self) -> bool:
        return self in (Kind.CALL, Kind.PUT)


@dataclass(frozen=True, slots=True)
class Contract:
    exchange: Exchange
    kind: Kind
    underlying: str
    """Of a share, its own tradingsymbol."""
    multiplier: int | None
    """Units of the price that one of the quantity stands for; `None` where that is not known."""


class Sizes(BaseModel):
    """One list of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exchanges: tuple[Exchange, ...]
    since: Annotated[date, Field(alias="from")] = date.min
    """Of contracts that expire on that day or later."""
    source: Annotated[str, Field(min_length=15)]
    units: dict[str, Annotated[int, Field(gt=0)]]


Underlying = tuple[Exchange, str]
_told: dict[Underlying, int] = {}
"""The sizes that lie over the file, in this process."""


@cache
def sizes() -> dict[Underlying, tuple[tuple[date, int], ...]]:
    """The units of the file by exchange and underlying, each with its first expiry, from the latest on."""
    found: dict[Underlying, tuple[tuple[date, int], ...]] = {}
    for each in TypeAdapter(tuple[Sizes, ...]).validate_python(read_data("durable_orders.trading.charges", FILE)):
        for exchange in each.exchanges:
            for name, size in each.units.items():
                known = (*found.get((exchange, name), ()), (each.since, size))
                found[exchange, name] = tuple(sorted(known, reverse=True))
    return found


def use_sizes(*told: Mapping[str, int]) -> None:
    """From now on this process goes by these sizes, of underlyings such as `MCX:NICKEL`; the later ones lie over the
    earlier, and all of them over the file. Raises `ValueError` for a key that names none."""
    wanted = {underlying_of(key): size for sizes in told for key, size in sizes.items()}
    if wanted != _told:
        _told.clear()
        _told.update(wanted)
        for known in (contract_of, size_of, multiplier_of):
            known.cache_clear()


def underlying_of(key: str) -> Underlying:
    """Of `MCX:NICKEL`. Raises `ValueError` unless its contracts are counted in lots."""
    code, _, name = key.partition(":")
    if code not in set(Exchange) - set(IN_UNITS) or not name:
        raise ValueError(f"{key}: must be an exchange that counts in lots and an underlying, as in MCX:NICKEL")
    return Exchange(code), name


def _size(exchange: Exchange, name: str, expires: date) -> int | None:
    told = _told.get((exchange, name))
    if told is not None:
        return told
    return next((size for since, size in sizes().get((exchange, name), ()) if since <= expires), None)


def _last_day(year: str, month: str) -> date:
    """Of the month in which a contract expires, as its symbol has it: `26` and `DEC`, or `D` for a weekly one."""
    number = month_of(month)
    whole = 2000 + int(year)
    return date(whole + number // 12, number % 12 + 1, 1) - timedelta(days=1)


@lru_cache(maxsize=SYMBOLS_KEPT)
def contract_of(symbol: str) -> Contract | None:
    """What that symbol, such as `MCX:CRUDEOIL25MAYFUT`, is; `None` where its symbol does not say."""
    code, _, name = symbol.partition(":")
    if code not in set(Exchange):
        return None
    exchange = Exchange(code)
    if exchange in SHARES:
        return Contract(exchange, Kind.SHARE, name, 1)
    found = EXPIRING.fullmatch(name)
    if found is None:
        return None
    expires = _last_day(found["year"], found["month"] or found["short"])
    multiplier = 1 if exchange in IN_UNITS else _size(exchange, found["underlying"], expires)
    return Contract(exchange, Kind(found["kind"]), found["underlying"], multiplier)


def expires_by(symbol: str) -> date | None:
    """The day on which the contract of that symbol expires at the latest: its own for a weekly option, the last of its
    month for the others. `None` for what is no contract."""
    code, _, name = symbol.partition(":")
    found = None if code in SHARES or code not in set(Exchange) else EXPIRING.fullmatch(name)
    if found is None:
        return None
    last = _last_day(found["year"], found["month"] or found["short"])
    if found["day"] is None:
        return last
    return last.replace(day=int(found["day"])) if 1 <= int(found["day"]) <= last.day else None


@lru_cache(maxsize=SYMBOLS_KEPT)
def size_of(symbol: str) -> int | None:
    """The multiplier of that symbol: rupees of one of its quantity are this times the quoted price. `None` where it is
    not known, so that no limit in rupees can be kept."""
    contract = contract_of(symbol)
    if contract is not None:
        return contract.multiplier
    return 1 if symbol.partition(":")[0] in IN_UNITS else None


@lru_cache(maxsize=SYMBOLS_KEPT)
def multiplier_of(symbol: str) -> int:
    """The same, and 1 where it is not known: its figures are then those of one unit a lot."""
    return size_of(symbol) or 1
