"""While a command is on its way to the broker: heartbeats, and a last look before its first byte leaves."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.outcome import Evidence, Held, NotSent, Refused

R = TypeVar("R")

HEARTBEAT_SECONDS = 1.0
FRESH_BEAT = timedelta(seconds=2)
"""A placement whose last heartbeat is older than this is not sent any more: the machine slept, and the workflow may
have given this attempt up. Shorter than the heartbeat timeout of `place` and any settle window together."""
NO_DEADLINE = datetime.max.replace(tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC)


class HeartbeatClock:
    """When an activity began, and when it last said that it is alive."""

    def __init__(self, began: datetime) -> None:
        self.began = began
        self._at = began
        self._was_missed = False

    def heard(self) -> None:
        """It says so now."""
        self._was_missed = self.is_missed
        self._at = now()

    @property
    def is_missed(self) -> bool:
        """Whether it did not for a while, at whatever time: the attempt may have been given up since, and a machine
        that wakes up says that it is alive before anything else."""
        return self._was_missed or now() - self._at > FRESH_BEAT


async def beating(executor: Executor, call: Callable[[], R], beat: HeartbeatClock | None = None) -> R:
    """The call on a thread, with heartbeats while it runs, so that a dead worker is noticed in seconds."""
    running = asyncio.get_running_loop().run_in_executor(executor, call)
    while not (await asyncio.wait({running}, timeout=HEARTBEAT_SECONDS))[0]:
        activity.heartbeat()
        if beat is not None:
            beat.heard()
    return running.result()


class PlacementLook:
    """The `LastLook` of one placement: its deadline, whether its worker was held up, and what the ledger says."""

    def __init__(
        self,
        place_by: datetime | None,
        beat: HeartbeatClock,
        database: Database,
        account: str,
        against: Callable[[sa.Connection], Held | None],
    ) -> None:
        """`place_by` is `None` for what always goes out; `against` is what the ledger has against it at that moment."""
        self.not_after = place_by or NO_DEADLINE
        self.held: Held | None = None
        """What it said against sending."""
        self._beat = beat
        self._database, self._account = database, account
        self._against = against

    @contextmanager
    def leaving(self) -> Iterator[Held | None]:
        """Alone in writing of the account for as long as it takes: a halt comes before, or after what has left."""
        transaction = ExitStack()
        try:
            self.held = self.late() or self._stopped(transaction.enter_context(self._database.write(self._account)))
        except SQLAlchemyError as error:
            self.held = no_ledger(error)
        try:
            yield self.held
        finally:
            with suppress(SQLAlchemyError):  # nothing was written, and what was sent must not lose its answer
                transaction.close()

    def late(self) -> NotSent | None:
        if now() > self.not_after:
            self.held = late = not_now(f"its deadline {self.not_after.isoformat()} has passed")
        elif self._beat.is_missed:
            self.held = late = not_now("the worker was held up before it could send")
        else:
            return None
        return late

    def _stopped(self, connection: sa.Connection) -> Held | None:
        return self._against(connection) or self.late()


def not_now(words: str) -> NotSent:
    """Held back on this side: it may be tried again."""
    return NotSent(evidence=Evidence(message=words), tried=False)


def not_approved(words: str) -> Refused:
    """Said by the account's own rules, and not by the broker."""
    return Refused(evidence=Evidence(message=words, error_type="NotApproved"))


def no_ledger(error: SQLAlchemyError) -> NotSent:
    evidence = Evidence(message="the ledger could not be used", error_type=type(error).__name__)
    return NotSent(evidence=evidence, tried=False)
