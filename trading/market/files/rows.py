"""From a row to a candle or a tick: what each cell says, and the rule it breaks if it cannot be."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.candles import Candle
from durable_orders.trading.market.files.blocks import MAX_WHOLE, Cells
from durable_orders.trading.market.files.containers import Grid
from durable_orders.trading.market.files.layouts import PRICES, Layout, Role
from durable_orders.trading.market.files.moments import ZONE_TOLD, AmbiguousDate, Moments
from durable_orders.trading.market.files.names import Names, UnknownName
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.past_contracts import contract_name
from durable_orders.trading.market.ticks import Depth, Level, Tick, price_rule

NULLS = frozenset({"", "null", "none", "nan", "na", "n/a", "-"})
GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{2,3})+(\.\d*)?")
"""`1,048,410` and `10,48,410`."""
PLACES = -4
"""The exponent of the last digit of a price that is one. Beyond it there is noise of floats, or an adjusted price."""
PAISA = Decimal("0.01")
NOISE = Decimal("1e-7")
"""Of a price: half a unit in the last place of a 32-bit float is 6e-8 of it."""
DERIVATIVES = {"NSE": "NFO", "BSE": "BFO"}
"""Kite's exchange of what is in the F&O file of an exchange."""
SHOWN = 60
"""Characters of a bad value that an error repeats."""

TickSize = Callable[[str], Decimal]


def is_null(cell: Any) -> bool:
    return cell is None or (str(cell).strip().lower() in NULLS)


def on_tick(price: Decimal, size: Decimal) -> Decimal:
    """A price that is off its tick by no more than the noise of a float is put on it, or on a paisa where ticks were
    finer; every other one stays."""
    exponent = price.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= PLACES:
        return price
    for step in (size, PAISA):
        nearest = (price / step).to_integral_value() * step
        if abs(price - nearest) <= NOISE * abs(price):
            return nearest
    return price


