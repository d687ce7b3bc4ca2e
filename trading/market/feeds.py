"""Feeds: endless ticks, each with the session it belongs to and the time to wait before it is shown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import count, cycle
from random import Random

from trading.errors import InvalidTicks
from trading.market.calendar import Session, SessionCalendar, calendar_of
from trading.market.ticks import LEVELS, Depth, Level, Tick
from trading.settings import Calendar

LEAST_TICKS = 10
"""A synthetic price never falls below so many times its tick size."""
BOLDNESS = 5_000
"""A synthetic price moves by at most one part in so many (2 bps) a tick, and may always move by its tick size."""


MOST_TRADED = 5_000
"""Units of a synthetic symbol that change hands between two ticks."""
MOST_OFFERED = 1_000
"""Units at one level of a synthetic order book."""


@dataclass(frozen=True, slots=True)
class Timed:
    tick: Tick
    wait: float
    """Seconds on the wall's clock between the tick before it and this one."""
    session: Session
    is_last: bool = False
    """Whether a round of a replay ends with it."""


@dataclass(frozen=True, slots=True)
class _Day:
    """The recorded ticks of one session, in the order of their time."""

    session: Session
    ticks: list[Tick]

    def played_in(self, session: Session) -> Iterator[Tick]:
        """At the same distance from that session's opening as they had from their own."""
        shift = session.opens - self.session.opens
        for tick in self.ticks:
            yield replace(tick, at=tick.at + shift) if shift else tick


class ReplayFeed:
    """Plays ticks over and over, always forward in time. Iterating begins it; each `iter` plays it anew.

    The first round has the dates of the ticks. After that each recorded day is played in the calendar's next session,
    and so on without an end, or for `rounds` rounds. Ticks outside the calendar's sessions, such as those of a
    pre-open, are left out: the market was not open.

    With `start_after` the feed is the same, without what is not later than that moment. So a restart with the time of
    the last tick shown goes on exactly where it was, `rounds` included; of ticks that share a moment, the rest are
    taken as shown too.
    """

    def __init__(
        self,
        ticks: Iterable[Tick],
        speed: float,
        calendar: SessionCalendar,
        rounds: int | None = None,
        start_after: datetime | None = None,
    ) -> None:
        """`speed` is market seconds per second, above 0. Raises `InvalidTicks` if no tick lies in a session."""
        self._days = _days(ticks, calendar)
        self._speed = speed
        self._calendar = calendar
        self._rounds = rounds
        self._start_after = start_after

    def __iter__(self) -> Iterator[Timed]:
        after = self._start_after
        for session, day in self._sessions():
            if after is not None and after >= session.closes:
                continue
            before = after if after is not None and session.contains(after) else None
            last = len(day.ticks) if day is self._days[-1] else None
            for number, tick in enumerate(day.played_in(session), start=1):
                if after is not None and tick.at <= after:
                    continue
                market = tick.at - before if before is not None else timedelta(0)
                yield Timed(tick, market.total_seconds() / self._speed, session, number == last)
                before = tick.at

    def _sessions(self) -> Iterator[tuple[Session, _Day]]:
        """Which day is played in which session, from the first on. The same in every process."""
        session = self._days[0].session
        for number in count():
            if number == self._rounds:
                return
            for day in self._days:
                session = day.session if number == 0 else self._calendar.next_session(session.date)
                yield session, day


def _days(ticks: Iterable[Tick], calendar: SessionCalendar) -> list[_Day]:
    days: list[_Day] = []
    for tick in sorted(ticks, key=lambda tick: tick.at):
        if not days or not days[-1].session.contains(tick.at):
            session = calendar.session_at_or_after(tick.at)
            if not session.contains(tick.at):
                continue
            days.append(_Day(session, []))
        days[-1].ticks.append(tick)
    if not days:
        raise InvalidTicks("nothing to replay: no tick lies in a session of market.calendar")
    return days


class SyntheticFeed:
    """A seeded random walk, endless: the same arguments give the same ticks. One symbol after the other.

    A tick every `interval` seconds, on the wall's clock and on the market's, from `start` on and while the calendar
    has a session; a closed market is skipped without waiting. Each symbol begins at its start price, rounded to
    `tick_size` (rupees), and moves in multiples of it, in proportion to its price.
    """

    def __init__(
        self,
        symbols: Mapping[str, Decimal],
        tick_size: Decimal,
        seed: int,
        interval: float,
        start: datetime,
        calendar: SessionCalendar | None = None,
        *,
        with_book: bool = False,
    ) -> None:
        """Without a calendar the market is always open. `with_book` adds a traded volume and five levels of an order
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
        self._calendar = calendar or calendar_of(Calendar.ALWAYS_OPEN)
        self._with_book = with_book

    def __iter__(self) -> Iterator[Timed]:
        random = Random(self._seed)  # noqa: S311
        book = SyntheticBook(self._seed, self._tick_size) if self._with_book else None
        prices = dict(self._begin)
        shown: set[str] = set()
        for symbol, (at, wait, session) in zip(cycle(prices), self._times(), strict=False):
            if symbol in shown:
                prices[symbol] = _moved(prices[symbol], random)
            shown.add(symbol)
            tick = Tick(symbol, prices[symbol] * self._tick_size, at)
            yield Timed(book.around(tick, session) if book else tick, wait, session)

    def _times(self) -> Iterator[tuple[datetime, float, Session]]:
        session = self._calendar.session_at_or_after(self._start)
        at, wait = max(self._start, session.opens), 0.0
        while True:
            yield at, wait, session
            at, wait = at + self._step, self._step.total_seconds()
            if not session.contains(at):
                session = self._calendar.session_at_or_after(at)
                if at < session.opens:
                    at, wait = session.opens, 0.0


class SyntheticBook:
    """Volume and five levels a side, on a chance of its own: the prices are the same with it and without."""

    def __init__(self, seed: int, tick_size: Decimal) -> None:
        self._random = Random(f"book {seed}")  # noqa: S311
        self._tick_size = tick_size
        self._traded: dict[tuple[str, Session], int] = {}

    def around(self, tick: Tick, session: Session) -> Tick:
        """The last trade was at the best bid or at the best ask, which are one tick apart."""
        key = (tick.symbol, session)
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
