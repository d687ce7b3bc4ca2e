"""What a backtest is played over: the recorded ticks of its settings, all of them or those of some days."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ist import IST
from durable_orders.trading.market.feeds import RecordedFeed
from durable_orders.trading.market.files.merging import before, of_days
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_bars import earlier_ticks
from durable_orders.trading.market.recorded_ticks import market_batches
from durable_orders.trading.market.ticks import Tick
from durable_orders.workers.home import Home
from durable_orders.workers.instruments import instruments_of

A_DAY = timedelta(days=1)
Read = Callable[[], Iterator[list[Tick]]]


@dataclass(frozen=True, slots=True)
class Days:
    """Both are among them; of the market, in IST."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Recorded:
    """The feed, and what goes before it."""

    instruments: Instruments
    feed: RecordedFeed
    earlier: Iterable[Tick]
    """From before the feed, which only `history` knows: those of the history's file, and of days before those."""
    told: ReadingReport
    """Of what is read first, which is all where no days are named."""


def recorded(
    home: Home,
    settings: Settings,
    days: Days | None = None,
    progress: Callable[[float], object] = lambda _share: None,
) -> Recorded:
    """Those of these days, or all. The first ticks are read at once; `progress` hears how much of the files was read,
    from 0 to 1.

    Raises `InvalidTicks`, `InvalidSettings` and `InvalidInstruments`.
    """
    told, instruments = ReadingReport(), instruments_of(home, settings)
    sessions = InstrumentSessions(settings.market, instruments)
    reports = iter([told])

    def read() -> Iterator[list[Tick]]:
        """What is read again, as for a strategy that asks for what has passed, is not told of again."""
        report = next(reports, None)
        share = progress if report is not None else _ignored
        return market_batches(settings.market, instruments, sessions, report or ReadingReport(), share)

    whole = RecordedFeed(read, sessions)
    earlier: Iterable[Tick] = earlier_ticks(settings.market, instruments, sessions, whole.begins, told)
    if days is None:
        return Recorded(instruments, whole, earlier, told)
    feed = RecordedFeed(lambda: of_days(read(), days.first, days.last), sessions)
    return Recorded(instruments, feed, _Earlier(earlier, read, days.first), told)


def recorded_days(home: Home, settings: Settings) -> tuple[list[date], ReadingReport]:
    """The days of which there are ticks, by a reading of all of them. Raises what `recorded` raises."""
    told, instruments = ReadingReport(), instruments_of(home, settings)
    sessions, begins, found = InstrumentSessions(settings.market, instruments), None, set[date]()
    for batch in market_batches(settings.market, instruments, sessions, told):
        begins = begins or batch[0].at
        found |= {batch[0].at.date(), batch[-1].at.date()}
        if batch[-1].at - batch[0].at > A_DAY:
            found |= {tick.at.date() for tick in batch}
    earlier_ticks(settings.market, instruments, sessions, begins, told)
    return sorted(found), told


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Read only if it is asked for, and then anew each time."""

    history: Iterable[Tick]
    read: Read
    until: date

    def __iter__(self) -> Iterator[Tick]:
        return chain(self.history, chain.from_iterable(before(self.read(), _midnight(self.until))))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), IST)


def _ignored(_share: float) -> None:
    return None
