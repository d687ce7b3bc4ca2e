"""When a strategy wants to be called: at a time of day, or every so often. Time is the market's; no clock is read here.

Whoever plays a strategy asks `next_before` for the next moment before something happens, brings the market's time there
and calls what `take` gives. So a backtest, a paper market that waits, and a live run call the same things at the same
moments of the market, also where no tick comes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.market.calendar import Session

AT_ONCE = datetime(2000, 1, 1, tzinfo=IST)
NEVER = datetime(9999, 1, 1, tzinfo=IST)
DAY = timedelta(days=1)
LATE = timedelta(minutes=1)
"""A time that passed longer ago has been missed."""

TimerCall = Callable[[Any], object]
"""It is given the desk, as every callback is."""


@dataclass(frozen=True, slots=True)
class Grid:
    """When bars end: so often from an opening of their own on, and with the close."""

    hours: Callable[[date], Session | None]
    owes: Callable[[datetime], bool]
    """Whether bars of before that moment have not been told yet."""
    grace: timedelta = timedelta()
    """For so long after its end a bar waits for ticks that are on their way."""


@dataclass(slots=True)
class Timer:
    name: str
    call: TimerCall
    at: time | None = None
    """Of each day, IST."""
    once: datetime | None = None
    interval: timedelta | None = None
    late: bool = False
    again: bool = False
    since: datetime | None = None
    """When it was asked for; `None` before the market's time was known."""
    grid: Grid | None = None
    """Of bars."""


