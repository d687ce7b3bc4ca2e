"""Everything in one process tree: the embedded server, the worker with its watch, and the paper market's feed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress

from durable_orders.activities.paper_feed import Audience
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import HomeUnusable, ServerUnreachable
from durable_orders.workers import server, worker
from durable_orders.workers.components import Brought, build, check_mode
from durable_orders.workers.connection import connect
from durable_orders.workers.environment import configured_server
from durable_orders.workers.home import Home, ServerAddress
from durable_orders.workers.supervision import cancelled

GUARD_SECONDS = 0.5
"""How often `up` makes sure that its server is still there."""


def stop_on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(kind, stop.set)
    return stop


async def up(
    home: Home,
    settings: Settings,
    port: int | None,
    ui_port: int | None,
    ready: Callable[[ServerAddress | None], None],
    *,
    live: bool = False,
    beside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> None:
    """Run until SIGINT or SIGTERM. Orders that were open go on from where they stood.

    With a server named by Temporal's environment configuration no embedded one is started. `beside` is entered once
    it is up: what else is to run meanwhile. Raises `HomeUnusable` if the home is already up.
    """
    check_mode(settings, live)
    home.make()
    with home.locked():
        stop = stop_on_signals()
        async with at_work(home, settings, port, ui_port, live=live) as address, beside():
            ready(address)
            await _stopped(stop, home)


async def _stopped(stop: asyncio.Event, home: Home) -> None:
    """Until it is told to stop. Raises `HomeUnusable` once the home is gone: nothing could be kept any more."""
    while not stop.is_set():
        if not home.path.is_dir():
            raise HomeUnusable(f"home {home.path}: it was deleted while it was up; look at the broker for open orders")
        with suppress(TimeoutError):
            async with asyncio.timeout(GUARD_SECONDS):
                await stop.wait()


@asynccontextmanager
async def at_work(
    home: Home,
    settings: Settings,
    port: int | None = None,
    ui_port: int | None = None,
    *,
    live: bool = False,
    audience: Audience | None = None,
    brought: Brought | None = None,
) -> AsyncIterator[ServerAddress | None]:
    """The embedded server, if no other is configured, and the worker, for the length of a block. Hold the home."""
    async with AsyncExitStack() as stack:
        embedded = configured_server() is None
        address = await stack.enter_async_context(server.running(home, port, ui_port)) if embedded else None
        client = await connect(home, settings)
        parts = build(home, settings, client, live=live, audience=audience, brought=brought)
        await stack.enter_async_context(worker.running(client, parts))
        if address is not None:
            guard = asyncio.create_task(_keep_server(home, address))
            stack.push_async_callback(cancelled, guard)
        yield address


async def run_worker(home: Home, settings: Settings, ready: Callable[[], None], *, live: bool = False) -> None:
    """Join a server that runs already, until SIGINT or SIGTERM."""
    check_mode(settings, live)
    stop = stop_on_signals()
    client = await connect(home, settings)
    parts = build(home.make(), settings, client, live=live)
    async with worker.running(client, parts):
        ready()
        await _stopped(stop, home)


async def _keep_server(home: Home, address: ServerAddress) -> None:
    """Start the server again, on its file and its ports, whenever it is gone. Workers and orders wait meanwhile."""
    while True:
        await asyncio.sleep(GUARD_SECONDS)
        if not server.is_our_server(address, home):
            with suppress(ServerUnreachable):
                address = await server.start(home, address.port, address.ui_port)