@dataclass(slots=True)
class Rows:
    """The rows of one file. Each method raises `InvalidTicks`, one line with the place, the column and the rule."""

    path: Path
    grid: Grid
    layout: Layout
    moments: Moments
    names: Names
    tick_size: TickSize
    report: ReadingReport
    is_before_opening: Callable[[str, datetime], bool]
    """Whether the market of a symbol is not open at a moment, so that a crossed book is no contradiction."""
    _of_file: str | None = None
    _time: int = field(init=False)

    def __post_init__(self) -> None:
        self._time = self.layout.at[Role.TIME]

    def problem(self, number: int, column: str, rule: str, value: Any) -> InvalidTicks:
        text = "" if value is None else str(value)
        return InvalidTicks(f"{self.grid.place(number)}: {column}: {rule}, was {text[:SHOWN]!r}")

    def moment(self, number: int, cells: Cells) -> datetime:
        cell = cells[self._time]
        clock = self.layout.at.get(Role.CLOCK)
        try:
            at = self.moments.read(cell, cells[clock] if clock is not None else None)
        except AmbiguousDate:
            rule = "may be of two days, say which with --dates day-first or month-first"
            raise self._wrong(number, Role.TIME, rule, cell) from None
        except (ValueError, OverflowError):
            raise self._wrong(number, Role.TIME, "must be a time as in 2025-04-29 09:15:00+05:30", cell) from None
        if self.moments.told_zone:
            self.report.note(ZONE_TOLD)
        return at

    def out_of_order(self, number: int, cells: Cells, rule: str) -> InvalidTicks:
        return self._wrong(number, Role.TIME, rule, cells[self._time])

    def symbol(self, number: int, cells: Cells) -> str:
        at = self.layout.at
        role = Role.SYMBOL
        try:
            if (place := at.get(Role.SYMBOL)) is not None and not is_null(text := cells[place]):
                exchange = at.get(Role.EXCHANGE)
                code = str(cells[exchange]).strip() if exchange is not None else self.layout.source.exchange or ""
                if (segment := at.get(Role.SEGMENT)) is not None and str(cells[segment]).strip() == "FO":
                    text, code = cells[at[Role.CONTRACT]], DERIVATIVES.get(code, code)
                if Role.EXPIRY in at:
                    text = self._contract(number, cells, str(text).strip())
                return self.names.by_name(str(text).strip(), code)
            if (place := at.get(Role.NUMBER)) is not None and not is_null(cells[place]):
                role = Role.NUMBER
                return self.names.by_token(self._whole(number, Role.NUMBER, cells))
            if self._of_file is None:
                self._of_file = self.names.by_file(self.path)
            return self._of_file
        except UnknownName as error:
            raise InvalidTicks(f"{self.grid.place(number)}: {self._named(role)}: {error}") from None

    def _contract(self, number: int, cells: Cells, underlying: str) -> str:
        """Kite's tradingsymbol of a contract whose parts stand apart."""
        expiry, kind = (cells[self.layout.at[role]] for role in (Role.EXPIRY, Role.KIND))
        try:
            ends = self.moments.day(expiry)
        except ValueError:
            raise self._wrong(number, Role.EXPIRY, "must be a date as in 29-May-2025", expiry) from None
        price = None if str(kind).strip() not in ("CE", "PE") else self._number(number, Role.STRIKE, cells)
        return contract_name(underlying, ends, price, str(kind).strip())

    def candle(self, number: int, cells: Cells) -> Candle | None:
        """`None` for a row that is right and holds no candle."""
        places = [self.layout.at[role] for role in PRICES]
        if self.layout.source.is_bhavcopy and self._is_idle(cells):
            return None
        if all(is_null(cells[place]) for place in places):
            self.report.left_out["without prices"] += 1
            return None
        whose, at = self.symbol(number, cells), self.moment(number, cells)
        size = self.tick_size(whose)
        opening, high, low, close = (on_tick(self._price(number, role, cells), size) for role in PRICES)
        if high < low:
            raise self._wrong(number, Role.HIGH, f"must not be below the low of {low}", high)
        for role, price in ((Role.OPEN, opening), (Role.CLOSE, close)):
            if not low <= price <= high:
                rule = f"must lie between the low of {low} and the high of {high}"
                raise self._wrong(number, role, rule, price)
        return Candle(whose, at, opening, high, low, close, self._volume(number, cells))

    def tick(self, number: int, cells: Cells) -> Tick | None:
        """`None` for one without a last price."""
        at, whose = self.moment(number, cells), self.symbol(number, cells)
        size = self.tick_size(whose)
        price = self._number(number, Role.LAST, cells)
        if price == 0:
            self.report.left_out["without a last price"] += 1
            return None
        bid, ask = (self._quote(number, role, cells, size) for role in (Role.BID, Role.ASK))
        try:
            depth = self._depth(number, cells, size, whose, at)
            return Tick(whose, on_tick(price, size), at, self._volume(number, cells), bid, ask, depth)
        except InvalidTicks as error:
            place = self.grid.place(number)
            raise error if str(error).startswith(place) else InvalidTicks(f"{place}: {error}") from None

    def _is_idle(self, cells: Cells) -> bool:
        """What a file of the exchange has and nobody could trade by: other series than shares', and what did not
        trade."""
        at = self.layout.at
        exchange = str(cells[at[Role.EXCHANGE]]).strip() if Role.EXCHANGE in at else self.layout.source.exchange
        series = str(cells[at[Role.SERIES]] or "").strip() if Role.SERIES in at else ""
        if exchange == "NSE" and series not in ("EQ", ""):
            self.report.left_out[f"of series {series}"] += 1
            return True
        opening = cells[at[Role.OPEN]]
        try:
            if is_null(opening) or decimal(opening) != 0:
                return False
        except InvalidOperation:
            return False
        self.report.left_out["not traded"] += 1
        return True

    def _depth(self, number: int, cells: Cells, size: Decimal, whose: str, at: datetime) -> Depth | None:
        place = self.layout.at.get(Role.DEPTH)
        if place is not None and not is_null(cells[place]):
            sides = self._nested(number, cells[place], size)
        elif self.layout.levels:
            sides = [tuple(self._levels(number, side, cells, size)) for side in ("bid", "ask")]
        else:
            return None
        bids, asks = sides
        if not bids and not asks:
            return None
        if bids and asks and bids[0].price >= asks[0].price and self.is_before_opening(whose, at):
            self.report.note("crossed order books outside continuous trading were left out")
            return None
        return Depth(bids, asks)

    def _levels(self, number: int, side: str, cells: Cells, size: Decimal) -> Iterator[Level]:
        for price_at, units_at in self.layout.levels.get(side, ()):
            price, units = cells[price_at], cells[units_at]
            if not is_null(price):
                value = self._decimal(number, self.grid.columns[price_at], price)
                if value == 0:
                    continue
                count = self._units(number, self.grid.columns[units_at], units)
                if count:
                    yield Level(on_tick(value, size), count)
            elif not is_null(units) and str(units).strip().strip("0.") != "":
                name = self.grid.columns[price_at]
                raise self.problem(number, name, f"must be there, its {self.grid.columns[units_at]} is", price)

    def _nested(self, number: int, cell: Any, size: Decimal) -> list[tuple[Level, ...]]:
        """KiteTicker's `depth`, or the text of it."""
        column = self._named(Role.DEPTH)
        try:
            book = ast.literal_eval(cell) if isinstance(cell, str) else cell
            sides = [[(level["price"], level["quantity"]) for level in book.get(side, ())] for side in ("buy", "sell")]
        except (ValueError, SyntaxError, TypeError, KeyError, AttributeError):
            raise self.problem(number, column, "must be KiteTicker's depth, with buy and sell", cell) from None
        found = []
        for side in sides:
            levels = (
                (self._decimal(number, column, price), self._units(number, column, units)) for price, units in side
            )
            found.append(tuple(Level(on_tick(price, size), units) for price, units in levels if price and units))
        return found

    def _quote(self, number: int, role: Role, cells: Cells, size: Decimal) -> Decimal | None:
        """0 is not known."""
        place = self.layout.at.get(role)
        if place is None or is_null(cells[place]):
            return None
        price = self._number(number, role, cells)
        return on_tick(price, size) if price != 0 else None

    def _volume(self, number: int, cells: Cells) -> int:
        """0 where there is none."""
        place = self.layout.at.get(Role.VOLUME)
        if place is None or is_null(cells[place]):
            return 0
        units = self._whole(number, Role.VOLUME, cells)
        if Role.EXPIRY in self.layout.at:
            return units * self.names.lot_of(self.symbol(number, cells))  # that file counts in lots
        lot, segment = self.layout.at.get(Role.LOT), self.layout.at.get(Role.SEGMENT)
        if lot is not None and segment is not None and str(cells[segment]).strip() == "FO":
            units *= self._whole(number, Role.LOT, cells)  # and so does that one
        return units

    def _price(self, number: int, role: Role, cells: Cells) -> Decimal:
        price = self._number(number, role, cells)
        if rule := price_rule(price):
            raise self._wrong(number, role, rule, cells[self.layout.at[role]])
        return price

    def _number(self, number: int, role: Role, cells: Cells) -> Decimal:
        return self._decimal(number, self._named(role), cells[self.layout.at[role]])

    def _whole(self, number: int, role: Role, cells: Cells) -> int:
        return self._units(number, self._named(role), cells[self.layout.at[role]])

    def _decimal(self, number: int, column: str, cell: Any) -> Decimal:
        try:
            return decimal(cell)
        except InvalidOperation:
            raise self.problem(number, column, "must be a number", cell) from None

    def _units(self, number: int, column: str, cell: Any) -> int:
        if type(cell) is int and 0 <= cell < MAX_WHOLE:
            return cell
        count = self._decimal(number, column, cell)
        if not count.is_finite() or count != count.to_integral_value() or not 0 <= count < MAX_WHOLE:
            raise self.problem(number, column, "must be a whole number of at least 0", cell)
        return int(count)

    def _wrong(self, number: int, role: Role, rule: str, value: Any) -> InvalidTicks:
        return self.problem(number, self._named(role), rule, value)

    def _named(self, role: Role) -> str:
        """The column's own name; the role's where it has none."""
        place = self.layout.at.get(role)
        return (self.grid.columns[place] if place is not None else "") or role.value


def decimal(cell: Any) -> Decimal:
    """Any number that `Decimal` knows, so NaN and infinity too. Raises `InvalidOperation`."""
    if isinstance(cell, Decimal):
        return cell
    if isinstance(cell, str):
        text = cell.strip()
        try:
            return Decimal(text)
        except InvalidOperation:
            return Decimal(text.replace(",", "") if GROUPED.fullmatch(text) else "?")
    return Decimal(str(cell)) if cell is not None else Decimal("?")
