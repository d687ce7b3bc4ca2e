"""The account watch's activity: reads the book once an interval, and at once when pushed."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from durable_orders.activities.account_book import AccountBook
from durable_orders.activities.account_monitor import AccountMonitor
from durable_orders.activities.day_lock import DayLockWatch
from durable_orders.activities.deliveries import Deliveries
from durable_orders.activities.external_orders import ExternalOrders
from durable_orders.activities.forgotten import Forgotten
from durable_orders.activities.gtt_watch import GttWatch, Placed
from durable_orders.activities.missing_orders import MissingOrder, MissingOrders
from durable_orders.activities.other_homes import OtherHomes
from durable_orders.activities.physical_settlement import PhysicalDeliveries
from durable_orders.activities.plan_prices import PlanPrices
from durable_orders.activities.reconciling import PositionReconciliation
from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.config.settings import DayLock
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.guardian.breakers import DayBreakers
from durable_orders.trading.ledger.accounts import book_read
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.rate_limiter import RateLimiter
from durable_orders.trading.ledger.reading import OrderSnapshot, open_views, views_for
from durable_orders.trading.ledger.trips import Trip, told, untold
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Account, BrokerOrderId, Mode, Status, is_adopted
from durable_orders.trading.reconciliation.book_diff import BookDiff, KnownOrders, OrderStatusReport, is_news
from durable_orders.trading.reconciliation.external_orders import is_unwanted

R = TypeVar("R")

NO_LOCKS: Mapping[str | None, DayLock] = {}

BEAT_SECONDS = 1.0
SIGNALS_AT_ONCE = 32
MANY = 500
"""From so many changed rows on, the ledger is read in one go."""
GRACE = timedelta(seconds=5)
"""The answer to a placement gets this long to arrive by itself before the book's row is sent after it: the workflow's
own patience with a placement that gives no sign of life. A row that comes in between has its task done again."""
TRIPPED = "breaker_tripped"
"""The signal of the workflow that this activity belongs to."""
TO_FLATTEN = "flatten_wanted"
"""Another one."""
SOON = 0.3
"""Seconds until the next reading, if the last one showed something that could not be dealt with yet."""

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
        mode: Mode,
        broker: Broker,
        database: Database,
        client: Client,
        stream: Stream,
        interval: float,
        executor: Executor,
        pacer: RateLimiter | None = None,
        breakers: DayBreakers | None = None,
        *,
        reads_margin: bool = False,
        book: AccountBook | None = None,
        settle_window: float = 60.0,
        others: OtherHomes | None = None,
        positions: PositionReconciliation | None = None,
        physical: PhysicalDeliveries | None = None,
        day_locks: Mapping[str | None, DayLock] = NO_LOCKS,
        gtts: GttWatch | None = None,
    ) -> None:
        """`interval` and `settle_window` are in seconds; `reads_margin` says whether the guardian asks for the broker's
        margin. `book` is the account's own; without one, it is taken to be whole whatever it shows. `others` notices
        what another home has sent. Without `positions`, none are compared; without `physical`, nobody looks for
        contracts that are about to be delivered. `day_locks` say when a day is over by itself. Without `gtts`, there
        are none.
        """
        self._account = account
        self._book = book or AccountBook(broker, database)
        self._strangers = ExternalOrders(account, mode, broker, database, pacer, breakers, others)
        self._missing = MissingOrders(account, mode, database, settle_window)
        self._ends: dict[BrokerOrderId, OrderStatusReport] = {}
        self._concerns = AccountMonitor(account, broker, database, self._missing, reads_margin=reads_margin)
        self.after_fills = breakers.after_fills if breakers is not None else None
        self._forgotten = Forgotten(account, client, database, executor, self.after_fills)
        self._deliveries = Deliveries(account, client, database, self._strangers, executor)
        self._plan_prices = PlanPrices(account, database, client, executor)
        self.day_lock = DayLockWatch(account, database, executor, day_locks, self.look_now)
        self._positions = positions
        self._physical = physical
        self._gtts = gtts
        self._broker = broker
        self._database = database
        self._client = client
        self._stream = stream
        self._interval = interval
        self._executor = executor
        self._look_soon = False
        self._leaving = asyncio.Event()
        self._push: Callable[[], None] = lambda: None

    def look_now(self) -> None:
        """There is a reason to look. May be called from any thread, and while nobody watches here."""
        self._push()

    def leave(self) -> None:
        """The worker is about to stop. The SDK does not tell an activity that is its first and begins meanwhile."""
        self._leaving.set()

    @activity.defn
    async def watch(self, account: str, seconds: float) -> None:
        """Watch for a shift of `seconds`, then hand over to the next."""
        if account != self._account:
            raise ApplicationError(f"this worker serves {self._account}, not {account}", non_retryable=True)
        pushed = asyncio.Event()
        loop = asyncio.get_running_loop()
        push = self._push = lambda: _set(loop, pushed)
        running = [self._beat(), self._stream.run(pushed.set), self._plan_prices.run(), self.day_lock.run()]
        running += [self._gtts.run()] if self._gtts is not None else []
        helpers = [asyncio.create_task(helper) for helper in running]
        watching = asyncio.create_task(self._watch(pushed))
        stopping = {asyncio.create_task(stop) for stop in (activity.wait_for_worker_shutdown(), self._leaving.wait())}
        every = [watching, *stopping, *helpers]
        try:
            done, _ = await asyncio.wait(every, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if stopping & done:
                raise ApplicationError("handing over: the worker stops", category=ApplicationErrorCategory.BENIGN)
        finally:
            if self._push is push:  # and not that of a watch which has begun meanwhile
                self._push = lambda: None
            for task in every:
                task.cancel()
            await asyncio.gather(*every, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT_SECONDS)

    async def _watch(self, pushed: asyncio.Event) -> None:
        sight = BookDiff()
        while True:
            pushed.clear()
            self._look_soon = False
            try:
                await self.look(sight)
            except BookUnreadable as error:
                self._missing.book_was_not_read()
                await self._run(lambda reason=error: self._concerns.book_was_not_read(reason))  # type: ignore[misc]
            await self.report_trips()
            await self.close_before_delivery()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(SOON, self._interval) if self._look_soon else self._interval):
                    await pushed.wait()

    async def look(self, sight: BookDiff) -> int:
        """Read the book once and tell the orders what changed. Returns how many were told.

        Raises `BookUnreadable`.
        """
        reading = await self._run(self._book.read)
        trades = await self._run(self._broker.trades)
        changed = sight.changed(reading.rows, trades)
        self._note_ends(changed)
        sight.forget(each.broker_order_id for each in reading.missing)
        if not reading.missing:
            await self._run(lambda: book_read(self._database, self._account, datetime.now(UTC)))
        told = await self._tell_all(sight, changed, is_whole=not reading.missing)
        await self.report_gone(await self._run(lambda: self._missing.of_today(reading, self._ends)))
        if await self._run(lambda: self._concerns.book_was_read(reading)):
            await self._wake_all()
        if not reading.missing:
            ids = {row.broker_order_id for row in reading.rows}
            await self.report_gone(await self._run(lambda: self._concerns.look_further(ids)))
            if (positions := self._positions) is not None:
                await self._run(lambda: positions.look(reading.rows, trades))
        return told

    def _note_ends(self, changed: Sequence[OrderStatusReport]) -> None:
        """Each is looked at again after a settle window: by then the ledger must have it."""
        for sighting in changed:
            if sighting.row.state is BookState.WORKING:
                self._ends.pop(sighting.row.broker_order_id, None)
            else:
                self._ends[sighting.row.broker_order_id] = sighting

    async def report_trips(self) -> None:
        """Tell the account's watch workflow of breakers that tripped: at least once each."""
        trips = await self._run(self._untold)
        if not trips:
            return
        watch = self._client.get_workflow_handle(activity.info().workflow_id or "")
        try:
            for trip in trips:
                await watch.signal(TRIPPED, trip)
        except RPCError as error:
            log.warning("the watch could not be told that a breaker tripped, and will be: %s", error.message)
            return
        await self._run(lambda: told(self._database, self._account, trips, datetime.now(UTC)))

    async def close_before_delivery(self) -> None:
        """Tell the account's watch workflow of contracts that are to be closed before their delivery."""
        if (physical := self._physical) is None:
            return
        watch = self._client.get_workflow_handle(activity.info().workflow_id or "")
        for request in await self._run(physical.look):
            try:
                await watch.signal(TO_FLATTEN, request)
            except RPCError as error:
                log.warning("the watch could not be asked to close %s, and will be: %s", request.symbol, error.message)
                return
            physical.asked(request)

    def _untold(self) -> list[Trip]:
        with self._database.read() as connection:
            return untold(connection, self._account)

    async def _tell_all(self, sight: BookDiff, changed: list[OrderStatusReport], *, is_whole: bool) -> int:
        """Of a book that is not whole, only what is known to be ours is told: it may be another user's."""
        if not changed:
            return 0
        views = await self._run(lambda: self._views(changed))
        limit = asyncio.Semaphore(SIGNALS_AT_ONCE)
        known = [each for each in changed if is_whole or views.owner(each.row) is not None]
        waiting = await self._forgotten.waits_for(each for each in known if views.is_strange(each.row))
        self._look_soon = self._look_soon or bool(waiting)
        known = [each for each in known if each.row.broker_order_id not in waiting]
        return sum(await asyncio.gather(*(self._tell(sight, sighting, views, limit) for sighting in known)))

    async def _wake_all(self) -> None:
        """Trouble is over: orders that wait to be sent, or for the book, need not wait for their next attempt."""
        views = await self._run(self._open)
        waiting = [view for view in views if view.status in (Status.PENDING, Status.UNKNOWN)]
        handles = [self._client.get_workflow_handle(view.order_id) for view in waiting]
        await asyncio.gather(*(handle.signal("wake") for handle in handles), return_exceptions=True)

    def _open(self) -> list[OrderSnapshot]:
        with self._database.read() as connection:
            return open_views(connection, self._account)

    def _views(self, changed: list[OrderStatusReport]) -> KnownOrders:
        """What the ledger knows of the changed rows."""
        rows = [sighting.row for sighting in changed]
        with self._database.read() as connection:
            if len(changed) > MANY:
                return KnownOrders(open_views(connection, self._account))
            tags = {row.tag for row in rows if row.tag}
            ids = {row.broker_order_id for row in rows}
            return KnownOrders(views_for(connection, self._account, tags=tags, broker_order_ids=ids))

    async def _tell(
        self, sight: BookDiff, sighting: OrderStatusReport, views: KnownOrders, limit: asyncio.Semaphore
    ) -> bool:
        """Deal with one changed row; it counts as settled only when nothing about it is left to do."""
        row, view = sighting.row, views.owner(sighting.row)
        if view is None:
            gtts = self._gtts
            gtt = await self._run(lambda: gtts.placed(row)) if gtts is not None else Placed.BY_NONE
            if gtt is Placed.NOT_TOLD_YET:
                self._look_soon = True
                return False
            by = gtt if isinstance(gtt, GttState) else None
            await self._run(lambda: self._strangers.adopt(sighting, by))
            self._look_soon = self._look_soon or views.with_tag(row) is not None  # a twin is to be cancelled
            return False
        if view.status is Status.PENDING and abs(datetime.now(UTC) - row.placed_at) < GRACE:
            self._look_soon = True
            return False
        unwanted = is_unwanted(row, view)
        if unwanted:
            await self._run(lambda: self._strangers.dismiss(row, view))
        news = is_news(view, sighting)
        async with limit:
            again = self._forgotten.was_told_of(sighting)
            if news and not await self._deliveries.report(view, sighting, in_full=again):
                return False
        if news and not is_adopted(view.order_id):
            await self._forgotten.told(view.order_id, sighting)
        # Until the order has an id, a second row with its tag may still turn up; what is unwanted must be seen to go.
        if view.broker_order_id is not None and not unwanted:
            sight.settle(sighting)
        return news

    async def report_gone(self, orders: Sequence[MissingOrder]) -> None:
        """Tell orders that the book does not show them, or does not prove their end. What could not be told is found
        again."""
        for gone in orders:
            await self._deliveries.gone(gone)

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """From another thread; a loop that is closing needs to hear nothing any more."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)
