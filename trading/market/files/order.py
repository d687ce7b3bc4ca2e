"""Which ticks lie in a session, and in which order a file may have them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session, SessionSource
from durable_orders.trading.market.files.blocks import Cells
from durable_orders.trading.market.files.outside import in_session_if_utc, outside, when_outside
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.files.rows import Rows
from durable_orders.trading.market.ticks import Tick

A_MOMENT = timedelta(seconds=60)
"""How much earlier than the latest tick of the file one of another symbol may be: it is put in order."""


class InSessions:
    """What lies in a session, and why the rest does not."""

    def __init__(self, sessions: SessionSource | None, report: ReadingReport) -> None:
        self._sessions = sessions
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

    def open_hours(self, symbols: Iterable[str], at: datetime) -> tuple[datetime, datetime] | None:
        """From when to when all of these symbols trade on that day; `None` where one of them does not."""
        if self._sessions is None:
            return datetime.min.replace(tzinfo=IST), datetime.max.replace(tzinfo=IST)
        found = list[Session]()
        for symbol in symbols:
            session = self._sessions.of(symbol).session_on(at.date())
            if session is None:
                return None
            found.append(session)
        return max(each.opens for each in found), min(each.closes for each in found)

    def note_inside(self) -> None:
        """Ticks were met that lie in their sessions."""
        self._inside = True

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


class TickOrder:
    """Each symbol's ticks in sessions never go back in time, and nobody's by more than a moment.

    Where bad rows are skipped, the first tick of a day is one if the next is of a day before it: a single wrong date
    must not make all that follows too early.
    """

    def __init__(self, rows: Rows, seen: InSessions, skipped: ReadingReport | None) -> None:
        self._rows = rows
        self._seen = seen
        self._skipped = skipped
        self._latest: datetime | None = None
        self._of_symbol: dict[str, datetime] = {}
        self._leap: _Leap | None = None
        self._has_withdrawn = False

    def takes_at_once(self, first: datetime, last: datetime) -> bool:
        """Whether ticks from that moment to that one, in the order of their time, need no look at each."""
        if self._leap is not None or (self._latest is not None and first < self._latest):
            return False
        return self._skipped is None or (self._latest is not None and last.date() == self._latest.date())

    def took(self, symbols: Sequence[str], times: Sequence[datetime]) -> None:
        """Those of such ticks."""
        self._latest = times[-1]
        self._of_symbol.update(zip(symbols, times, strict=True))

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
