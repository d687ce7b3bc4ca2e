"""A desk in the caller's own process: Temporal's server, if no other is named, and the worker of an account whose
broker is the caller's object. Its ledger, and what the server keeps, are in a home, as those of every desk.

One process has a home at a time; the kernel lets go of it however the process ends. Engines of the same process over
the same object share its desk.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from durable_orders.background import BackgroundLoop
from durable_orders.callers.broker import BOOKS, CallersBroker
from durable_orders.callers.methods import method_of
from durable_orders.callers.own_broker import OwnBroker
from durable_orders.engines.any_symbol import FINEST, AnySymbol
from durable_orders.trading.config.settings import Calendar, Live, Settings
from durable_orders.trading.errors import BrokenError, HomeUnusable, InvalidSettings
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import OrderSnapshot, views_for
from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.order import Account, Fill, Mode, Status
from durable_orders.trading.reconciliation.book_diff import BookDiff, KnownOrders, OrderStatusReport, is_news
from durable_orders.workers import ports, up
from durable_orders.workers.components import Brought
from durable_orders.workers.home import SETTINGS_FILE, Home, ServerAddress

log = logging.getLogger(__name__)

TRADES_FILE = "broker-trades.jsonl"
RECORDED_WITHIN = 5.0
"""Seconds that a look waits at most until what it saw is recorded."""
LOOK_EVERY = 0.02
READ_WITHIN = 5.0
"""Seconds that a call of the broker object, a placement apart, may still take while the desk is being stopped."""


def settings_of(home: Home, account: str, live: Live, *, dry_run: bool) -> Settings:
    """The home's own settings, with what the caller's configuration gives over them. A new home gets a file that says
    whose it is; the market is always open there: the broker says when it takes orders.

    Raises `InvalidSettings` for a home of another account or mode, and `HomeUnusable`.
    """
    file = home.make().path / SETTINGS_FILE
    if not file.exists():
        content = {"account": account, "execution": {"mode": Mode.LIVE.value}}
        content["market"] = {"calendar": Calendar.ALWAYS_OPEN.value}
        half = file.with_suffix(".tmp")
        try:
            half.write_text(yaml.safe_dump(content), encoding="utf-8")
            half.replace(file)
        except OSError as error:
            raise HomeUnusable(f"{file}: cannot be written ({error.strerror})") from None
    settings = home.settings()
    own, execution = settings.account, settings.execution
    if (own, execution.mode) != (account, Mode.LIVE):
        words = f"account: {file} is of {own} ({execution.mode}), and this engine is of {account} (live)"
        raise InvalidSettings(f"{words}; `execution.folder` names another folder")
    given = {name: getattr(live, name) for name in live.model_fields_set}
    given |= {"resend_after_settle": False}
    changed = {"live": execution.live.model_copy(update=given), "dry_run": execution.dry_run or dry_run}
    return settings.model_copy(update={"execution": execution.model_copy(update=changed)})


class Pushes:
    """The watch's stream: somebody in this process has a reason to look."""

    def __init__(self) -> None:
        self.push: Callable[[], None] = lambda: None

    async def run(self, push: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.push = lambda: _call_in(loop, push)
        try:
            await asyncio.Event().wait()
        finally:
            self.push = lambda: None


class BrokerDesk:
    """Runs in a thread of its own, so that a strategy which computes for long holds up no order. Thread-safe."""

    def __init__(self, home: Home, settings: Settings, broker: Any) -> None:
        """Raises `TypeError` for an object without `place_order`."""
        CallersBroker(broker)
        self.broker = broker
        self._home = home
        self._settings = settings
        self._pushes = Pushes()
        self.own: OwnBroker | None = None
        self._database: Database | None = None
        self._loop: BackgroundLoop | None = None
        self._stop: asyncio.Event | None = None
        self._serving: asyncio.Task[None] | None = None
        self.users = 0
        self.address: ServerAddress | None = None

    def start(self) -> None:
        """Raises `HomeUnusable` where another process has the home, and whatever keeps a worker from starting."""
        self._loop = BackgroundLoop("durable-orders-desk")
        try:
            self._loop.run(self._start())
        except BaseException:
            self._loop.close()
            raise

    def stop(self) -> None:
        """Placements that are on their way are waited for, other calls for some seconds; open orders wait for the next
        start. Stopping twice is fine."""
        if self._loop is not None:
            late = threading.Timer(READ_WITHIN, self._drop_calls)
            late.daemon = True
            late.start()
            try:
                self._loop.run(self._end())
            finally:
                late.cancel()
                self._loop.close()
                self._loop = None

    def _drop_calls(self) -> None:
        if self.own is not None:
            self.own.drop_calls()

    async def _start(self) -> None:
        self._stop = asyncio.Event()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(self._serve(ready, self._stop))
        await asyncio.wait({ready, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await self._serving

    async def _end(self) -> None:
        if self._stop is not None and self._serving is not None:
            self._stop.set()
            await self._serving

    async def _serve(self, ready: "asyncio.Future[None]", stop: asyncio.Event) -> None:
        brought = Brought(
            self._open_broker,
            has_book=method_of(self.broker, *BOOKS) is not None,
            instruments=AnySymbol(FINEST),
            stream=self._pushes,
        )
        try:
            with self._held():
                desk = up.at_work(self._home, self._settings, ports.ANY, ports.ANY, live=True, brought=brought)
                async with desk as self.address:
                    ready.set_result(None)
                    await stop.wait()
        finally:
            self.address = None
            if self.own is not None:
                self.own.close()

    def _held(self) -> contextlib.AbstractContextManager[None]:
        holder = self._home.holder()
        if holder is not None:
            words = f"home {self._home.path}: process {holder} has it, and sends its orders over a broker of its own"
            raise HomeUnusable(f"{words}; an engine with `home=` sends over that process, `execution.folder` elsewhere")
        return self._home.locked()

    def _open_broker(self, database: Database, mark: str) -> OwnBroker:
        account, trades = Account(self._settings.account), self._home.path / TRADES_FILE
        self.own, self._database = OwnBroker(self.broker, account, database, mark, trades), database
        return self.own

    def look(self) -> None:
        """Read the book, and wait until the ledger has what it shows, for a few seconds. It blocks.

        Raises `BookUnreadable`.
        """
        own, database = self.own, self._database
        if own is None or database is None:
            raise BrokenError("the desk has not been started")
        rows = own.order_book()
        trades = own.trades()
        self._pushes.push()
        until = time.monotonic() + RECORDED_WITHIN
        while not self._is_recorded(database, rows, trades) and time.monotonic() < until:
            time.sleep(LOOK_EVERY)

    def _is_recorded(self, database: Database, rows: Sequence[BrokerOrder], trades: Sequence[Fill]) -> bool:
        with database.read() as connection:
            ids, tags = {row.broker_order_id for row in rows}, {row.tag for row in rows if row.tag is not None}
            known = KnownOrders(views_for(connection, self._settings.account, tags=tags, broker_order_ids=ids))
        owned = [(known.owner(each.row), each) for each in BookDiff().changed(rows, trades)]
        return not any(view is not None and is_news(view, each) and _is_taken_in(view, each) for view, each in owned)


def _is_taken_in(view: OrderSnapshot, each: OrderStatusReport) -> bool:
    """Whether the order takes it in at once: not while it is being placed, nor an end whose trades do not add up."""
    row = each.row
    if view.status is Status.PENDING:
        return False
    if row.state is BookState.WORKING:
        return True
    needed = row.quantity if row.state is BookState.COMPLETE else row.filled_quantity
    return each.traded >= needed


def _call_in(loop: asyncio.AbstractEventLoop, push: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # it has ended meanwhile
        loop.call_soon_threadsafe(push)


_desks: dict[Path, BrokerDesk] = {}
_opening = threading.Lock()


def joined(home: Home, settings: Settings, broker: Any) -> BrokerDesk:
    """The desk of that home in this process: the one that is there, or a new one, started.

    Raises `InvalidSettings` where it has another broker object; else as `BrokerDesk.start`.
    """
    with _opening:
        path = home.path.resolve()
        desk = _desks.get(path)
        if desk is None:
            desk = BrokerDesk(home, settings, broker)
            desk.start()
            _desks[path] = desk
        elif desk.broker is not broker:
            words = "broker: another engine of this process has its folder with another broker object"
            raise InvalidSettings(f"{words}; `execution.folder` names one for each ({home.path})")
        desk.users += 1
        return desk


def left(home: Home, desk: BrokerDesk) -> None:
    """One who had joined it is done with it: the last one stops it."""
    with _opening:
        desk.users -= 1
        if desk.users == 0:
            _desks.pop(home.path.resolve(), None)
            desk.stop()


def _stop_all() -> None:
    """A process that ends without having closed its engines leaves no server behind; that of a killed one is used by
    the next."""
    for desk in list(_desks.values()):
        try:
            desk.stop()
        except Exception:
            log.exception("the desk of this process could not be stopped")
    _desks.clear()


threading._register_atexit(_stop_all)  # type: ignore[attr-defined]  # before the loops of `background`
os.register_at_fork(after_in_child=_desks.clear)
