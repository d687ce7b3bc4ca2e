"""Which column of a file is what: a table of the names that sources have, and of what else is true of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.ticks import LEVELS


class Role(StrEnum):
    """What a column is for."""

    TIME = "time"
    CLOCK = "clock"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    SYMBOL = "symbol"
    EXCHANGE = "exchange"
    SEGMENT = "segment"
    SERIES = "series"
    CONTRACT = "contract"
    LOT = "lot"
    EXPIRY = "expiry"
    STRIKE = "strike"
    KIND = "kind"
    NUMBER = "instrument_token"
    """Kite's and KiteTicker's."""
    LAST = "last_price"
    BID = "bid"
    ASK = "ask"
    DEPTH = "depth"


PRICES = (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)


@dataclass(frozen=True, slots=True)
class Source:
    """Who writes such files. Names are in small letters, letters and digits only; the first that is there counts."""

    name: str
    columns: Mapping[Role, tuple[str, ...]]
    required: frozenset[Role]
    marks: frozenset[str] = frozenset()
    """Columns by which nobody else's files are taken for this source's."""
    exchange: str | None = None
    """Of names that have none."""
    is_ticks: bool = False
    is_bhavcopy: bool = False
    """A file of the exchange's: rows of what did not trade, and of several series."""


NAMES: Mapping[Role, tuple[str, ...]] = {
    Role.TIME: ("datetime", "timestamp", "date", "time", "datetimeist", "unnamed0", "indexlevel0", "index", ""),
    Role.OPEN: ("open", "openprice", "o"),
    Role.HIGH: ("high", "highprice", "h"),
    Role.LOW: ("low", "lowprice", "l"),
    Role.CLOSE: ("close", "closeprice", "c"),
    Role.VOLUME: ("volume", "vol", "v", "totaltradedquantity", "sharestraded", "tradedvolume"),
    Role.SYMBOL: ("symbol", "tradingsymbol", "ticker", "stock"),
    Role.EXCHANGE: ("exchange",),
    Role.NUMBER: ("instrumenttoken",),
}
CANDLE = frozenset({Role.TIME, *PRICES})
TICK = frozenset({Role.TIME, Role.LAST})

UDIFF = Source(
    "UDiFF bhavcopy",
    {
        Role.TIME: ("traddt",),
        Role.OPEN: ("opnpric",),
        Role.HIGH: ("hghpric",),
        Role.LOW: ("lwpric",),
        Role.CLOSE: ("clspric",),
        Role.VOLUME: ("ttltradgvol",),
        Role.SYMBOL: ("tckrsymb",),
        Role.EXCHANGE: ("src",),
        Role.SEGMENT: ("sgmt",),
        Role.SERIES: ("sctysrs",),
        Role.CONTRACT: ("fininstrmnm",),
        Role.LOT: ("newbrdlotqty",),
    },
    CANDLE | {Role.SYMBOL, Role.EXCHANGE, Role.SEGMENT, Role.CONTRACT, Role.LOT, Role.VOLUME},
    marks=frozenset({"traddt", "tckrsymb"}),
    is_bhavcopy=True,
)
OLD_FO_BHAVCOPY = Source(
    "NSE F&O bhavcopy",
    {
        **NAMES,
        Role.TIME: ("timestamp",),
        Role.VOLUME: ("contracts",),
        Role.EXPIRY: ("expirydt",),
        Role.STRIKE: ("strikepr",),
        Role.KIND: ("optiontyp",),
    },
    CANDLE | {Role.SYMBOL, Role.EXPIRY, Role.STRIKE, Role.KIND},
    marks=frozenset({"expirydt", "contracts"}),
    exchange="NFO",
    is_bhavcopy=True,
)
FULL_BHAVCOPY = Source(
    "NSE full bhavcopy",
    {**NAMES, Role.TIME: ("date1",), Role.VOLUME: ("ttltrdqnty",), Role.SERIES: ("series",)},
    CANDLE | {Role.SYMBOL, Role.SERIES},
    marks=frozenset({"date1", "ttltrdqnty"}),
    exchange="NSE",
    is_bhavcopy=True,
)
OLD_BHAVCOPY = Source(
    "NSE bhavcopy",
    {**NAMES, Role.TIME: ("timestamp",), Role.VOLUME: ("tottrdqty",), Role.SERIES: ("series",)},
    CANDLE | {Role.SYMBOL, Role.SERIES},
    marks=frozenset({"tottrdqty", "timestamp"}),
    exchange="NSE",
    is_bhavcopy=True,
)
NSE_HISTORY = Source(
    "NSE historical data",
    {**NAMES, Role.TIME: ("date",), Role.SERIES: ("series",)},
    CANDLE | {Role.SERIES},
    marks=frozenset({"date", "series"}),
    exchange="NSE",
    is_bhavcopy=True,
)
TICKER = Source(
    "KiteTicker",
    {
        Role.TIME: ("exchangetimestamp", "timestamp", "lasttradetime"),
        Role.LAST: ("lastprice",),
        Role.VOLUME: ("volumetraded", "volume"),
        Role.SYMBOL: ("symbol", "tradingsymbol"),
        Role.EXCHANGE: ("exchange",),
        Role.NUMBER: ("instrumenttoken", "token"),
        Role.BID: ("bid",),
        Role.ASK: ("ask",),
        Role.DEPTH: ("depth",),
    },
    TICK,
    is_ticks=True,
)
POLLED = Source(
    "last prices",
    {
        **TICKER.columns,
        Role.TIME: ("exchangetimestamp", "timestamp", "datetime", "date", "time", "lasttradetime"),
        Role.LAST: ("lastprice", "ltp", "last", "price"),
    },
    TICK,
    is_ticks=True,
)
CANDLES = Source("candles", NAMES, CANDLE)

