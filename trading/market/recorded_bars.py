"""Bars of recorded ticks, as of a moment of the market that replays them: nothing of what is yet to come."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice

from durable_orders.trading.config.settings import Market
from durable_orders.trading.market.bars import Bar, BarBuilder
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_ticks import market_ticks, symbol_of
from durable_orders.trading.market.ticks import Tick


@dataclass(slots=True)
class _Line:
    """One symbol's bars of one length, as far as they were asked for."""

    ticks: Iterator[Tick]
    builder: BarBuilder
    next: Tick | None = None
    bars: list[Bar] = field(default_factory=list)

    def until(self, now: datetime) -> list[Bar]:
        while self.next is not None and self.next.at < now:
            self.builder.show(self.next)
            self.next = next(self.ticks, None)
        for told in self.builder.take(now):
            self.bars += told.values()
        return self.bars


class RecordedBars:
    """One market's. It is asked for later and later moments."""

    def __init__(self, ticks: Callable[[], Iterator[Tick]], sessions: SessionSource) -> None:
        """`ticks` begins anew each time it is called, and gives them in the order of their time."""
        self._ticks = ticks
        self._sessions = sessions
        self._lines: dict[tuple[str, timedelta], _Line] = {}

    def until(self, symbol: str, interval: timedelta, now: datetime) -> list[Bar]:
        """All that have ended by then, oldest first."""
        line = self._lines.get((symbol, interval))
        if line is None:
            ticks = (tick for tick in self._ticks() if tick.symbol == symbol)
            line = _Line(ticks, BarBuilder(interval, [symbol], self._sessions), next(ticks, None))
            self._lines[symbol, interval] = line
        return line.until(now)


class PlayedBars:
    """Of a market that is played and not kept: bars are made of what is shown, from when one was first asked for.

    What was shown before that is read again.
    """

    def __init__(
        self,
        earlier: Iterable[Tick],
        ticks: Callable[[], Iterator[Tick]],
        played: Callable[[], int],
        sessions: SessionSource,
    ) -> None:
        """`earlier` are ticks from before; `ticks` gives those that are played, anew from the first on, and `played`
        how many of them were shown until now."""
        self._played = played
        self._earlier = earlier
        self._ticks = ticks
        self._sessions = sessions
        self._builders: dict[tuple[str, timedelta], BarBuilder] = {}
        self._bars: dict[tuple[str, timedelta], list[Bar]] = {}
        self._of_symbol: dict[str, list[BarBuilder]] = {}
        self.is_asked = False
        """Whether every tick is to be shown."""

    def show(self, tick: Tick) -> None:
        for builder in self._of_symbol.get(tick.symbol, ()):
            builder.show(tick)

    def until(self, symbol: str, interval: timedelta, now: datetime) -> list[Bar]:
        """All that have ended by then, oldest first."""
        key = symbol, interval
        builder = self._builders.get(key)
        if builder is None:
            self.is_asked = True
            builder = self._builders[key] = BarBuilder(interval, [symbol], self._sessions)
            self._bars[key] = []
            self._of_symbol.setdefault(symbol, []).append(builder)
            count = self._played()
            for tick in chain(self._earlier, islice(self._ticks(), count) if count else ()):
                builder.show(tick)
        bars = self._bars[key]
        for told in builder.take(now):
            bars += told.values()
        return bars


def earlier_ticks(
    market: Market, instruments: Instruments, sessions: SessionSource, begins: datetime | None, report: ReadingReport
) -> list[Tick]:
    """Those of `market.history` from before what is played, which `begins` then. What is to be told of its rows comes
    into the report.

    Raises `InvalidTicks` and `InvalidSettings`.
    """
    if market.history is None:
        return []
    earlier = market.model_copy(update={"ticks": (market.history,), "symbol": symbol_of(market)})
    own = ReadingReport()
    ticks = list(market_ticks(earlier, instruments, sessions, own))
    found = [tick for tick in ticks if begins is None or tick.at < begins]
    if late := len(ticks) - len(found):
        own.note(f"ticks left out, not from before the recording: {late}")
    for words in own.lines():
        report.note(f"{market.history.name}, the history: {words}")
    return found
