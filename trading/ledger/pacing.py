"""The pacer at the broker's edge: every worker takes its turn here before a request leaves.

Kite refuses the eleventh order request of a calendar second of its own clock, and the 401st of a minute. Whose second
that is cannot be known from here, nor when within its call a request arrives: a handshake or a busy machine may hold
it up. So a turn lasts from before the request leaves until its answer is there, and counts for a whole window more.
Then no window, wherever it begins, holds the arrival of more requests than are allowed.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from trading.ledger.database import Database
from trading.ledger.tables import order_requests

SECOND = timedelta(seconds=1.1)
"""A tenth more than a second, for workers whose clocks differ by as much."""
MINUTE = timedelta(seconds=61)
KEPT_FOR_CANCELS = 2
"""Of each second's requests, so many are for cancels alone: they go before new orders."""
ON_ITS_WAY = timedelta(seconds=8)
"""A request whose end nobody noted (its worker was killed) has arrived after this long, or never does: its connection
is there within `kite.timeout`, 7 s by default."""
SHORTEST, ASK_AGAIN = 0.005, 0.05
"""Seconds between two looks for a turn. A request that is on its way may be over at any moment."""
READS_PER_SECOND = 8
"""Of the ten that Kite allows for everything but orders and quotes, over all that the user runs."""

log = logging.getLogger(__name__)


class Turn:
    """True if it came. One in which nothing left after all is given back, and does not count."""

    def __init__(self, number: int | None) -> None:
        self.number = number
        self.was_used = True

    def __bool__(self) -> bool:
        return self.number is not None

    def give_back(self) -> None:
        self.was_used = False


NO_LIMIT = Turn(0)
"""Where nobody keeps a pace."""


class Pacer:
    """One account's pace, kept in the ledger. Thread-safe, and safe over any number of processes."""

    def __init__(
        self,
        database: Database,
        account: str,
        per_second: int,
        per_minute: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._database = database
        self._account = account
        self._per_second = per_second
        self._per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._queues = {urgent: threading.Lock() for urgent in (True, False)}

    @contextmanager
    def turn(self, *, urgent: bool = False, patience: float = 20.0) -> Iterator[Turn]:
        """A turn for the length of one request; waits for it up to `patience` seconds, and says whether it came.

        Cancels are urgent. Raises SQLAlchemy's errors if the ledger cannot be used; then nothing may be sent.
        """
        turn = Turn(self._wait(urgent, patience))
        try:
            yield turn
        finally:
            if turn.number is not None:
                self._over(turn.number, was_used=turn.was_used)

    def _wait(self, urgent: bool, patience: float) -> int | None:
        """One thread of each kind asks at a time, so that a burst does not spend itself on asking."""
        deadline = self._clock() + timedelta(seconds=patience)
        queue = self._queues[urgent]
        if not queue.acquire(timeout=max(patience, 0)):
            return None
        try:
            while (number := self._take(urgent)) is None:
                pause = max(self._pause(urgent), SHORTEST)
                if self._clock() + timedelta(seconds=pause) > deadline:
                    return None
                self._sleep(pause)
            return number
        finally:
            queue.release()

    def _pause(self, urgent: bool) -> float:
        """Seconds until a turn may be free. Reads only: those who wait must not hold up those who write."""
        with self._database.read() as connection:
            return self._wait_within(connection, urgent)

    def _take(self, urgent: bool) -> int | None:
        """The number of a turn; `None` if there is none to be had now."""
        if self._pause(urgent) > 0:
            return None
        with self._database.write() as connection:
            if self._wait_within(connection, urgent) > 0:
                return None  # another worker was faster
            now = self._clock()
            old = (order_requests.c.account == self._account) & (order_requests.c.at < now - 2 * MINUTE)
            connection.execute(sa.delete(order_requests).where(old))
            turn = connection.execute(sa.insert(order_requests).values(account=self._account, at=now + ON_ITS_WAY))
            return int(turn.inserted_primary_key[0]) if turn.inserted_primary_key else None

    def _over(self, number: int, *, was_used: bool) -> None:
        """The request has arrived, or never will. A ledger that fails here must not lose its answer."""
        try:
            with self._database.write() as connection:
                own = order_requests.c.number == number
                noted = sa.update(order_requests).values(at=self._clock()) if was_used else sa.delete(order_requests)
                connection.execute(noted.where(own))
        except SQLAlchemyError as error:
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
