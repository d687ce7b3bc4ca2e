"""Ticks from a CSV or Parquet file: recorded ticks as they are, or candles walked through."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.candles import LONGEST_CANDLE, SHORTEST_CANDLE, Candle, candle_ticks
from durable_orders.trading.market.tables import Row, Table, read_csv, read_parquet
from durable_orders.trading.market.ticks import LEVELS, Depth, Level, Tick, price_rule
from durable_orders.trading.orders.order import Symbol

SYMBOL: TypeAdapter[str] = TypeAdapter(Symbol)


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns, in any order."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    of_levels: tuple[str, ...] = ()
    """Optional too, and too many to be named in an error."""

    def fits(self, columns: tuple[str, ...]) -> bool:
        return set(self.required) <= set(columns) <= {*self.required, *self.optional, *self.of_levels}

    def __str__(self) -> str:
        levels = f",{self.of_levels[0]},{self.of_levels[1]} to {self.of_levels[-1]}" if self.of_levels else ""
        return f"{','.join(self.required)}[,{','.join(self.optional)}{levels}]"


LEVEL_COLUMNS = {
    side: tuple((f"{side}{number}_price", f"{side}{number}_quantity") for number in range(1, LEVELS + 1))
    for side in ("bid", "ask")
}
TICKS = Layout(
    ("timestamp", "last_price"),
    ("symbol", "volume", "bid", "ask"),
    tuple(column for levels in LEVEL_COLUMNS.values() for level in levels for column in level),
)
CANDLES = Layout(("datetime", "open", "high", "low", "close", "volume"), ("symbol",))


def read_ticks(path: Path, symbol: str | None, tick_size: Decimal) -> list[Tick]:
    """The ticks of a file, in the order of their time. `symbol` is whose they are where the file does not say.

    The header tells which of two layouts it is:

    - `timestamp,last_price[,symbol,volume,bid,ask]`: ticks, taken as they are. The time carries its zone; `volume`
      is the day's so far (Kite's `volume_traded`); an empty field is one that is not known. Several ticks may share a
      moment: exchanges tell the time in whole seconds. The order book may stand beside it, best level first, as
      `bid1_price,bid1_quantity` to `bid5_...` and `ask1_...` to `ask5_...`: a level that is not there is empty.
    - `datetime,open,high,low,close,volume[,symbol]`: candles of 1 to 60 minutes, as Kite's historical API gives them.
      A time without a zone is IST. The length of a candle is the shortest distance between two of one symbol; each
      becomes a tick every `candles.CANDLE_STEP` on multiples of `tick_size` (see `candles.candle_path`).

    Raises `InvalidTicks`, one line that names the file, the line, the column, the rule and the value.
    """
    table = (read_parquet if path.suffix == ".parquet" else read_csv)(path, InvalidTicks)
    if TICKS.fits(table.columns):
        return list(_ticks(table, symbol))
    if CANDLES.fits(table.columns):
        candles = list(_candles(table, symbol))
        return candle_ticks(candles, _length(table, candles), tick_size)
    header = ",".join(table.columns)
    raise InvalidTicks(f"{path.name}: header: must be {TICKS} or {CANDLES}, was {header[:200]!r}")


def _ticks(table: Table, symbol: str | None) -> Iterator[Tick]:
    latest = None
    has_book = not set(TICKS.of_levels).isdisjoint(table.columns)
    for row in table:
        at = row.moment("timestamp", None)
        if latest is not None and at < latest:
            raise row.problem("timestamp", f"must not be earlier than the tick before it, {latest}")
        latest = at
        volume = row.whole("volume", 0) if row.text("volume") else 0
        bid, ask = (row.decimal(column) if row.text(column) else None for column in ("bid", "ask"))
        whose, price = _symbol(row, symbol), row.decimal("last_price")
        book = [tuple(_levels(row, columns)) for columns in LEVEL_COLUMNS.values()] if has_book else []
        try:
            yield Tick(whose, price, at, volume, bid, ask, Depth(*book) if any(book) else None)
        except InvalidTicks as error:
            raise InvalidTicks(f"{row.place}: {error}") from None


def _levels(row: Row, columns: tuple[tuple[str, str], ...]) -> Iterator[Level]:
    for price, quantity in columns:
        if row.text(price):
            yield Level(row.decimal(price), row.whole(quantity, 1))
        elif row.text(quantity):
            raise row.problem(price, f"must be there, its {quantity} is")


def _candles(table: Table, symbol: str | None) -> Iterator[Candle]:
    latest: dict[str, datetime] = {}
    for row in table:
        whose, at = _symbol(row, symbol), row.moment("datetime", IST)
        if whose in latest and at <= latest[whose]:
            raise row.problem("datetime", f"must be later than the candle before it, {latest[whose]}")
        latest[whose] = at
        opening, high, low, close = (_price(row, column) for column in ("open", "high", "low", "close"))
        if high < low:
            raise row.problem("high", f"must not be below the low of {low}")
        for column, price in (("open", opening), ("close", close)):
            if not low <= price <= high:
                raise row.problem(column, f"must lie between the low of {low} and the high of {high}")
        yield Candle(whose, at, opening, high, low, close, row.whole("volume", 0))


def _price(row: Row, column: str) -> Decimal:
    price = row.decimal(column)
    if rule := price_rule(price):
        raise row.problem(column, rule)
    return price


def _symbol(row: Row, given: str | None) -> str:
    symbol = row.text("symbol") or given
    if not symbol:
        raise row.problem("symbol", "must be in the file, or set as market.symbol")
    if not _is_symbol(symbol):
        raise InvalidTicks(
            f"{row.place}: symbol: must be an exchange and a tradingsymbol as in NSE:INFY, was {symbol!r}"
        )
    return symbol


@lru_cache(maxsize=1024)
def _is_symbol(text: str) -> bool:
    try:
        SYMBOL.validate_python(text)
    except ValidationError:
        return False
    return True


def _length(table: Table, candles: list[Candle]) -> timedelta:
    """The shortest distance between two candles of one symbol, so that none runs into the next."""
    latest: dict[str, datetime] = {}
    distances = []
    for candle in candles:
        if candle.symbol in latest:
            distances.append(candle.at - latest[candle.symbol])
        latest[candle.symbol] = candle.at
    if not distances:
        raise InvalidTicks(f"{table.name}: datetime: must hold two candles of one symbol, to tell how long they are")
    if not SHORTEST_CANDLE <= (length := min(distances)) <= LONGEST_CANDLE:
        raise InvalidTicks(f"{table.name}: datetime: candles must be 1 to 60 minutes apart, were {length}")
    return length
