"""The pacer at the broker's edge: every worker takes its turn here before a request leaves.

Kite refuses the eleventh order request of a calendar second of its own clock, and the 401st of a minute. Whose second
that is cannot be known from here, nor when within its call a request arrives: a handshake or a busy machine may hold
it up. So a turn lasts from before the request leaves until its answer is there, and counts for a whole window more.
Then no window, wherever it begins, holds the arrival of more requests than are allowed.

A cancel, or a reading, waits for no ledger: where that is locked, full or gone, its process keeps half of the pace by
itself, since another worker may do the same.

The ledger has the turns by the wall's clock. One that was set back shows requests of the future: they count as of the
moment in which that is noticed, so they hold nobody up for longer than a window.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.tables import order_requests
from durable_orders.trading.ledger.time_limited import HeldUpError, TimeLimited

SECOND = timedelta(seconds=1.1)
"""A tenth more than a second, for workers whose clocks differ by as much."""
MINUTE = timedelta(seconds=61)
KEPT_FOR_CANCELS = 2
"""Of each second's requests, so many are for cancels alone: they go before new orders."""
ON_ITS_WAY = timedelta(seconds=8)
"""A request whose end nobody noted (its worker was killed) has arrived after this long, or never does: its connection
is there within `kite.timeout`, 7 s by default."""
CLOCKS_DIFFER = timedelta(seconds=0.5)
"""Workers' clocks may differ by so much without anybody having set one."""
SHORTEST, ASK_AGAIN = 0.005, 0.05
"""Seconds between two looks for a turn. A request that is on its way may be over at any moment."""
WORKERS = 2
"""So many may be at work on an account, each without the ledger."""
LEDGER_SECONDS = 1.5
"""So long an urgent request waits for the ledger: several times as long as that takes where nothing is wrong."""
READS_PER_SECOND = 8
"""Of the ten that Kite allows for everything but orders and quotes, over all that the user runs."""
HISTORY_PER_SECOND = 2
"""Of the three that Kite allows for candles."""

_R = order_requests.c
_IN_THE_FUTURE = sa.or_(
    sa.and_(_R.is_over, _R.at > sa.bindparam("now", type_=_R.at.type)),
    _R.at > sa.bindparam("latest", type_=_R.at.type),
)

log = logging.getLogger(__name__)

Redeem = Callable[[sa.Connection], None]
"""What is to be done in the transaction that takes a turn, such as using up a permission. If it raises, there is no
turn."""


class Slot:
    """True if it came. One in which nothing left after all is given back, and does not count."""

    def __init__(self, number: int | None) -> None:
        self.number = number
        self.was_used = True

    def __bool__(self) -> bool:
        return self.number is not None

    def give_back(self) -> None:
        self.was_used = False


UNRECORDED = 0
"""The number of a turn that the ledger does not have."""


NO_LIMIT = Slot(UNRECORDED)
"""Where nobody keeps a pace."""


