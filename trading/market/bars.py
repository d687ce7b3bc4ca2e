"""Bars of the ticks that a strategy is shown: minutes to a day, by session, several symbols in step.

An interval counts from the opening of the session, so the last bar of a day may be shorter than the others. A bar is
told once its time is over, also where no further tick comes. An indicator is fed with `bar.floats`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session, SessionSource
from durable_orders.trading.market.ticks import Tick

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
NEVER = datetime(9999, 1, 1, tzinfo=IST)
MINUTES = re.compile(r"(\d{1,3})?minute")
KITE_INTERVALS = (*(timedelta(minutes=each) for each in (1, 3, 5, 10, 15, 30, 60)), DAY)
"""Those of which Kite has candles (Kite documentation, historical candle data)."""
INTERVALS = "must be as Kite's, 'minute', '5minute' or 'day', or a timedelta of whole minutes or of one day"

BarsCall = Callable[[Any, Mapping[str, "Bar"]], object]
"""It is given the desk, and by symbol the bars that ended at one moment."""


class Floats(NamedTuple):
    """What indicator libraries compute with: a bar as binary fractions."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    time: datetime


@dataclass(frozen=True, slots=True)
class Bar:
    """Rupees and units."""

    symbol: str
    at: datetime
    """Its beginning, IST."""
    ends: datetime
    """The first moment that is not in it any more: the close of the session at the latest."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    """0 where the source tells none, as of an index."""
    oi: int | None = None
    """Open interest at its end, where the source tells it."""
    is_whole: bool = True
    """Whether it was watched from its beginning on. The first one after a start in the middle of an interval was not:
    `history` has that one whole."""

    @property
    def floats(self) -> Floats:
        return Floats(
            float(self.open), float(self.high), float(self.low), float(self.close), float(self.volume), self.at
        )


def interval_of(verb: str, interval: object) -> timedelta:
    """Raises `InvalidStrategy` for one that bars cannot have."""
    found = DAY if interval == "day" else interval
    if isinstance(found, str) and (minutes := MINUTES.fullmatch(found)):
        found = timedelta(minutes=int(minutes[1] or 1))
    if not isinstance(found, timedelta) or not MINUTE <= found <= DAY or found % MINUTE:
        raise InvalidStrategy(f"{verb}: interval: {INTERVALS}; was {interval!r:.40}")
    return found


def name_of(interval: timedelta) -> str:
    """As Kite writes it."""
    minutes = interval // MINUTE
    return "day" if interval == DAY else "minute" if minutes == 1 else f"{minutes}minute"


def span_of(session: Session, interval: timedelta, at: datetime) -> tuple[datetime, datetime]:
    """From when to when the bar goes that a moment of that session is in."""
    if interval == DAY:
        return session.opens, session.closes
    begins = session.opens + (at - session.opens) // interval * interval
    return begins, min(begins + interval, session.closes)


@dataclass(slots=True)
class _Forming:
    """One symbol's."""

    session: Session
    before: int
    """Units that had been traded of the session when it began."""
    bar: Bar
    volume: int

    def show(self, tick: Tick) -> None:
        bar, price = self.bar, tick.last_price
        self.volume = max(self.volume, tick.volume)
        self.bar = Bar(
            bar.symbol,
            bar.at,
            bar.ends,
            bar.open,
            max(bar.high, price),
            min(bar.low, price),
            price,
            self.volume - self.before,
            bar.oi,
            bar.is_whole,
        )


class BarBuilder:
    """One interval, of some symbols or of all that are shown. Ticks come in the order of their time."""

    def __init__(
        self, interval: timedelta, symbols: Iterable[str], sessions: SessionSource, since: datetime | None = None
    ) -> None:
        """`since` is from when on ticks are seen, where that may be in the middle of a bar."""
        self.symbols = frozenset(symbols)
        self._interval = interval
        self._sessions = sessions
        self._since = since
        self._forming: dict[str, _Forming] = {}
        self._ended: list[Bar] = []
        self._told: dict[str, datetime] = {}

    def show(self, tick: Tick) -> None:
        """A tick of a bar that was told already, or outside of its session, is in none."""
        if self.symbols and tick.symbol not in self.symbols:
            return
        forming = self._forming.get(tick.symbol)
        if forming is not None and forming.bar.at <= tick.at < forming.bar.ends:
            forming.show(tick)
            return
        session = self._sessions.of(tick.symbol).session_on(tick.at.date())
        if session is None or not session.contains(tick.at):
            return
        begins, ends = span_of(session, self._interval, tick.at)
        if tick.at < self._told.get(tick.symbol, tick.at) or (forming is not None and tick.at < forming.bar.at):
            return
        price, before = tick.last_price, self._before(forming, session, tick)
        is_whole = self._since is None or self._since <= begins
        bar = Bar(tick.symbol, begins, ends, price, price, price, price, tick.volume - before, None, is_whole)
        if forming is not None:
            self._ended.append(forming.bar)
        self._forming[tick.symbol] = _Forming(session, before, bar, tick.volume)

    def _before(self, forming: _Forming | None, session: Session, tick: Tick) -> int:
        """What was traded of the session before the bar; of one that was not watched from its opening on, before its
        first tick."""
        if forming is not None and forming.session.date == session.date:
            return min(forming.volume, tick.volume)
        return 0 if self._since is None or self._since <= session.opens else tick.volume

    def take(self, now: datetime) -> Iterator[Mapping[str, Bar]]:
        """What has ended by then, moment by moment, each bar once."""
        for symbol, forming in list(self._forming.items()):
            if forming.bar.ends <= now and self._told.get(symbol) != forming.bar.ends:
                self._ended.append(forming.bar)
        ended, self._ended = self._ended, []
        at_once: dict[datetime, dict[str, Bar]] = {}
        for bar in ended:
            if bar.ends > self._told.get(bar.symbol, bar.at):
                self._told[bar.symbol] = bar.ends
                at_once.setdefault(bar.ends, {})[bar.symbol] = bar
        for ends in sorted(at_once):
            yield dict(sorted(at_once[ends].items()))

    def owes(self, at: datetime) -> bool:
        """Whether a bar that ended by then was not told yet."""
        return bool(self._ended) or any(
            each.bar.ends <= at and self._told.get(symbol) != each.bar.ends for symbol, each in self._forming.items()
        )


def bars_of(ticks: Iterable[Tick], symbol: str, interval: timedelta, sessions: SessionSource) -> list[Bar]:
    """All bars of one symbol, the last one too."""
    builder = BarBuilder(interval, [symbol], sessions)
    for tick in ticks:
        builder.show(tick)
    return [bars[symbol] for bars in builder.take(NEVER)]
