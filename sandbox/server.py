"""The sandbox: serves Kite Connect v3 on loopback, until it is told to stop."""

import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from durable_orders.sandbox.components import Components
from durable_orders.sandbox.control import PREFIX
from durable_orders.sandbox.market_feed import ticks_of
from durable_orders.sandbox.settings import HOST, FeedKind, SandboxSettings
from durable_orders.trading.errors import BrokenError
from durable_orders.trading.ledger.migrate import open_database

HOUSEKEEPING = 0.2
"""Seconds between looks at what is due: stuck orders and validity TTL."""
LONGEST_LINE = 65_536
"""Bytes of a request's first line: a thousand instruments in one query fit."""
STOPPING = 0.5
"""Seconds that requests still have when the sandbox stops."""


log = logging.getLogger(__name__)


class SandboxUnusable(BrokenError):
    """The sandbox cannot listen. Nothing is served."""


def _now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """One Kite with one user, as an async context manager: it listens while it is entered."""

    def __init__(self, settings: SandboxSettings, clock: Callable[[], datetime] = _now) -> None:
        """`clock` tells the wall's time, aware: of orders, rate limits and tokens. Feeds keep their own."""
        self._settings = settings
        self._clock = clock
        self._stack = AsyncExitStack()
        self._port = 0

    @property
    def root(self) -> str:
        """For `KiteConnect(root=...)`."""
        return f"http://{HOST}:{self._port}"

    @property
    def ws_root(self) -> str:
        """For `KiteTicker(root=...)`."""
        return f"ws://{HOST}:{self._port}"

    @property
    def control(self) -> str:
        return f"{self.root}{PREFIX}"

    async def __aenter__(self) -> Self:
        """Raises `SandboxUnusable`, `LedgerUnusable`, and what the files of the settings are found to be worth."""
        async with self._stack as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        path = self._settings.database
        if path is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kite-sandbox-"))) / "exchange.db"
        database = await asyncio.to_thread(open_database, f"sqlite:///{path}")
        stack.callback(database.close)
        parts = Components(self._settings, database, self._clock)
        stack.push_async_callback(parts.close)
        after = await parts.exchange.start()
        parts.gtts.start()
        await self._move_market(stack, parts, after)
        self._keep_running(stack, parts.ticker.beat(self._settings.heartbeat_seconds))
        self._keep_running(stack, _keep_time(parts))
        await self._listen(stack, parts)

    async def _move_market(self, stack: AsyncExitStack, parts: Components, after: datetime | None) -> None:
        if self._settings.feed is FeedKind.PUSHED:
            await parts.pushed.begin(after)
            return
        ticks = await asyncio.to_thread(ticks_of, self._settings, parts.instruments, self._clock())
        self._keep_running(stack, parts.feed.play(ticks(after), self._settings.speed or 1.0))

    async def _listen(self, stack: AsyncExitStack, parts: Components) -> None:
        runner = web.AppRunner(parts.app(), access_log=None, shutdown_timeout=STOPPING, max_line_size=LONGEST_LINE)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(parts.ticker.close)
        try:
            await web.TCPSite(runner, HOST, self._settings.port).start()
        except OSError as error:
            raise SandboxUnusable(f"sandbox: port {self._settings.port}: {error.strerror}") from None
        self._port = runner.addresses[0][1]

    def _keep_running(self, stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_told(work))

        async def stop() -> None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        stack.push_async_callback(stop)


async def _told(work: Coroutine[Any, Any, None]) -> None:
    """Work in the background that fails says so at once; the requests are still served."""
    try:
        await work
    except Exception:
        log.exception("a part of the sandbox has stopped")


async def _keep_time(parts: Components) -> None:
    while True:
        await asyncio.sleep(HOUSEKEEPING)
        await parts.desk.run_by_the_clock()


def run(settings: SandboxSettings) -> None:
    """Serve until SIGINT or SIGTERM; says on standard output where it listens, and how to log in."""
    asyncio.run(_serve(settings))


async def _serve(settings: SandboxSettings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Sandbox(settings) as sandbox:
        sys.stdout.write(_welcome(settings, sandbox))
        sys.stdout.flush()
        await stopped.wait()


def _welcome(settings: SandboxSettings, sandbox: Sandbox) -> str:
    """The credentials are those of a sandbox: they open nothing else."""
    return (
        f"Kite Connect sandbox: REST {sandbox.root}, WebSocket {sandbox.ws_root}, control {sandbox.control}\n"
        f"user {settings.user_id}, api_key {settings.api_key}, api_secret {settings.api_secret.get_secret_value()}\n"
        f"log in at {sandbox.root}/connect/login?api_key={settings.api_key}&v=3\n"
    )
