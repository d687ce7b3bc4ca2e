"""Recorded ticks and candles as one stream of ticks in the order of their time, from one file, several, or folders."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from heapq import merge
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.candles import DAILY, LONGEST_CANDLE, SHORTEST_CANDLE, Candle, Span, walked
from durable_orders.trading.market.files.containers import PEEKED, Cells, files_of, grid_of
from durable_orders.trading.market.files.layouts import Role, layout_of
from durable_orders.trading.market.files.moments import Moments, is_date
from durable_orders.trading.market.files.names import Names
from durable_orders.trading.market.files.outside import in_session_if_utc, outside, when_outside
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.files.rows import Rows
from durable_orders.trading.market.files.yahoo import one_header
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.past_contracts import Unlisted
from durable_orders.trading.market.ticks import Tick

A_MOMENT = timedelta(seconds=60)
"""How much earlier than the latest tick of the file one of another symbol may be: it is put in order."""
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

    Files of ticks are read as they are asked for; files of candles whole, before the first tick. Raises `InvalidTicks`,
    one line that names the file, the line, the column, the rule and the value, at the latest when the row is reached.
    """
    files = files_of(paths, report)
    seen = _Sessions(how, report)
    reader = _Files(how, report, seen)
    candles: list[Span] = []
    streams: list[Iterator[Tick]] = []
    for path in files:
        found = reader.open(path)
        if found.layout.source.is_ticks:
            streams.append(reader.ticks(found))
        else:
            candles += reader.candles(found)
    if candles:
        streams.insert(0, walked(_in_order(candles), how.step))
    tick: Tick | None = None
    for tick in streams[0] if len(streams) == 1 else merge(*streams, key=lambda each: each.at):
        yield tick
    if tick is None:
        named = ", ".join(path.name for path in files[:SHOWN])
        seen.check(named)
        raise InvalidTicks("; ".join([f"{named}: nothing to replay", *report.lines()]))


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


class _Sessions:
    """What lies in a session, and why the rest does not."""

    def __init__(self, how: Reading, report: ReadingReport) -> None:
        self._sessions = how.sessions
        self._report = report
        self._open: dict[str, tuple[datetime, datetime]] = {}
        self._inside = False
        self._first_outside: tuple[str, datetime] | None = None

    def span(self, symbol: str, begins: datetime, ends: datetime) -> tuple[datetime, datetime] | None:
        """The part of that time in which the market is open; `None`, and counted, where none is."""
        if self._sessions is None:
            return begins, ends
        session = self._sessions.of(symbol).session_on(begins.date())
        if session is None or ends <= session.opens or begins >= session.closes:
            self._leave_out(symbol, begins)
            return None
        self._inside = True
        return max(begins, session.opens), min(ends, session.closes)

    def has(self, tick: Tick) -> bool:
        if self._sessions is None:
            return True
        opens, closes = self._open.get(tick.symbol, (None, None))
        if opens is None or closes is None or not opens <= tick.at < closes:
            session = self._sessions.of(tick.symbol).session_on(tick.at.date())
            if session is None or not session.contains(tick.at):
                self._leave_out(tick.symbol, tick.at)
                return False
            self._open[tick.symbol] = (session.opens, session.closes)
        self._inside = True
        return True

    def is_closed(self, symbol: str, at: datetime) -> bool:
        if self._sessions is None:
            return False
        session = self._sessions.of(symbol).session_on(at.date())
        return session is None or not session.contains(at)

    def check(self, files: str) -> None:
        """Raises `InvalidTicks` if rows were read and none lies in a session."""
        if self._first_outside is not None and not self._inside and self._sessions is not None:
            raise InvalidTicks(f"{files}: {when_outside(*self._first_outside, self._sessions)}")

    def check_zone(self, file: str, sample: Sequence[tuple[str, datetime]]) -> None:
        """Times without a zone that are in sessions rather if they are UTC. Raises `InvalidTicks`: none is guessed."""
        if self._sessions is None or not sample:
            return
        as_ist = sum(self._sessions.of(symbol).is_regular(at) for symbol, at in sample)
        as_utc = sum(in_session_if_utc(symbol, at, self._sessions) for symbol, at in sample)
        if as_utc > as_ist:
            words = f"of the first {len(sample)}, {as_ist} lie in a session as IST and {as_utc} as UTC"
            raise InvalidTicks(f"{file}: times without a zone: {words}: say which with --zone")

    def _leave_out(self, symbol: str, at: datetime) -> None:
        self._first_outside = self._first_outside or (symbol, at)
        if self._sessions is not None:
            self._report.outside[outside(self._sessions.of(symbol), at)] += 1


