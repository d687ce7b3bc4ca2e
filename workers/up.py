"""Everything in one process tree: the embedded server, the worker with its watch, and the paper market's feed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from activities.paper_feed import Audience
from trading.errors import ServerUnreachable
from trading.settings import Settings
from workers import server, worker
from workers.connection import configured_server, connect
from workers.home import Home, ServerAddress
from workers.parts import build, must_agree

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
) -> None:
    """Run until SIGINT or SIGTERM. Orders that were open go on from where they stood.

    With a server named by Temporal's environment configuration no embedded one is started. Raises `HomeUnusable` if
    the home is already up.
    """
    must_agree(settings, live)
    home.make()
    with home.locked():
        stop = stop_on_signals()
        async with at_work(home, settings, port, ui_port, live=live) as address:
            ready(address)
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
) -> AsyncIterator[ServerAddress | None]:
    """The embedded server, if no other is configured, and the worker, for the length of a block. Hold the home."""
    async with AsyncExitStack() as stack:
        embedded = configured_server() is None
        address = await stack.enter_async_context(server.running(home, port, ui_port)) if embedded else None
        client = await connect(home)
        parts = build(home, settings, client, live=live, audience=audience)
        await stack.enter_async_context(worker.running(client, parts))
        if address is not None:
            guard = asyncio.create_task(_keep_server(home, address))
            stack.push_async_callback(_cancelled, guard)
        yield address


async def run_worker(home: Home, settings: Settings, ready: Callable[[], None], *, live: bool = False) -> None:
    """Join a server that runs already, until SIGINT or SIGTERM."""
    must_agree(settings, live)
    stop = stop_on_signals()
    client = await connect(home)
    parts = build(home.make(), settings, client, live=live)
    async with worker.running(client, parts):
        ready()
        await stop.wait()


async def _keep_server(home: Home, address: ServerAddress) -> None:
    """Start the server again, on its file and its ports, whenever it is gone. Workers and orders wait meanwhile."""
    while True:
        await asyncio.sleep(GUARD_SECONDS)
        if not server.is_our_server(address, home):
            with suppress(ServerUnreachable):
                address = await server.start(home, address.port, address.ui_port)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