class RateLimiter:
    """One account's pace, kept in the ledger. Thread-safe, and safe over any number of processes."""

    def __init__(
        self,
        database: Database,
        account: str,
        per_second: int,
        per_minute: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is the wall's; `timer`, in seconds, only goes forward."""
        self._database = database
        self._account = account
        self._per_second = per_second
        self._per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._timer = timer
        self._queues = {urgent: threading.Lock() for urgent in (True, False)}
        self._urgently = TimeLimited(LEDGER_SECONDS)
        self._afterwards = TimeLimited(LEDGER_SECONDS)
        self._alone: deque[float] = deque()
        self._is_alone = False

    @contextmanager
    def turn(self, *, urgent: bool = False, patience: float = 20.0, redeem: Redeem | None = None) -> Iterator[Slot]:
        """A turn for the length of one request; waits for it up to `patience` seconds, and says whether it came.

        Cancels and readings are urgent: where the ledger cannot be used at once, they go without it. With `redeem`, a
        turn that came is on the disk before the request leaves, whatever happens to this machine. Where it is not
        urgent, raises what `redeem` raises, and SQLAlchemy's errors if the ledger cannot be used; then nothing may be
        sent.
        """
        turn = Slot(self._urgent(patience) if urgent else self._wait(patience, redeem))
        if turn.number:
            self._let_pass_what_left_alone()
        try:
            yield turn
        finally:
            if turn.number:
                self._end(turn.number, was_used=turn.was_used)

    def _urgent(self, patience: float) -> int | None:
        try:
            number = self._wait(patience, is_urgent=True)
        except (SQLAlchemyError, LedgerUnusable, HeldUpError) as error:
            if not self._is_alone:
                log.warning(
                    "the pace is kept without the ledger (%s): cancels go out all the same", type(error).__name__
                )
            self._is_alone = True
            return self._wait_alone(patience)
        self._is_alone = False
        return number

    def _let_pass_what_left_alone(self) -> None:
        """The ledger does not know of it, and would let a whole second's requests leave beside it."""
        with suppress(IndexError):
            self._sleep(max(self._alone[-1] + SECOND.total_seconds() - self._timer(), 0))

    def _wait_alone(self, patience: float) -> int | None:
        """By what this process alone has sent of late. Where the ledger cannot be used, no order leaves meanwhile."""
        deadline, second = self._timer() + patience, SECOND.total_seconds()
        share = max(self._per_second // WORKERS, 1)
        with self._queues[True]:
            while True:
                while self._alone and self._alone[0] <= self._timer() - second:
                    self._alone.popleft()
                if len(self._alone) < share:
                    self._alone.append(self._timer())
                    return UNRECORDED
                pause = max(self._alone[0] + second - self._timer(), SHORTEST)
                if self._timer() + pause > deadline:
                    return None
                self._sleep(pause)

    def _wait(self, patience: float, redeem: Redeem | None = None, *, is_urgent: bool = False) -> int | None:
        """One thread of each kind asks at a time, so that a burst does not spend itself on asking."""
        deadline = self._timer() + patience
        queue = self._queues[is_urgent]
        if not queue.acquire(timeout=max(patience, 0)):
            return None
        try:
            while (number := self._asked_to_take(is_urgent, redeem)) is None:
                pause = max(self._asked_for_pause(is_urgent), SHORTEST)
                if self._timer() + pause > deadline:
                    return None
                self._sleep(pause)
            return number
        finally:
            queue.release()

    def _asked_to_take(self, is_urgent: bool, redeem: Redeem | None) -> int | None:
        if not is_urgent:
            return self._take(is_urgent, redeem)
        return self._urgently.ask(lambda: self._take(is_urgent, redeem), self._give_back)

    def _asked_for_pause(self, is_urgent: bool) -> float:
        return self._urgently.ask(lambda: self._pause(is_urgent)) if is_urgent else self._pause(is_urgent)

    def _give_back(self, number: int | None) -> None:
        """A turn that came when nobody waited for it any more."""
        if number is not None:
            self._over(number, was_used=False)

    def _pause(self, urgent: bool) -> float:
        """Seconds until a turn may be free. Reads only: those who wait must not hold up those who write."""
        with self._database.read() as connection:
            seconds = self._wait_within(connection, urgent)
            if seconds <= 0 or not self._was_set_back(connection):
                return seconds
        self._take_as_of_now()
        return SHORTEST

    def _was_set_back(self, connection: sa.Connection) -> bool:
        mine = _R.account == self._account
        asked = sa.select(sa.exists().where(mine, _IN_THE_FUTURE))
        return bool(connection.execute(asked, self._future()).scalar_one())

    def _future(self) -> dict[str, datetime]:
        now = self._clock()
        return {"now": now + CLOCKS_DIFFER, "latest": now + ON_ITS_WAY + CLOCKS_DIFFER}

    def _take_as_of_now(self) -> None:
        log.warning("the clock was set back: the latest order requests count as of now")
        with self._database.write(self._account) as connection:
            noted = sa.update(order_requests).where(_R.account == self._account, _IN_THE_FUTURE)
            connection.execute(noted.values(at=self._clock()), self._future())

    def _take(self, urgent: bool, redeem: Redeem | None) -> int | None:
        """The number of a turn; `None` if there is none to be had now."""
        if self._pause(urgent) > 0:
            return None
        with self._database.write(self._account, durable=redeem is not None) as connection:
            if self._wait_within(connection, urgent) > 0:
                return None  # another worker was faster
            if redeem is not None:
                redeem(connection)
            now = self._clock()
            old = (order_requests.c.account == self._account) & (order_requests.c.at < now - 2 * MINUTE)
            connection.execute(sa.delete(order_requests).where(old))
            own = {"account": self._account, "at": now + ON_ITS_WAY, "is_over": False}
            turn = connection.execute(sa.insert(order_requests).values(own))
            return int(turn.inserted_primary_key[0]) if turn.inserted_primary_key else None

    def _end(self, number: int, *, was_used: bool) -> None:
        """The request has arrived, or never will. A ledger that hangs here must not hold up its answer."""
        with suppress(HeldUpError):
            self._afterwards.ask(lambda: self._over(number, was_used=was_used))

    def _over(self, number: int, *, was_used: bool) -> None:
        """A ledger that fails here must not lose the answer. A turn whose end was not noted ends by itself."""
        try:
            with self._database.write(self._account) as connection:
                own = order_requests.c.number == number
                over = {"at": self._clock(), "is_over": True}
                noted = sa.update(order_requests).values(over) if was_used else sa.delete(order_requests)
                connection.execute(noted.where(own))
        except (SQLAlchemyError, LedgerUnusable) as error:
            log.warning("the end of a request could not be noted: %s", type(error).__name__)

    def _wait_within(self, connection: sa.Connection, urgent: bool) -> float:
        kept = 0 if urgent else min(KEPT_FOR_CANCELS, self._per_second - 1)
        return max(
            self._wait_of(connection, self._per_second - kept, SECOND),
            self._wait_of(connection, self._per_minute - kept, MINUTE),
        )

    def _wait_of(self, connection: sa.Connection, allowed: int, window: timedelta) -> float:
        """Seconds until fewer than `allowed` requests are on their way or were so within the window."""
        mine = order_requests.c.account == self._account
        recent = sa.select(order_requests.c.at).where(mine).order_by(order_requests.c.at.desc())
        oldest = connection.execute(recent.offset(allowed - 1).limit(1)).scalar_one_or_none()
        now = self._clock()
        if oldest is not None and oldest > now:
            return ASK_AGAIN
        return (oldest + window - now).total_seconds() if oldest is not None else 0.0
