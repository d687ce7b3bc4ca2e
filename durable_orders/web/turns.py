"""How many alerts are dealt with at once. A burst waits for its turn, and is told to come again before it is late."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.web.problems import SOON, Problem

AT_ONCE, WAITING = 100, 1000
"""Alerts that are at work, and that wait for their turn, at most."""
SECONDS = 1.0
"""For which one waits: what comes later than that would be an order for a market that has moved on."""
TOLD_AFTER = 1.0
"""Seconds after which those that were turned away are told, all in one event."""
WORDS = "{} deliveries of alerts were answered 503, more came at once than can be dealt with: nothing was made of them"

log = logging.getLogger(__name__)


class Turns:
    """Of one event loop."""

    def __init__(
        self,
        note: Callable[[str], Awaitable[None]],
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        seconds: float = SECONDS,
        told_after: float = TOLD_AFTER,
    ) -> None:
        """`note` records what is said."""
        self._note, self._most, self._seconds, self._told_after = note, waiting, seconds, told_after
        self._free = asyncio.Semaphore(at_once)
        self._waiting = self._turned_away = 0
        self._telling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """A turn, for the length of a block. Raises `Problem` (503) before anything of it has begun."""
        await self._wait()
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self) -> None:
        if self._waiting >= self._most:
            raise self._busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1

    def _busy(self) -> Problem:
        self._turned_away += 1
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_later())
        words = f"too many alerts at once: nothing was made of this one, send it again in {SOON} s"
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "BUSY", words, retry_after=SOON)

    async def _tell_later(self) -> None:
        await asyncio.sleep(self._told_after)
        await self._tell()

    async def _tell(self) -> None:
        count, self._turned_away = self._turned_away, 0
        if not count:
            return
        try:
            await self._note(WORDS.format(count))
        except (SQLAlchemyError, LedgerUnusable) as error:
            self._turned_away += count
            log.warning("the desk: %s; the ledger cannot be written: %s", WORDS.format(count), error)

    async def close(self) -> None:
        """What was not told yet is told."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self._tell()
