"""The instrument master: what can be traded, in which steps of price and quantity. Read from Kite's own CSV."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Self

from trading.errors import InvalidInstruments
from trading.market.shipped import shipped_instruments
from trading.market.tables import Row, read_csv
from trading.market.ticks import price_rule

COLUMNS = (
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
)
"""Kite's, in Kite's order (Kite documentation, instruments). Further ones are left alone."""

INDICES = "INDICES"
INDEX_TICK = Decimal("0.05")
"""The step in which NSE shows its indices. Kite gives an index a tick and a lot of 0: it cannot be ordered."""
BEGINNING = 3
"""Letters of a tradingsymbol in which a mistyped one is first taken to be right."""


@dataclass(frozen=True, slots=True)
class Instrument:
    symbol: str
    """Exchange and tradingsymbol, as in `NSE:INFY`."""
    instrument_token: int
    """Kite's number of it in the stream: exchange token << 8 | segment number."""
    tick_size: Decimal
    """Rupees, above 0; prices are multiples of it."""
    lot_size: int
    """At least 1; quantities are multiples of it. Commodities have 1: Kite counts them in lots."""
    expiry: date | None
    strike: Decimal | None
    """Rupees, of options only."""
    instrument_type: str
    """`EQ`, `FUT`, `CE` or `PE`."""
    segment: str
    """Such as `NSE`, `NFO-FUT` or `INDICES`."""
    name: str

    @property
    def tradable(self) -> bool:
        """Whether it can be ordered. An index has a price and nothing else."""
        return self.segment != INDICES


class Instruments:
    """Instruments by symbol and by token."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, Instrument] = {}
        self._by_token: dict[int, Instrument] = {}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Kite's CSV. Raises `InvalidInstruments`, one line that names the file, the line, the column and the rule."""
        table = read_csv(path, InvalidInstruments)
        missing = [column for column in COLUMNS if column not in table.columns]
        if missing:
            raise InvalidInstruments(f"{path.name}: header: must have the column {missing[0]} (Kite's instruments CSV)")
        found = cls()
        for row in table:
            found._add(row)
        return found

    @classmethod
    def shipped(cls) -> Self:
        """The small master that comes with the package. See `shipped.shipped_instruments`."""
        return cls.read(shipped_instruments())

    def get(self, symbol: str) -> Instrument | None:
        return self._by_symbol.get(symbol)

    def tick_size(self, symbol: str) -> Decimal | None:
        """Rupees; `None` for what is not traded."""
        instrument = self.get(symbol)
        return None if instrument is None else instrument.tick_size

    def by_token(self, token: int) -> Instrument | None:
        return self._by_token.get(token)

    def __iter__(self) -> Iterator[Instrument]:
        """The instruments themselves, in the order of the file."""
        return iter(self._by_symbol.values())

    def __len__(self) -> int:
        return len(self._by_symbol)

    def nearest(self, symbol: str) -> str | None:
        """The known symbol that looks most like it, for error messages; `None` if nothing does.

        Kite's master has a hundred thousand rows and comparing is slow, so those that begin alike come first.
        """
        begin = symbol.rpartition(":")[2][:BEGINNING]
        alike = [known for known in self._by_symbol if known.rpartition(":")[2].startswith(begin)]
        near = difflib.get_close_matches(symbol, alike, n=1) or difflib.get_close_matches(symbol, self._by_symbol, n=1)
        return near[0] if near else None

    def _add(self, row: Row) -> None:
        """Kite's file may repeat a row; the same symbol or token for two different instruments is an error."""
        instrument = _instrument(row)
        if self._by_symbol.setdefault(instrument.symbol, instrument) != instrument:
            raise row.problem("tradingsymbol", f"must be one instrument of {row.text('exchange')} only")
        other = self._by_token.setdefault(instrument.instrument_token, instrument)
        if other != instrument:
            raise row.problem("instrument_token", f"must not be that of {other.symbol} too")


def _instrument(row: Row) -> Instrument:
    index = row.text("segment") == INDICES
    return Instrument(
        symbol=f"{_required(row, 'exchange')}:{_required(row, 'tradingsymbol')}",
        instrument_token=row.whole("instrument_token", 1),
        tick_size=(_number(row, "tick_size") or INDEX_TICK) if index else _positive(row, "tick_size"),
        lot_size=(row.whole("lot_size", 0) or 1) if index else row.whole("lot_size", 1),
        expiry=row.day("expiry") if row.text("expiry") else None,
        strike=(_number(row, "strike") or None) if row.text("strike") else None,
        instrument_type=_required(row, "instrument_type"),
        segment=_required(row, "segment"),
        name=row.text("name"),
    )


def _required(row: Row, column: str) -> str:
    if not (text := row.text(column)):
        raise row.problem(column, "must not be empty")
    return text


def _positive(row: Row, column: str) -> Decimal:
    number = row.decimal(column)
    if rule := price_rule(number):
        raise row.problem(column, rule)
    return number


def _number(row: Row, column: str) -> Decimal:
    """0 where Kite has nothing to say."""
    number = row.decimal(column)
    return number if number.is_finite() and number == 0 else _positive(row, column)
