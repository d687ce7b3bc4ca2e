"""Recorded ticks and candles as one stream of ticks in the order of their time, from one file, several, or folders."""

from bisect import bisect_left, insort_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.candles import DAILY, LONGEST_CANDLE, SHORTEST_CANDLE, Candle, Span, walked
from durable_orders.trading.market.files.blocks import Cells, Row
from durable_orders.trading.market.files.containers import PEEKED, files_of, grid_of
from durable_orders.trading.market.files.layouts import Role, layout_of
from durable_orders.trading.market.files.merging import Progress, Source, in_batches, in_time
from durable_orders.trading.market.files.moments import Moments, is_date
from durable_orders.trading.market.files.names import Names
from durable_orders.trading.market.files.order import A_MOMENT, InSessions, TickOrder
from durable_orders.trading.market.files.quick import QuickTicks
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.files.rows import Rows
from durable_orders.trading.market.files.yahoo import one_header
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.past_contracts import Unlisted
from durable_orders.trading.market.ticks import Tick

FIRST = 20
"""Rows that tell when a file begins."""
SHOWN = 3
"""Files that an error names."""
WEEKLY = timedelta(days=6)
"""Daily candles are nearer to each other than this."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are to be read."""

    symbol: str | None = None
    """Whose rows they are where a file does not say."""
    tick_size: Decimal = Decimal("0.05")
    """Rupees, of what no master has."""
    instruments: Instruments | None = None
    """Without them, any symbol is taken; with them, only theirs."""
    sessions: SessionSource | None = None
    """Without them, no row is outside, and candles last as long as they are apart."""
    zone: tzinfo | None = None
    """Of times without one; `None` is IST, and told."""
    day_first: bool | None = None
    """Of dates such as `04/05/2025`; `None` where the file has to say."""
    unlisted: Unlisted = field(default_factory=Unlisted)
    """Of instruments that no master has."""
    skip_bad: bool = False
    """Whether rows that cannot be are counted in the report; else the first is an error."""

    def step(self, symbol: str) -> Decimal:
        found = self.instruments.tick_size(symbol) if self.instruments is not None else None
        return found or self.tick_size


def recorded_ticks(paths: Iterable[Path], how: Reading, report: ReadingReport) -> Iterator[Tick]:
    """The ticks of these files and folders; candles are walked through (`candles.walked`).

    Files of ticks are read as they are asked for, each opened when its time comes; files of candles whole, before the
    first tick. Raises `InvalidTicks`, one line that names the file, the line, the column, the rule and the value, at
    the latest when the row is reached.
    """
    return chain.from_iterable(recorded_batches(paths, how, report))


def recorded_batches(
    paths: Iterable[Path], how: Reading, report: ReadingReport, told: Callable[[float], object] = lambda _share: None
) -> Iterator[list[Tick]]:
    """The same, some at a time; `told` hears how much of the files was read, from 0 to 1."""
    files = files_of(paths, report)
    seen = InSessions(how.sessions, report)
    reader = _Files(how, report, seen)
    candles: list[Span] = []
    of_ticks: list[tuple[Path, datetime | None]] = []
    for path in files:
        found = reader.open(path)
        if found.layout.source.is_ticks:
            of_ticks.append((path, _begins(found)))
            found.grid.close()
        else:
            candles += reader.candles(found)
    streams = [Source(None, partial(in_batches, walked(_in_order(candles), how.step)))] if candles else []
    progress = Progress([path.stat().st_size for path, _ in of_ticks], told)
    for number, (path, begins) in enumerate(of_ticks):
        streams.append(Source(begins, partial(reader.batches, path, progress.of(number))))
    is_empty = True
    for batch in in_time(streams):
        is_empty = False
        yield batch
    if is_empty:
        named = ", ".join(path.name for path in files[:SHOWN])
        seen.check(named)
        raise InvalidTicks("; ".join([f"{named}: nothing to replay", *report.lines()]))


def _begins(rows: Rows) -> datetime | None:
    """Before that no tick of the file is: it need not be opened earlier. `None` if its first rows do not tell."""
    found = []
    for number, cells in rows.grid.rows.peek(FIRST):
        with suppress(InvalidTicks):
            if not isinstance(cells, InvalidTicks):
                found.append(rows.moment(number, cells))
    return min(found) - A_MOMENT if found else None


def _in_order(candles: list[Span]) -> list[Span]:
    """By their beginnings. Two files may not have the same candle."""
    candles.sort(key=lambda each: each[1])
    latest: dict[str, datetime] = {}
    for candle, begins, ends in candles:
        if (until := latest.get(candle.symbol)) is not None and begins < until:
            words = f"candles of {candle.symbol} at {begins:%Y-%m-%d %H:%M} are in two files, or run into each other"
            raise InvalidTicks(words)
        latest[candle.symbol] = ends
    return candles


