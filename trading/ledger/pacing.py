"""The pacer at the broker's edge: every worker takes its turn here before an order request leaves.

Kite refuses the eleventh order request of a calendar second of its own clock, and the 401st of a minute. Whose second
that is cannot be known from here, so no window of a whole second, wherever it begins, may hold more than ten.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from trading.ledger.database import Database
from trading.ledger.tables import order_requests

SECOND = timedelta(seconds=1.1)
"""A tenth more than a second: requests reach the broker closer together than they left."""
MINUTE = timedelta(seconds=61)
KEPT_FOR_CANCELS = 2
"""Of each second's requests, so many are for cancels alone: they go before new orders."""


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

    def wait(self, *, urgent: bool = False, patience: float = 20.0) -> bool:
        """Whether a request may leave now; waits up to `patience` seconds for its turn. Cancels are urgent."""
        deadline = self._clock() + timedelta(seconds=patience)
        while (pause := self._take(urgent)) > 0:
            if self._clock() + timedelta(seconds=pause) > deadline:
                return False
            self._sleep(pause)
        return True

    def _take(self, urgent: bool) -> float:
        """0 with a turn taken, else the seconds until it is worth asking again."""
        now = self._clock()
        kept = 0 if urgent else min(KEPT_FOR_CANCELS, self._per_second - 1)
        with self._database.write() as connection:
            waits = (
                self._wait_of(connection, self._per_second - kept, SECOND, now),
                self._wait_of(connection, self._per_minute - kept, MINUTE, now),
            )
            pause = max(waits)
            if pause <= 0:
                self._note(connection, now)
            return pause

    def _wait_of(self, connection: sa.Connection, allowed: int, window: timedelta, now: datetime) -> float:
        """Seconds until fewer than `allowed` requests lie within the window."""
        mine = order_requests.c.account == self._account
        recent = sa.select(order_requests.c.at).where(mine).order_by(order_requests.c.number.desc())
        oldest = connection.execute(recent.offset(allowed - 1).limit(1)).scalar_one_or_none()
        return (oldest + window - now).total_seconds() if oldest is not None else 0.0

    def _note(self, connection: sa.Connection, now: datetime) -> None:
        old = (order_requests.c.account == self._account) & (order_requests.c.at < now - 2 * MINUTE)
        connection.execute(sa.delete(order_requests).where(old))
        connection.execute(sa.insert(order_requests).values(account=self._account, at=now))
