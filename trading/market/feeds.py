"""Feeds: endless ticks, each with the session it belongs to and the time to wait before it is shown."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from itertools import chain, count, repeat
from random import Random
from typing import NamedTuple

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.calendar import ALWAYS_OPEN, Session, SessionSource
from durable_orders.trading.market.files.outside import NOTHING, when_outside
from durable_orders.trading.market.ticks import LEVELS, Depth, Level, Tick

LEAST_TICKS = 10
"""A synthetic price never falls below so many times its tick size."""
BOLDNESS = 5_000
"""A synthetic price moves by at most one part in so many (2 bps) a tick, and may always move by its tick size."""


MOST_TRADED = 5_000
"""Units of a synthetic symbol that change hands between two ticks."""
MOST_OFFERED = 1_000
"""Units at one level of a synthetic order book."""


class Timed(NamedTuple):
    tick: Tick
    wait: float
    """Seconds on the wall's clock between the tick before it and this one."""
    session: Session
    is_last: bool = False
    """Whether a round of a replay ends with it."""


@dataclass(frozen=True, slots=True)
class _Day:
    """The recorded ticks of one day, in the order of their time, each with its symbol's session."""

    date: date
    ticks: list[tuple[Tick, datetime, Session]]
    """Each with the moment at which it is played."""

    @property
    def ends(self) -> datetime:
        return max(session.closes for _, _, session in self.ticks)


class ReplayFeed:
    """Plays ticks over and over, always forward in time. Iterating begins it; each `iter` plays it anew.

    The first round has the dates of the ticks. After that each recorded day is played in the next session of its first
    symbol, and so on without an end, or for `rounds` rounds. Ticks outside their symbol's sessions, such as those of a
    pre-open, are left out: the market was not open.

    With `start_after` the feed is the same, without what is not later than that moment. So a restart with the time of
    the last tick shown goes on exactly where it was, `rounds` included; of ticks that share a moment, the rest are
    taken as shown too.
    """

    def __init__(
        self,
        ticks: Iterable[Tick],
        speed: float,
        sessions: SessionSource,
        rounds: int | None = None,
        start_after: datetime | None = None,
    ) -> None:
        """`speed` is market seconds per second, above 0. Raises `InvalidTicks` if no tick lies in a session."""
        self._days = _days(ticks, sessions)
        self._speed = speed
        self._sessions = sessions
        self._rounds = rounds
        self._start_after = start_after

    def __iter__(self) -> Iterator[Timed]:
        after = self._start_after
        for day, is_last_day in self._played():
            if after is not None and after >= day.ends:
                continue
            before: datetime | None = None
            if after is not None and any(session.contains(after) for _, _, session in day.ticks):
                before = after
            for number, (tick, at, session) in enumerate(day.ticks, start=1):
                if after is not None and at <= after:
                    continue
                market = at - before if before is not None else timedelta(0)
                is_last = is_last_day and number == len(day.ticks)
                played = tick if at is tick.at else replace(tick, at=at)
                yield Timed(played, market.total_seconds() / self._speed, session, is_last)
                before = at

    def _played(self) -> Iterator[tuple[_Day, bool]]:
        """Each day as it is played, from the first on, and whether a round ends with it. The same in every process."""
        played = self._days[0].date
        for number in count():
            if number == self._rounds:
                return
            for day in self._days:
                moved = day if number == 0 else self._next(day, played)
                played = moved.date
                yield moved, day is self._days[-1]

    def _next(self, day: _Day, played: date) -> _Day:
        """The day's ticks on the first day after that one on which any of them can be."""
        calendar = self._sessions.of(day.ticks[0][0].symbol)
        while not (moved := self._moved(day, calendar.next_session(played).date)).ticks:
            played = moved.date
        return moved

    def _moved(self, day: _Day, to: date) -> _Day:
        """The day's ticks on another one, at the same distance from their session's opening. A symbol that does not
        trade there is left out, and so is what would come after the close."""
        moved = _Day(to, [])
        others = {
            symbol: self._sessions.of(symbol).session_on(to) for symbol in {tick.symbol for tick, _, _ in day.ticks}
        }
        for tick, at, session in day.ticks:
            other = others[tick.symbol]
            if other is not None and other.contains(shifted := at + (other.opens - session.opens)):
                moved.ticks.append((tick, shifted, other))
        return moved


class RecordedFeed:
    """Plays recorded ticks once, as they are read: no more of them are in memory than those that come next.

    Each `iter` reads the files anew. Ticks lie in sessions, and come in the order of their time.
    """

    def __init__(self, read: Callable[[], Iterator[list[Tick]]], sessions: SessionSource) -> None:
        """`read` gives them, some at a time. The first are read at once: raises what `read` raises until then."""
        self._read = read
        self._sessions = sessions
        self._begun: Iterator[list[Tick]] | None = read()
        self._first = next(self._begun)

    @property
    def begins(self) -> datetime:
        """When the first tick is."""
        return self._first[0].at

    def __iter__(self) -> Iterator[Timed]:
        begun, self._begun = self._begun, None
        batches = self._read() if begun is None else chain([self._first], begun)
        return chain.from_iterable(map(self._timed, batches))

    def _timed(self, ticks: list[Tick]) -> Iterable[Timed]:
        symbols = [tick.symbol for tick in ticks]
        of_symbol = {symbol: self._sessions.of(symbol).session_on(ticks[0].at.date()) for symbol in set(symbols)}
        first, last = ticks[0].at, ticks[-1].at
        found: Iterable[Session | None]
        if all(
            session is not None and session.opens <= first and last < session.closes for session in of_symbol.values()
        ):
            found = map(of_symbol.__getitem__, symbols)
        else:
            found = (self._sessions.of(tick.symbol).session_on(tick.at.date()) for tick in ticks)
        return map(partial(tuple.__new__, Timed), zip(ticks, repeat(0.0), found, repeat(False)))  # noqa: FBT003


