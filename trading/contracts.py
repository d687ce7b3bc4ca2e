"""What a symbol says by itself: of which kind it is, what it is written on, and what one of its quantity stands for.

Kite's instrument master forgets a contract when it expires. Its symbol stays in the ledger, and so does what it cost
and earned: so that is worked out from the symbol alone, today and years later alike.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trading.fee_rates import Exchange

FILE = "contracts.yaml"
SHARES = (Exchange.NSE, Exchange.BSE)
IN_UNITS = (*SHARES, Exchange.NFO, Exchange.BFO)
"""Where an order's quantity is a number of units, and never of lots."""
SYMBOLS_KEPT = 4096
EXPIRING = re.compile(r"(?P<underlying>.+?)\d{2}(?:[A-Z]{3}|[1-9OND]\d{2})[\d.]*(?P<kind>FUT|CE|PE)")
"""Kite's tradingsymbols: year and month, or year, month and day of a weekly option; then the strike."""


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
    source: Annotated[str, Field(min_length=15)]
    units: dict[str, Annotated[int, Field(gt=0)]]


@cache
def sizes() -> dict[tuple[Exchange, str], int]:
    """The units of the file by exchange and underlying."""
    content = (files("trading") / "data" / FILE).read_text(encoding="utf-8")
    lists = TypeAdapter(tuple[Sizes, ...]).validate_python(yaml.safe_load(content))
    return {
        (exchange, name): size for each in lists for exchange in each.exchanges for name, size in each.units.items()
    }


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
    multiplier = 1 if exchange in IN_UNITS else sizes().get((exchange, found["underlying"]))
    return Contract(exchange, Kind(found["kind"]), found["underlying"], multiplier)


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
