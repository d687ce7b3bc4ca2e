"""The account watch's activity: reads the book once an interval, and at once when pushed."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from trading.brokers.broker import Broker
from trading.errors import BookUnreadable
from trading.events import EVENT_OF, Entry
from trading.ledger.accounts import book_read
from trading.ledger.database import Database
from trading.ledger.reading import OpenView, find_order, open_views, views_for
from trading.ledger.recording import record
from trading.lifecycle import Reported, step
from trading.narration import sentence
from trading.order import Account, Status
from trading.sighting import Sight, Sighting, is_news

R = TypeVar("R")

BEAT_SECONDS = 1.0
SIGNALS_AT_ONCE = 32
MANY = 500
"""From so many changed rows on, the ledger is read in one go."""
GRACE = timedelta(seconds=1)
"""The answer to a placement gets this long to arrive by itself before the book's row is sent after it."""

log = logging.getLogger(__name__)


class Stream(Protocol):
    """What tells the watch that something may have changed: a paper market's feed, Kite's order updates."""

    async def run(self, push: Callable[[], None]) -> None:
        """Calls `push` whenever the book is worth a look. Runs until cancelled."""


class WatchActivities:
    """One account's watch. Broker reads per interval are constant, whatever the number of open orders."""

    def __init__(
        self,
        account: Account,
        broker: Broker,
        database: Database,
        client: Client,
        stream: Stream,
        interval: float,
        executor: Executor,
    ) -> None:
        """`interval` is in seconds."""
        self._account = account
        self._broker = broker
        self._database = database
        self._client = client
        self._stream = stream
        self._interval = interval
        self._executor = executor

    @activity.defn
    async def watch(self, account: str, seconds: float) -> None:
        """Watch for a shift of `seconds`, then hand over to the next."""
        if account != self._account:
            raise ApplicationError(f"this worker serves {self._account}, not {account}", non_retryable=True)
        pushed = asyncio.Event()
        helpers = [asyncio.create_task(self._beat()), asyncio.create_task(self._stream.run(pushed.set))]
        watching = asyncio.create_task(self._watch(pushed))
        stopping = asyncio.create_task(activity.wait_for_worker_shutdown())
        every = [watching, stopping, *helpers]
        try:
            done, _ = await asyncio.wait(every, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if stopping in done:
                raise ApplicationError("handing over: the worker stops", category=ApplicationErrorCategory.BENIGN)
        finally:
            for task in every:
                task.cancel()
            await asyncio.gather(*every, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT_SECONDS)

    async def _watch(self, pushed: asyncio.Event) -> None:
        sight = Sight()
        while True:
            pushed.clear()
            try:
                await self.look(sight)
            except BookUnreadable as error:
                log.warning("the order book of %s cannot be read: %s", self._account, error)
            try:
                await asyncio.wait_for(pushed.wait(), self._interval)
            except TimeoutError:
                continue

    async def look(self, sight: Sight) -> int:
        """Read the book once and tell the orders what changed. Returns how many were told."""
        rows = await self._run(self._broker.order_book)
        changed = sight.changed(rows, await self._run(self._broker.trades))
        await self._run(lambda: book_read(self._database, self._account, datetime.now(UTC)))
        if not changed:
            return 0
        views = await self._run(lambda: self._views(changed))
        limit = asyncio.Semaphore(SIGNALS_AT_ONCE)
        told = await asyncio.gather(*(self._tell(sight, sighting, views, limit) for sighting in changed))
        return sum(told)

    def _views(self, changed: list[Sighting]) -> dict[str, OpenView]:
        """The ledger's views of the changed orders, by tag."""
        with self._database.read() as connection:
            if len(changed) > MANY:
                found = open_views(connection, self._account)
            else:
                tags = {sighting.row.tag for sighting in changed if sighting.row.tag}
                found = views_for(connection, self._account, tags=tags, broker_order_ids=())
        return {view.tag: view for view in found}

    async def _tell(
        self, sight: Sight, sighting: Sighting, views: dict[str, OpenView], limit: asyncio.Semaphore
    ) -> bool:
        view = views.get(sighting.row.tag or "")
        if view is None or view.broker_order_id not in (None, sighting.row.broker_order_id):
            sight.settle(sighting)
            return False
        if view.status is Status.PENDING and datetime.now(UTC) - sighting.row.placed_at < GRACE:
            return False
        if is_news(view, sighting):
            async with limit:
                if not await self._deliver(view, sighting):
                    return False
        sight.settle(sighting)
        return True

    async def _deliver(self, view: OpenView, sighting: Sighting) -> bool:
        try:
            await self._client.get_workflow_handle(view.order_id).signal("report", sighting.report)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                await self._run(lambda: self._book_late(view, sighting))
                return True
            log.warning("%s could not be told of a change, and will be: %s", view.order_id, error.message)
            return False
        return True

    def _book_late(self, view: OpenView, sighting: Sighting) -> None:
        """A trade that turns up after the order's workflow has ended is still booked (lifecycle, rule 3)."""
        with self._database.read() as connection:
            order = find_order(connection, view.order_id)
            if order is None:
                return
        at = datetime.now(UTC)
        after = step(order, Reported(sighting.report), at)
        if after is not order:
            entry = Entry(
                sequence=view.sequence + 1,
                type=EVENT_OF[after.status],
                at=at,
                message=sentence(order, after),
                status=after.status,
            )
            record(self._database, after, [entry])

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)
