"""The instrument master: what can be traded, in which steps of price and quantity. Read from Kite's own CSV."""

import difflib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Self

from durable_orders.trading.errors import InvalidInstruments, RefusedError
from durable_orders.trading.market.files.moments import Moments
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.trading.market.tables import Row, read_csv
from durable_orders.trading.market.ticks import price_rule

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

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO")
"""Kite's. An index may be of another one."""
INDICES = "INDICES"
INDEX_TICK = Decimal("0.05")
"""The step in which NSE shows its indices. Kite gives an index a tick and a lot of 0: it cannot be ordered."""
BEGINNING = 3
"""Letters of a tradingsymbol in which a mistyped one is first taken to be right."""

SHARES = ("NSE", "BSE")
"""The exchanges of shares, which are Kite's segments of them too; those of derivatives have a dash, as in `NFO-FUT`."""


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
    def exchange(self) -> str:
        """Kite's code, as it stands before the colon."""
        return self.symbol.partition(":")[0]

    @property
    def tradable(self) -> bool:
        """Whether it can be ordered. An index has a price and nothing else."""
        return self.segment != INDICES


class Instruments:
    """Instruments by symbol and by token. One object for as long as a process runs: a new master renews it in place."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, Instrument] = {}
        self._by_token: dict[int, Instrument] = {}
        self._made: dict[str, Instrument] = {}
        self.left_out: dict[str, str] = {}
        """Symbols, or places in the file, whose rows cannot be read or contradict each other, with the reason."""
        self.version = 0
        """How often it was renewed."""

    @classmethod
    def read(cls, *paths: Path) -> Self:
        """Kite's CSV, whole or an exchange a file; Excel may have saved it, with its own dates. A row that cannot be
        read costs its symbol, and is in `left_out`.

        Raises `InvalidInstruments` for a file that is none or not whole, or of which no row can be read: one line that
        names the file, the line, the column and the rule.
        """
        found = cls()
        for path in paths:
            found._read(path)
        if not found._by_symbol:
            raise InvalidInstruments(next(iter(found.left_out.values())))
        return found

    def _read(self, path: Path) -> None:
        table = read_csv(path, InvalidInstruments)
        missing = [column for column in COLUMNS if column not in table.columns]
        if missing:
            raise InvalidInstruments(f"{path.name}: header: must have the column {missing[0]} (Kite's instruments CSV)")
        of_excel = []
        for row in table.rows():
            if isinstance(row, RefusedError):
                self.left_out[str(row).partition(": ")[2].partition(": ")[0]] = str(row)
            elif row.text("expiry") and not _is_iso(row.text("expiry")):
                of_excel.append(row)
            else:
                self._add(row)
        dates = Moments()
        dates.learn(row.text("expiry") for row in of_excel)
        for row in of_excel:
            with suppress(ValueError):  # what is no date stays, and is told as any other bad row
                row.cells["expiry"] = dates.day(row.text("expiry")).isoformat()
            self._add(row)

    def renew(self, other: "Instruments") -> None:
        """Have what the other has. Whoever holds this one has it from now on."""
        self._by_symbol, self._by_token, self.left_out = other._by_symbol, other._by_token, other.left_out
        self._by_symbol = self._made | self._by_symbol
        self.version += 1

    @classmethod
    def shipped(cls) -> Self:
        """The small master that comes with the package. See `shipped.shipped_instruments`."""
        return cls.read(shipped_instruments())

    def add(self, made: Instrument) -> None:
        """One that no master has, for as long as this process runs. Its token, if 0, is not known."""
        self._made[made.symbol] = made
        self._by_symbol[made.symbol] = made
        self.version += 1

    def get(self, symbol: str) -> Instrument | None:
        return self._by_symbol.get(symbol)

    def has_share(self, name: str) -> bool:
        """Whether a share of that name can be ordered. What has none is no share, or not known."""
        found = (self._by_symbol.get(f"{exchange}:{name}") for exchange in SHARES)
        return any(each is not None and each.tradable for each in found)

    def tick_size(self, symbol: str) -> Decimal | None:
        """Rupees; `None` for what is not traded."""
        instrument = self._by_symbol.get(symbol)
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
        """Kite's file may repeat a row. Of two that contradict each other neither counts."""
        try:
            instrument = _instrument(row)
        except InvalidInstruments as problem:
            self._leave_out(_symbol(row) or row.place, str(problem))
            return
        symbol = instrument.symbol
        if symbol in self.left_out:
            return
        known = self._by_symbol.get(symbol)
        other = self._by_token.get(instrument.instrument_token)
        if known is not None and known != instrument:
            words = row.problem("tradingsymbol", f"must be one instrument of {row.text('exchange')} only")
            self._leave_out(symbol, str(words))
        elif other is not None and other != instrument:
            words = row.problem("instrument_token", f"must not be that of {other.symbol} too")
            for each in (other.symbol, symbol):
                self._leave_out(each, str(words))
        else:
            self._by_symbol[symbol] = self._by_token[instrument.instrument_token] = instrument

    def _leave_out(self, symbol: str, words: str) -> None:
        self.left_out[symbol] = words
        known = self._by_symbol.pop(symbol, None)
        if known is not None:
            self._by_token.pop(known.instrument_token, None)


def _is_iso(text: str) -> bool:
    return text[:4].isdigit() and text[4:5] == "-"


def _symbol(row: Row) -> str | None:
    exchange, name = row.text("exchange"), row.text("tradingsymbol")
    return f"{exchange}:{name}" if exchange and name else None


def _instrument(row: Row) -> Instrument:
    index = row.text("segment") == INDICES
    if not index and row.text("exchange") not in EXCHANGES:
        raise row.problem("exchange", f"must be one of {', '.join(EXCHANGES)}")
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