@dataclass(slots=True)
class _Files:
    """Opens files and reads their rows."""

    how: Reading
    report: ReadingReport
    seen: InSessions
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = Names(self.how.symbol, self.how.instruments, self.report, self.how.unlisted)

    def open(self, path: Path) -> Rows:
        """With what its first rows tell of its times."""
        grid = one_header(grid_of(path, self.report))
        layout = layout_of(grid.name, grid.columns)
        for column in layout.left_out:
            self.report.columns.setdefault(column)
        moments = Moments(self.how.zone, self.how.day_first)
        begin = grid.rows.peek(PEEKED)
        time = layout.at[Role.TIME]
        moments.learn(cells[time] for _, cells in begin if not isinstance(cells, InvalidTicks))
        step, closed = self.how.step, self.seen.is_closed
        found = Rows(path, grid, layout, moments, self.names, step, self.report, closed)
        self._check_zone(found, begin)
        return found

    def _check_zone(self, rows: Rows, begin: list[Row]) -> None:
        if self.how.zone is not None or self.how.sessions is None:
            return
        sample = []
        probe = Moments(None, rows.moments.day_first)
        time, clock = rows.layout.at[Role.TIME], rows.layout.at.get(Role.CLOCK)
        for number, cells in begin:
            if isinstance(cells, InvalidTicks) or (clock is None and is_date(cells[time])):
                continue
            try:
                at = probe.read(cells[time], cells[clock] if clock is not None else None)
                if not probe.told_zone:
                    return
                sample.append((rows.symbol(number, cells), at))
            except (ValueError, OverflowError, InvalidTicks):
                continue  # it is complained of where it is read
        if any(at.time() != sample[0][1].time() for _, at in sample):
            self.seen.check_zone(rows.grid.name, sample)

    def batches(self, path: Path, told: Callable[[float], object]) -> Iterator[list[Tick]]:
        """In the order of their time, though symbols may be a moment out of order in the file. `told` hears how much of
        it was read."""
        rows = self.open(path)
        waiting: list[Tick] = []
        order = TickOrder(rows, self.seen, self.report if self.how.skip_bad else None)
        quick = QuickTicks(rows, self.seen, order)
        for block in rows.grid.rows.blocks():
            for some in quick.parts(block):
                if isinstance(some, list):
                    self.report.rows += len(some)
                    waiting += some
                else:
                    self._one_by_one(some, order, waiting)
            if waiting:
                due = bisect_left(waiting, waiting[-1].at - A_MOMENT, key=lambda each: each.at)
                told(rows.grid.done())
                if due:
                    yield waiting[:due]
                    del waiting[:due]
        if waiting:
            yield waiting

    def _one_by_one(self, rows: Iterable[Row], order: TickOrder, waiting: list[Tick]) -> None:
        for tick in self._read(rows, order.read):
            if order.has_withdrawn():
                waiting.pop()
            if not waiting or tick.at >= waiting[-1].at:
                waiting.append(tick)
            else:
                insort_right(waiting, tick, key=lambda each: each.at)

    def candles(self, rows: Rows) -> list[Span]:
        """All of the file's, each with the time in which it is walked through."""
        order = _CandleOrder(rows)
        candles = list(self._read(rows.grid.rows, order.read))
        if order.is_newest_first:
            candles.reverse()
            self.report.note(f"{rows.grid.name} has the newest first")
        if not candles:
            return []
        length = _length(rows, candles, has_time=order.has_time)
        spans = []
        for candle in candles:
            begins = candle.at
            if length == DAILY:
                begins = begins.replace(hour=0, minute=0, second=0, microsecond=0)
            span = self.seen.span(candle.symbol, begins, begins + length)
            if span is not None:
                spans.append((candle, *span))
        return spans

    def _read(self, rows: Iterable[Row], read: Callable[[int, Cells], Found | None]) -> Iterator[Found]:
        for number, cells in rows:
            self.report.rows += 1
            try:
                if isinstance(cells, InvalidTicks):
                    raise cells
                found = read(number, cells)
            except InvalidTicks as error:
                if not self.how.skip_bad:
                    raise
                self.report.skip(str(error))
                continue
            if found is not None:
                yield found


class _CandleOrder:
    """Each symbol's candles go one way: forward, or, the newest first, back."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._latest: dict[str, datetime] = {}
        self._is_forward: bool | None = None
        self._clock = rows.layout.at.get(Role.CLOCK)
        self._time = rows.layout.at[Role.TIME]
        self.has_time = False
        """Whether any of them says a time of the day."""

    @property
    def is_newest_first(self) -> bool:
        return self._is_forward is False

    def read(self, number: int, cells: Cells) -> Candle | None:
        candle = self._rows.candle(number, cells)
        if candle is None:
            return None
        before = self._latest.get(candle.symbol)
        if before is not None:
            if self._is_forward is None and candle.at != before:
                self._is_forward = candle.at > before
            if candle.at == before or (candle.at > before) != self._is_forward:
                word = "earlier" if self._is_forward is False else "later"
                raise self._rows.out_of_order(number, cells, f"must be {word} than the candle before it, {before}")
        self._latest[candle.symbol] = candle.at
        self.has_time = self.has_time or self._clock is not None or not is_date(cells[self._time])
        return candle


def _length(rows: Rows, candles: list[Candle], *, has_time: bool) -> timedelta:
    """The shortest distance between two candles of one symbol, so that none runs into the next; a day where they have
    no time."""
    latest: dict[str, datetime] = {}
    distances = []
    for candle in candles:
        if candle.symbol in latest:
            distances.append(candle.at - latest[candle.symbol])
        latest[candle.symbol] = candle.at
    column = rows.grid.columns[rows.layout.at[Role.TIME]] or Role.TIME.value
    place = f"{rows.grid.name}: {column}"
    if not distances and has_time:
        raise InvalidTicks(f"{place}: must hold two candles of one symbol, to tell how long they are")
    length = min(distances, default=DAILY)
    if DAILY <= length < WEEKLY:
        return DAILY
    if not SHORTEST_CANDLE <= length <= LONGEST_CANDLE:
        raise InvalidTicks(f"{place}: candles must be 1 to 60 minutes apart, or a day, were {length}")
    return length