class Timers:
    """One strategy's. `next_at` is the moment after which there is something to do: one comparison a tick."""

    def __init__(self, called: Mapping[str, str] | None = None) -> None:
        """`called` is what an earlier run has left of this one's `called`."""
        self.called = dict(called or {})
        """By name, the last moment (ISO 8601) for which each was called."""
        self.next_at = NEVER
        self.missed: list[str] = []
        """What was not called, in words, until somebody takes it."""
        self._timers: dict[str, Timer] = {}
        self._due: list[tuple[datetime, int, Timer]] = []
        self._numbers = count()
        self._session: Session | None = None
        self._now: datetime | None = None

    def at(
        self, when: object, call: TimerCall, name: str | None, now: datetime | None, *, late: bool, again: bool
    ) -> None:
        """`now` is the market's time, where it is known: what is over by then is late."""
        moment = moment_of("at", when)
        words = f"{moment:%H:%M:%S}" if isinstance(moment, time) else moment.isoformat()
        timer = Timer(_name("at", words, call, name), call, late=late, again=again)
        if isinstance(moment, time):
            timer.at = moment
        else:
            timer.once = moment
        self._add("at", timer, now)

    def bars(self, interval: timedelta, call: TimerCall, name: str, now: datetime | None, grid: Grid) -> None:
        """At the end of each bar; at the last one a moment before the close. What an earlier session has left is asked
        for as the next one opens."""
        self._add("bars", Timer(name, call, interval=interval, grid=grid), now)

    def every(self, interval: object, call: TimerCall, name: str | None, now: datetime | None) -> None:
        if not isinstance(interval, timedelta) or interval < timedelta(seconds=1):
            rule = "must be a timedelta of a second or more, as in timedelta(minutes=5)"
            raise InvalidStrategy(f"every: interval: {rule}; was {interval!r:.40}")
        self._add("every", Timer(_name("every", str(interval), call, name), call, interval=interval), now)

    def begin(self, now: datetime | None) -> None:
        """The market's time as the run begins, where that is known before the first tick."""
        self._now = now

    def next_before(self, until: datetime, session: Session) -> datetime | None:
        """The next moment before `until` for which something is to be called. `session` is the one of then: before its
        day begins, the rest of the day before is over."""
        if not self._timers:
            return None
        self._now = self._now or until
        if self._session is not None and self._session.date != session.date:
            if self._due and self._due[0][0] < self._session.closes:
                return self._due[0][0]
            self._session = None
        if self._session is None:
            self._turn(session)
        return self._due[0][0] if self._due and self._due[0][0] < min(until, session.closes) else None

    def take(self, moment: datetime) -> Iterator[Timer]:
        """Those to be called at that moment, in the order of their times. The clock may be beyond them, where that is
        the wall's: an interval that has passed more than once counts once, and what is long over is missed."""
        while self._due and self._due[0][0] <= moment:
            due, _, timer = heappop(self._due)
            if timer.grid is not None:
                self._arm_grid(timer, timer.grid, max(due, moment))
            elif timer.interval is not None:
                due += (moment - due) // timer.interval * timer.interval
                heappush(self._due, (due + timer.interval, next(self._numbers), timer))
            elif moment - due > LATE and not timer.late:
                self._miss(timer, due, moment)
                continue
            self.called[timer.name] = due.isoformat()
            self._now = max(self._now or moment, moment)
            self._renew()
            yield timer
        self._now = max(self._now or moment, moment)
        self._renew()

    def take_missed(self) -> list[str]:
        """What was not called, in words, each once."""
        missed, self.missed = self.missed, []
        return missed

    def _add(self, verb: str, timer: Timer, now: datetime | None) -> None:
        known = self._timers.get(timer.name)
        if known is not None:
            if known.call != timer.call or (known.at, known.once, known.interval) != (
                timer.at,
                timer.once,
                timer.interval,
            ):
                raise InvalidStrategy(
                    f"{verb}: {timer.name!r} is another timer's name; give this one its own: name=..."
                )
            return
        self._now = max(filter(None, (self._now, now)), default=None)
        timer.since = self._now
        self._timers[timer.name] = timer
        if self._session is not None:
            self._arm(timer, self._session)
        self._renew()

    def _turn(self, session: Session) -> None:
        """A new day of the market."""
        self._session = session
        self._due = []
        self.called = {name: at for name, at in self.called.items() if _date_of(at) >= session.date}
        for timer in self._timers.values():
            timer.since = timer.since or self._now
            self._arm(timer, session)
        self._renew()

    def _arm(self, timer: Timer, session: Session) -> None:
        since = timer.since or session.opens
        called = datetime.fromisoformat(self.called[timer.name]) if timer.name in self.called else None
        due: datetime | None
        if timer.grid is not None:
            if timer.grid.owes(session.opens):
                heappush(self._due, (session.opens, next(self._numbers), timer))
            else:
                self._arm_grid(timer, timer.grid, max(since - timedelta.resolution, called or since))
            return
        if timer.interval is not None:
            last = max(since - timedelta.resolution, called or since - timedelta.resolution)
            passed = max((last - session.opens) // timer.interval, 0)
            due = session.opens + (passed + 1) * timer.interval
        else:
            due = datetime.combine(session.date, timer.at, IST) if timer.at is not None else timer.once
            due = self._still_due(timer, due, since, called) if due and due.date() == session.date else None
        if due is not None:
            heappush(self._due, (due, next(self._numbers), timer))

    def _arm_grid(self, timer: Timer, grid: Grid, after: datetime) -> None:
        """The end of the next bar after that moment of the session's day, if there is one."""
        session, interval = self._session, timer.interval
        if session is None or interval is None:
            return
        own = grid.hours(session.date) or session
        last = min(own.closes, session.closes) - timedelta.resolution
        passed = max((after - grid.grace - own.opens) // interval, 0)
        due = min(own.opens + (passed + 1) * interval + grid.grace, last)
        if due > after:
            heappush(self._due, (due, next(self._numbers), timer))

    def _still_due(self, timer: Timer, due: datetime, since: datetime, called: datetime | None) -> datetime | None:
        """When it is called, if that is not over."""
        if due >= since:
            return due if called is None or called < due else None
        if called is not None and called >= due:
            return since if timer.again else None
        if since - due <= LATE or timer.late or timer.again:
            return since
        self._miss(timer, due, since)
        return None

    def _miss(self, timer: Timer, due: datetime, since: datetime) -> None:
        times = f"{due.astimezone(IST):%H:%M:%S} had passed at {since.astimezone(IST):%H:%M:%S}"
        self.missed.append(f"not called: {timer.name}: {times}; with late=True it is called then")

    def _renew(self) -> None:
        if not self._timers:
            self.next_at = NEVER
        elif self._session is None:
            self.next_at = AT_ONCE
        else:
            tomorrow = start_of_day(self._session.opens) + DAY - timedelta.resolution
            self.next_at = min(self._due[0][0], tomorrow) if self._due else tomorrow


def moment_of(verb: str, when: object) -> time | datetime:
    """A time of day in IST, or a moment. Raises `InvalidStrategy` for anything else."""
    rule = "must be a time of day, as in '9:20', or a datetime with a zone"
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            raise InvalidStrategy(f"{verb}: {rule}; {when} has no zone")
        return when.astimezone(IST)
    if isinstance(when, time):
        if when.tzinfo is not None:
            raise InvalidStrategy(f"{verb}: a time of day is IST, and has no zone of its own; was {when!r}")
        return when
    try:
        parts = str(when).split(":") if isinstance(when, str) else []
        hour, minute, second = (int(part) for part in (*parts, *["0"] * (len(parts) == 2)))
        return time(hour, minute, second)
    except ValueError:
        raise InvalidStrategy(f"{verb}: {rule}; was {when!r:.40}") from None


def _name(verb: str, words: str, call: TimerCall, name: str | None) -> str:
    if not callable(call):
        raise InvalidStrategy(f"{verb}: callback: must take the context, was {call!r:.40}")
    return name or f"{verb} {words} {getattr(call, '__name__', type(call).__name__)}"


def _date_of(moment: str) -> date:
    return datetime.fromisoformat(moment).astimezone(IST).date()
