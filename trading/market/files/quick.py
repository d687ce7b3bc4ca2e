"""Ticks of plain rows, a block at a time: what a cell means is asked once, and not again for the next like it.

Only what is right beyond doubt is read so. Where there is any, the rows are given back, to be read one by one: they
have the words for what is wrong, and the rules for what is not in order.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice, repeat
from operator import lt, sub
from typing import Any

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.files.blocks import MAX_WHOLE, Block, Doubt, Known, Row
from durable_orders.trading.market.files.books import Later, LevelColumns, read_depths, recorded_depths
from durable_orders.trading.market.files.layouts import Role
from durable_orders.trading.market.files.moments import ZONE_TOLD
from durable_orders.trading.market.files.order import InSessions, TickOrder
from durable_orders.trading.market.files.rows import Rows, decimal, is_null, on_tick
from durable_orders.trading.market.ticks import Depth, Tick, made_ticks, tick_price_rule

EPOCH = datetime(1970, 1, 1, tzinfo=IST)
IST_OVER_UTC = timedelta(hours=5, minutes=30)
IN_IST = "+05:30"
WITHOUT_ZONE = {len("2025-04-29 09:15:00" + fraction) for fraction in ("", ".000", ".000000")}
WITH_ZONE = {size + len(IN_IST) for size in WITHOUT_ZONE}


SIDES = ("bid", "ask")


class QuickTicks:
    """Of one file."""

    def __init__(self, rows: Rows, seen: InSessions, order: TickOrder) -> None:
        self._rows = rows
        self._seen = seen
        self._order = order
        at = rows.layout.at
        self._can = not (Role.DEPTH in at or Role.CLOCK in at)
        self._levels = rows.layout.levels
        self._whose = [at[role] for role in (Role.SYMBOL, Role.EXCHANGE, Role.NUMBER) if role in at]
        self._symbols: dict[Any, str] = {}
        self._times = Known(self._time)
        self._volumes = Known(_volume)
        self._units = Known(_units)
        self._cells: Known[Any] = Known(lambda cell: cell)
        self._prices: dict[Decimal, tuple[Known[Decimal], Known[Decimal | None]]] = {}

    def parts(self, block: Block) -> Iterator[list[Tick] | Iterable[Row]]:
        """The block's ticks, and the rows of which nothing was read yet."""
        columns = None
        if self._can and block.has_columns:
            try:
                columns = self._columns(block)
            except (Doubt, InvalidTicks, InvalidOperation, ValueError, OverflowError, TypeError):
                columns = None
        if columns is None:
            yield zip(block.numbers, block.rows, strict=True)
            return
        symbols, times = columns[0], columns[2]
        begin = 0
        while begin < len(times):
            end, is_plain = self._next(symbols, times, begin)
            if is_plain:
                self._order.took(symbols[begin:end], times[begin:end])
                self._seen.note_inside()
                yield made_ticks(*(column[begin:end] for column in columns))
            else:
                yield zip(block.numbers[begin:end], block.rows[begin:end], strict=True)
            begin = end

    def _next(self, symbols: list[str], times: list[datetime], begin: int) -> tuple[int, bool]:
        """Where the rows end that can be taken alike, and whether all of them are ticks of their sessions."""
        first = times[begin]
        hours = self._seen.open_hours(set(symbols[begin:]), first)
        if hours is None or first >= hours[1]:
            return len(times), False
        if first < hours[0]:
            return bisect_left(times, hours[0], begin), False
        end = bisect_left(times, hours[1], begin)
        if not self._order.takes_at_once(first, times[end - 1]):
            return begin + 1, False
        return end, True

    def _columns(self, block: Block) -> tuple[list[Any], ...]:
        """The fields of ticks, in their order. Raises `Doubt`, or what a cell raises that is not plain."""
        at = self._rows.layout.at
        times = self._read_times(block, at[Role.TIME])
        if any(map(lt, islice(times, 1, None), times)):
            raise Doubt
        symbols = self._read_symbols(block)
        prices = [
            self._read_prices(block, at.get(role), symbols, is_needed=role is Role.LAST)
            for role in (Role.LAST, Role.BID, Role.ASK)
        ]
        volumes = self._read_volumes(block, at.get(Role.VOLUME), self._volumes)
        depths: list[Depth | None] = [None] * len(block)
        if self._levels:
            depths = self._read_depths(block, symbols)
        return symbols, prices[0], times, volumes, prices[1], prices[2], depths

    def _read_times(self, block: Block, place: int) -> list[datetime]:
        found, moments = block.epochs(place), self._rows.moments
        if found is None:
            cells = block.cells(place)
            return (cells and self._usual_times(cells)) or block.column(place, self._times)
        micros, is_utc = found
        if min(micros) < 0 or (not is_utc and moments.zone is not None):
            raise Doubt
        if not is_utc:
            self._take_as_ist()
        begin = EPOCH + IST_OVER_UTC if is_utc else EPOCH
        return [begin + timedelta(0, 0, each) for each in micros]

    def _usual_times(self, cells: Sequence[str]) -> list[datetime] | None:
        """All at once, as `Moments.read`, where all are written in the usual way and in IST, or without a zone."""
        sizes = set(map(len, cells))
        if sizes <= WITH_ZONE:
            cells = [cell.removesuffix(IN_IST) for cell in cells]
            if not set(map(len, cells)) <= WITHOUT_ZONE:
                return None
        elif sizes <= WITHOUT_ZONE and self._rows.moments.zone is None:
            self._take_as_ist()
        else:
            return None
        since = map(sub, map(datetime.fromisoformat, cells), repeat(EPOCH.replace(tzinfo=None)))
        return list(map(EPOCH.__add__, since))

    def _time(self, cell: Any) -> datetime:
        found = self._rows.moments.read(cell)
        if self._rows.moments.told_zone:
            self._take_as_ist()
        return found

    def _take_as_ist(self) -> None:
        self._rows.moments.told_zone = True
        self._rows.report.note(ZONE_TOLD)

    def _read_symbols(self, block: Block) -> list[str]:
        known = self._symbols
        cells = [block.cells(place) or block.column(place, self._cells) for place in self._whose]
        keys: Sequence[Any] = cells[0] if len(cells) == 1 else list(zip(*cells, strict=True)) or [()] * len(block)
        for key in set(keys) - known.keys():
            row = keys.index(key)
            found = block.rows[row]
            if isinstance(found, InvalidTicks):
                raise found
            known[key] = self._rows.symbol(block.numbers[row], found)
        return list(map(known.__getitem__, keys))

    def _read_prices(self, block: Block, place: int | None, symbols: list[str], *, is_needed: bool) -> list[Any]:
        """Of a symbol's tick size each."""
        if place is None:
            return [None] * len(block)
        sizes = {symbol: self._rows.tick_size(symbol) for symbol in set(symbols)}
        found = {}
        for size in set(sizes.values()):
            known = self._prices.get(size)
            if known is None:
                known = self._prices[size] = _known_prices(size)
            found[size] = block.column(place, known[0]) if is_needed else block.column(place, known[1])
        if len(found) == 1:
            return next(iter(found.values()))
        of_symbol = {symbol: found[size] for symbol, size in sizes.items()}
        return [of_symbol[symbol][row] for row, symbol in enumerate(symbols)]

    def _read_volumes(self, block: Block, place: int | None, known: Known[Any]) -> list[Any]:
        """`known` has what cells mean that are no whole numbers already."""
        if place is None:
            return [0] * len(block)
        found = block.wholes(place)
        if found is None:
            return block.column(place, known)
        if min(found) < 0 or max(found) >= MAX_WHOLE:
            raise Doubt
        return found

    def _read_depths(self, block: Block, symbols: list[str]) -> list[Depth | None]:
        places = [self._levels.get(side, ()) for side in SIDES]
        if block.has_whole_books(*places):
            below, above = ([self._later(block, *level, symbols) for level in side] for side in places)
            return recorded_depths(below, above, len(block))
        bids, asks = ([self._read_level(block, *level, symbols) for level in side] for side in places)
        return read_depths(bids, asks, len(block))

    def _read_level(self, block: Block, price_at: int, units_at: int, symbols: list[str]) -> LevelColumns:
        prices = self._read_prices(block, price_at, symbols, is_needed=False)
        return prices, self._read_volumes(block, units_at, self._units)

    def _later(self, block: Block, price_at: int, units_at: int, symbols: list[str]) -> tuple[Later, Later]:
        """The same, when it is looked at: of one that is right."""
        prices = Later(lambda: self._read_prices(block, price_at, symbols, is_needed=False))
        return prices, Later(lambda: self._read_volumes(block, units_at, self._units))


def _units(cell: Any) -> int | None:
    """`None` where nothing is said."""
    if is_null(cell):
        return None
    units = decimal(cell)
    if units != units.to_integral_value() or not 0 <= units < MAX_WHOLE:
        raise Doubt
    return int(units)


def _volume(cell: Any) -> int:
    return _units(cell) or 0


def _known_prices(size: Decimal) -> tuple[Known[Decimal], Known[Decimal | None]]:
    """Of last prices, and of bids and asks, which may be unknown."""

    def price(cell: Any) -> Decimal:
        found = on_tick(decimal(cell), size)
        if tick_price_rule(found):
            raise Doubt
        return found

    def quote(cell: Any) -> Decimal | None:
        return None if is_null(cell) or decimal(cell) == 0 else price(cell)

    return Known(price), Known(quote)