SOURCES = (UDIFF, OLD_FO_BHAVCOPY, FULL_BHAVCOPY, OLD_BHAVCOPY, NSE_HISTORY, TICKER, CANDLES, POLLED)
"""In the order in which they are tried."""

LEVEL_COLUMNS = {
    side: tuple((f"{side}{number}_price", f"{side}{number}_quantity") for number in range(1, LEVELS + 1))
    for side in ("bid", "ask")
}
OWN_TICKS = f"timestamp,last_price[,symbol,volume,bid,ask,bid1_price,bid1_quantity to ask{LEVELS}_quantity]"
OWN_CANDLES = "datetime,open,high,low,close[,volume,symbol]"
NOT_NAMES = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Layout:
    """A file's own: where each thing stands in a row."""

    source: Source
    at: dict[Role, int]
    levels: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """Columns of the order book, price and quantity, by side."""
    left_out: tuple[str, ...] = ()
    """Columns that are not needed."""


def layout_of(file: str, columns: tuple[str, ...]) -> Layout:
    """What the columns are. Raises `InvalidTicks` for a header that no source has."""
    plain = tuple(NOT_NAMES.sub("", column.lower()) for column in columns)
    for source in SOURCES:
        found = {role: name for role, names in source.columns.items() if (name := _first(names, plain)) is not None}
        if not source.required <= found.keys() or not source.marks <= set(plain):
            continue
        if found[Role.TIME] == "date" and "time" in plain:
            found[Role.CLOCK] = "time"
        for name in found.values():
            if plain.count(name) > 1:
                column = columns[plain.index(name)]
                raise InvalidTicks(f"{file}: header: {column}: must be there only once")
        levels = _levels(plain) if source.is_ticks else {}
        used = {plain.index(name) for name in found.values()}
        used |= {number for pairs in levels.values() for pair in pairs for number in pair}
        left_out = tuple(name or "(no name)" for number, name in enumerate(columns) if number not in used and name)
        return Layout(source, {role: plain.index(name) for role, name in found.items()}, levels, left_out)
    header = ",".join(columns)
    words = f"must be {OWN_TICKS} or {OWN_CANDLES}, or another layout of docs/data-files.md, was {header[:200]!r}"
    raise InvalidTicks(f"{file}: header: {words}")


def _first(names: tuple[str, ...], plain: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in plain), None)


def _levels(plain: tuple[str, ...]) -> dict[str, tuple[tuple[int, int], ...]]:
    found = {}
    for side, levels in LEVEL_COLUMNS.items():
        flat = [tuple(NOT_NAMES.sub("", name) for name in pair) for pair in levels]
        pairs = tuple((plain.index(price), plain.index(units)) for price, units in flat if {price, units} <= {*plain})
        if pairs:
            found[side] = pairs
    return found
