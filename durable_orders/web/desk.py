"""What every route works with: the account's ledger, the client, and a tail of the feed that all streams share."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from temporalio.service import RPCError

from durable_orders.orders import Orders
from durable_orders.plans import Plans
from durable_orders.trading.errors import DurableOrdersError, LedgerUnusable, RefusedError, ServerUnreachable
from durable_orders.trading.gtt.view import GttView
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.gtts import gtt_views, list_gtts
from durable_orders.trading.ledger.plans import find_plan, stored_views
from durable_orders.trading.ledger.reading import FeedEvent, events_after, list_orders
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, Status
from durable_orders.trading.plans.state import PlanView
from durable_orders.web.throttle import Throttle
from durable_orders.web.turns import Turns
from durable_orders.workers.home import Home, ServerAddress
from durable_orders.workers.instruments import Master

R = TypeVar("R")

EVERY = 0.2
"""Seconds between two looks at the feed, for all streams together."""
AT_ONCE = 500
UNTAKEN_EVERY, UNTAKEN_SECONDS = 1.0, 2.0
"""How often the server is asked for orders that no worker has taken yet, and how long it may take."""

THERE_EVERY, THERE_SECONDS = 2.0, 1.5

log = logging.getLogger(__name__)


class Untaken(Generic[R]):
    """What the server has and no worker has taken. It is asked once a second at most, however many look."""

    def __init__(self, ask: Callable[[], Awaitable[list[R]]]) -> None:
        self._ask = ask
        self._at, self._found = 0.0, list[R]()

    async def found(self) -> list[R]:
        """Nothing while no server answers."""
        if time.monotonic() - self._at < UNTAKEN_EVERY:
            return self._found
        self._at = time.monotonic()
        try:
            async with asyncio.timeout(UNTAKEN_SECONDS):
                self._found = await self._ask()
        except (ServerUnreachable, TimeoutError):
            self._found = []
        self._at = time.monotonic()
        return self._found


class Desk:
    """One account's. What is read comes from the ledger and needs no server; what changes something needs one."""

    def __init__(self, home: Home, config: Path | None) -> None:
        """Raises `InvalidSettings`, `HomeUnusable`, `LedgerUnusable`."""
        self.home = home
        self.config = config
        self.settings = home.settings(config)
        self.database = home.ledger(self.settings)
        self.throttle = Throttle()
        self.turns = Turns(lambda words: self.note(words, EventType.HOOK_ALERT))
        """Those of the alerts that come in."""
        self._orders: Orders | None = None
        self._address: ServerAddress | None = None
        self._connecting = asyncio.Lock()
        self._newest = 0
        self._moved = asyncio.Condition()
        self._listeners = 0
        self.pages = 0
        """Pages that are open."""
        self._master: Master | None = None
        self._is_there = (0.0, True)
        self._untaken = Untaken(lambda: self._ask(Orders.not_started))
        self._plans = Untaken(lambda: self._ask(lambda orders: Plans(orders).not_started()))

    async def _ask(self, question: Callable[[Orders], Awaitable[R]]) -> R:
        return await question(await self.orders())

    async def orders(self) -> Orders:
        """The client, connected to the server that the home has now. Raises `ServerUnreachable`."""
        async with self._connecting:
            address = self.home.address()
            if self._orders is not None and address == self._address:
                return self._orders
            fresh = await Orders.connect(self.home.path, self.config)
            if self._orders is not None:
                await self._orders.close()
            self._orders, self._address = fresh, address
            return fresh

    async def is_there(self) -> bool:
        """Whether a Temporal server answers. Asked once in two seconds at most, however many look."""
        at, found = self._is_there
        if time.monotonic() - at < THERE_EVERY:
            return found
        self._is_there = (time.monotonic(), found)
        try:
            async with asyncio.timeout(THERE_SECONDS):
                orders = await self.orders()
                await orders.client.service_client.check_health(timeout=timedelta(seconds=THERE_SECONDS))
            found = True
        except (DurableOrdersError, RPCError, TimeoutError):
            found = False
        self._is_there = (time.monotonic(), found)
        return found

    async def read(self, question: Callable[[sa.Connection], R]) -> R:
        """Ask the ledger, off the event loop."""

        def ask() -> R:
            with self.database.read() as connection:
                return question(connection)

        return await asyncio.to_thread(ask)

    async def write(self, change: Callable[[sa.Connection], R]) -> R:
        def make() -> R:
            with self.database.write(self.settings.account) as connection:
                return change(connection)

        return await asyncio.to_thread(make)

    async def work(self, task: Callable[[], R]) -> R:
        """What takes its time, off the event loop."""
        return await asyncio.to_thread(task)

    async def note(self, words: str, kind: EventType = EventType.DESK_ACTION) -> None:
        """An event of the account: what somebody did, and who."""
        await self.write(lambda c: add_event(c, self.settings.account, kind, words, datetime.now(UTC)))

    @asynccontextmanager
    async def asked(self, what: str, who: str) -> AsyncIterator[None]:
        """For what somebody asks for: that is an event before it is done, and so is its refusal, which is raised."""
        await self.note(f"{what} was asked for {who}")
        try:
            yield
        except RefusedError as refused:
            await self.note(f"{what} was refused: {refused}")
            raise

    async def instruments(self) -> Instruments:
        """The master: the shipped or named one, or the one that a worker fetched this morning."""
        if self._master is None:
            self._master = await asyncio.to_thread(Master, self.home, self.settings)
        await asyncio.to_thread(self._master.renew)
        return self._master.instruments

    async def find_orders(
        self,
        *,
        statuses: list[Status] | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        open_only: bool = False,
        limit: int = 200,
    ) -> list[Order]:
        """Newest first, with those that wait for a worker, as far as a server can be asked."""
        fresh = await self.not_started()
        recorded = await self.read(
            lambda c: list_orders(
                c,
                self.settings.account,
                statuses=statuses,
                symbol=symbol,
                strategy=strategy,
                open_only=open_only,
                limit=limit,
            )
        )
        known = {order.order_id for order in recorded}
        waiting = [
            order
            for order in fresh
            if order.order_id not in known
            and (statuses is None or order.status in statuses)
            and symbol in (None, order.symbol)
            and strategy in (None, order.strategy)
        ]
        return sorted([*recorded, *waiting], key=lambda order: order.created_at, reverse=True)[:limit]

    async def awaiting_approval(self) -> list[Order]:
        """Orders that a person has yet to approve, newest first."""
        own = self.settings.account
        pending = await self.read(lambda c: list_orders(c, own, statuses=[Status.PENDING]))
        return [order for order in pending if order.awaits_approval]

    async def find_plans(self, *, open_only: bool, limit: int) -> list[PlanView]:
        """Newest first, with those that wait for a worker, as far as a server can be asked."""
        own = self.settings.account
        fresh = await self._plans.found()
        recorded = await self.read(lambda c: stored_views(c, own, open_only=open_only, limit=limit))
        unknown = await self.read(lambda c: [view for view in fresh if find_plan(c, own, view.plan_id) is None])
        return [*unknown, *recorded][:limit]

    async def find_gtts(self, *, open_only: bool, limit: int) -> list[GttView]:
        """Newest first, those that were placed at the broker past this system among them."""

        def ask(connection: sa.Connection) -> list[GttView]:
            own = self.settings.account
            return gtt_views(connection, own, list_gtts(connection, own, open_only=open_only, limit=limit))

        return await self.read(ask)

    async def not_started(self) -> list[Order]:
        """Orders that the server has and no worker has taken."""
        return await self._untaken.found()

    async def events(self, after: int, limit: int) -> list[FeedEvent]:
        return await self.read(lambda c: events_after(c, after, account=self.settings.account, limit=limit))

    async def follow(self, after: int) -> AsyncGenerator[FeedEvent, None]:
        """The account's events behind that feed id, each once and in order, without end."""
        while True:
            batch = await self.events(after, AT_ONCE)
            for event in batch:
                yield event
                after = event.feed_id
            if not batch:
                await self._newer_than(after)
            await asyncio.sleep(0)

    async def moves(self, after: int) -> AsyncGenerator[int, None]:
        """The newest feed id, whenever there is one behind `after`: for who only wants to know that there is."""
        self.pages += 1
        try:
            while True:
                after = await self._newer_than(after)
                yield after
        finally:
            self.pages -= 1

    async def _newer_than(self, after: int) -> int:
        self._listeners += 1
        try:
            async with self._moved:
                while self._newest <= after:
                    await self._moved.wait()
                return self._newest
        finally:
            self._listeners -= 1

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Watches the feed for the length of a block; disconnects behind it."""
        tail = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            tail.cancel()
            await asyncio.gather(tail, return_exceptions=True)
            await self.turns.close()
            if self._orders is not None:
                await self._orders.close()
            self.database.close()

    async def _watch(self) -> None:
        """One look for everybody: however many pages are open, the ledger is asked five times a second."""
        while True:
            if self._listeners:
                try:
                    newest = await self.read(lambda c: newest_id(c, self.settings.account))
                except (SQLAlchemyError, LedgerUnusable) as error:
                    log.warning("the desk: the feed cannot be read: %s", error)
                    await asyncio.sleep(1)
                    continue
                if newest != self._newest:
                    async with self._moved:
                        self._newest = newest
                        self._moved.notify_all()
            await asyncio.sleep(EVERY)


def desk_of(connection: HTTPConnection) -> Desk:
    """The desk of the application that was asked."""
    found = connection.app.state.desk
    assert isinstance(found, Desk)  # noqa: S101
    return found