def _days(ticks: Iterable[Tick], sessions: SessionSource) -> list[_Day]:
    days: list[_Day] = []
    in_order = sorted(ticks, key=lambda tick: tick.at)
    known: dict[tuple[str, date], Session | None] = {}
    for tick in in_order:
        of_day = tick.symbol, tick.at.date()
        if of_day not in known:
            known[of_day] = sessions.of(tick.symbol).session_on(of_day[1])
        session = known[of_day]
        if session is None or not session.contains(tick.at):
            continue
        if not days or days[-1].date != session.date:
            days.append(_Day(session.date, []))
        days[-1].ticks.append((tick, tick.at, session))
    if not days:
        if not in_order:
            raise InvalidTicks(NOTHING)
        raise InvalidTicks(when_outside(in_order[0].symbol, in_order[0].at, sessions))
    return days


class SyntheticFeed:
    """A seeded random walk, endless: the same arguments give the same ticks. One symbol after the other.

    A tick every `interval` seconds, on the wall's clock and on the market's, from `start` on and while the symbol has
    a session; while all are closed, time is skipped without waiting. Each symbol begins at its start price, rounded to
    `tick_size` (rupees), and moves in multiples of it, in proportion to its price.
    """

    def __init__(
        self,
        symbols: Mapping[str, Decimal],
        tick_size: Decimal,
        seed: int,
        interval: float,
        start: datetime,
        sessions: SessionSource = ALWAYS_OPEN,
        *,
        with_book: bool = False,
    ) -> None:
        """Without `sessions` the market is always open. `with_book` adds a traded volume and five levels of an order
        book to each tick, around the same prices. Raises `InvalidTicks` for no symbols or no interval."""
        self._step = timedelta(seconds=interval)
        if not symbols:
            raise InvalidTicks("nothing to show: a synthetic feed needs at least one symbol")
        if self._step <= timedelta(0):
            raise InvalidTicks(f"interval: must be at least a microsecond, was {interval} s")
        self._begin = {symbol: _in_ticks(price, tick_size) for symbol, price in symbols.items()}
        self._tick_size = tick_size
        self._seed = seed
        self._start = start
        self._sessions = sessions
        self._with_book = with_book

    def __iter__(self) -> Iterator[Timed]:
        random = Random(self._seed)  # noqa: S311
        book = SyntheticBook(self._seed, self._tick_size) if self._with_book else None
        prices = dict(self._begin)
        shown: set[str] = set()
        for symbol, at, wait, session in self._times():
            if symbol in shown:
                prices[symbol] = _moved(prices[symbol], random)
            shown.add(symbol)
            tick = Tick(symbol, prices[symbol] * self._tick_size, at)
            yield Timed(book.around(tick, session) if book else tick, wait, session)

    def _times(self) -> Iterator[tuple[str, datetime, float, Session]]:
        """One symbol after the other, those that trade at that moment."""
        at, wait, pause = self._start, 0.0, self._step.total_seconds()
        symbols = list(self._begin)
        while True:
            for symbol in symbols:
                session = self._sessions.of(symbol).session_at_or_after(at)
                if session.contains(at):
                    yield symbol, at, wait, session
                    at, wait = at + self._step, pause
            coming = [self._sessions.of(symbol).session_at_or_after(at) for symbol in symbols]
            if all(at < session.opens for session in coming):
                at, wait = min(session.opens for session in coming), 0.0


class SyntheticBook:
    """Volume and five levels a side, on a chance of its own: the prices are the same with it and without."""

    def __init__(self, seed: int, tick_size: Decimal) -> None:
        self._random = Random(f"book {seed}")  # noqa: S311
        self._tick_size = tick_size
        self._traded: dict[tuple[str, date], int] = {}

    def around(self, tick: Tick, session: Session) -> Tick:
        """The last trade was at the best bid or at the best ask, which are one tick apart."""
        key = (tick.symbol, session.date)
        self._traded[key] = self._traded.get(key, 0) + self._random.randint(0, MOST_TRADED)
        bid = tick.last_price - self._tick_size * self._random.randint(0, 1)
        depth = Depth(self._levels(bid, -1), self._levels(bid + self._tick_size, 1))
        return replace(tick, volume=self._traded[key], depth=depth)

    def _levels(self, best: Decimal, direction: int) -> tuple[Level, ...]:
        prices = [best + direction * step * self._tick_size for step in range(LEVELS)]
        return tuple(Level(price, self._random.randint(1, MOST_OFFERED)) for price in prices)


def _in_ticks(price: Decimal, tick_size: Decimal) -> int:
    return max(int((price / tick_size).to_integral_value(ROUND_HALF_UP)), LEAST_TICKS)


def _moved(ticks: int, random: Random) -> int:
    most = max(ticks // BOLDNESS, 1)
    return max(ticks + random.randint(-most, most), LEAST_TICKS)