@dataclass(slots=True)
class _Files:
    """Opens files and reads their rows."""

    how: Reading
    report: ReadingReport
    seen: _Sessions
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
        begin = list(islice(grid.rows, PEEKED))
        time = layout.at[Role.TIME]
        moments.learn(cells[time] for _, cells in begin if not isinstance(cells, InvalidTicks))
        grid.rows = chain(begin, grid.rows)
        step, closed = self.how.step, self.seen.is_closed
        found = Rows(path, grid, layout, moments, self.names, step, self.report, closed)
        self._check_zone(found, begin)
        return found

    def _check_zone(self, rows: Rows, begin: list[tuple[int, Cells | InvalidTicks]]) -> None:
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

    def ticks(self, rows: Rows) -> Iterator[Tick]:
        """In the order of their time, though symbols may be a moment out of order in the file."""
        waiting: deque[Tick] = deque()
        order = _TickOrder(rows, self.seen, self.report if self.how.skip_bad else None)
        for tick in self._rows(rows, order.read):
            if order.has_withdrawn():
                waiting.pop()
            if not waiting or tick.at >= waiting[-1].at:
                waiting.append(tick)
            else:
                place = next((n for n in range(len(waiting), 0, -1) if waiting[n - 1].at <= tick.at), 0)
                waiting.insert(place, tick)
            due = waiting[-1].at - A_MOMENT
            while waiting[0].at < due:
                yield waiting.popleft()
        yield from waiting

    def candles(self, rows: Rows) -> list[Span]:
        """All of the file's, each with the time in which it is walked through."""
        order = _CandleOrder(rows)
        candles = list(self._rows(rows, order.read))
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

    def _rows(self, rows: Rows, read: Callable[[int, Cells], Found | None]) -> Iterator[Found]:
        for number, cells in rows.grid.rows:
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


class _TickOrder:
    """Each symbol's ticks in sessions never go back in time, and nobody's by more than a moment.

    Where bad rows are skipped, the first tick of a day is one if the next is of a day before it: a single wrong date
    must not make all that follows too early.
    """

    def __init__(self, rows: Rows, seen: _Sessions, skipped: ReadingReport | None) -> None:
        self._rows = rows
        self._seen = seen
        self._skipped = skipped
        self._latest: datetime | None = None
        self._of_symbol: dict[str, datetime] = {}
        self._leap: _Leap | None = None
        self._has_withdrawn = False

    def has_withdrawn(self) -> bool:
        """Whether the last but one of the ticks that were read is none. Told once."""
        told, self._has_withdrawn = self._has_withdrawn, False
        return told

    def read(self, number: int, cells: Cells) -> Tick | None:
        tick = self._rows.tick(number, cells)
        if tick is None or not self._seen.has(tick):
            return None
        if self._leap is not None:
            self._settle(self._leap, tick)
        elif self._skipped is not None and (self._latest is None or tick.at.date() > self._latest.date()):
            rule = "must not be of a later day than the ticks after it"
            error = self._rows.out_of_order(number, cells, rule)
            self._leap = _Leap(tick, error, self._latest, self._of_symbol.get(tick.symbol))
        before = self._of_symbol.get(tick.symbol)
        if before is not None and tick.at < before:
            raise self._rows.out_of_order(number, cells, f"must not be earlier than the tick before it, {before}")
        if self._latest is None or tick.at >= self._latest:
            self._latest = tick.at
        elif self._latest - tick.at > A_MOMENT:
            rule = f"must be at most {A_MOMENT.seconds} s earlier than another symbol's before it, {self._latest}"
            raise self._rows.out_of_order(number, cells, rule)
        self._of_symbol[tick.symbol] = tick.at
        return tick

    def _settle(self, leap: "_Leap", after: Tick) -> None:
        """By the tick after it."""
        if after.at.date() >= leap.tick.at.date():
            self._leap = None
        elif self._skipped is not None and (leap.latest is None or after.at >= leap.latest):
            self._skipped.skip(str(leap.error))
            self._latest = leap.latest
            if leap.of_symbol is None:
                del self._of_symbol[leap.tick.symbol]
            else:
                self._of_symbol[leap.tick.symbol] = leap.of_symbol
            self._leap, self._has_withdrawn = None, True


@dataclass(frozen=True, slots=True)
class _Leap:
    """The first tick of a day, before the next one was read, and what was known before it."""

    tick: Tick
    error: InvalidTicks
    latest: datetime | None
    of_symbol: datetime | None


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
