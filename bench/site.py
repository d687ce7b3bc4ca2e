"""Where the long measurement takes place: a home with its server, its worker process, and a client beside them."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from bench import following, market
from bench.ground import ACCOUNT
from bench.processes import WorkerProcess
from durable_orders.orders import Orders
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.workers import ports, server
from durable_orders.workers.home import SETTINGS_FILE, Home


@dataclass(slots=True)
class Site:
    home: Home
    server: psutil.Process
    worker: WorkerProcess
    """The present one; another takes its place after it is killed."""
    orders: Orders


@asynccontextmanager
async def site(cached: int | None = None) -> AsyncIterator[Site]:
    """A home that is thrown away, with everything running and the market's first tick shown. The worker keeps at most
    so many workflows `cached`; without it, as many as it does by itself."""
    with tempfile.TemporaryDirectory(prefix="durable-orders-scale-") as path:
        home = Home(Path(path)).make()
        _settle(home, {} if cached is None else {"max_cached_workflows": cached})
        async with AsyncExitStack() as stack:
            address = await stack.enter_async_context(server.running(home, ports.ANY, ports.ANY))
            orders = await stack.enter_async_context(await Orders.connect(home.path))
            place = Site(home, psutil.Process(address.pid), WorkerProcess(home), orders)
            stack.callback(lambda: place.worker.kill())
            await place.worker.ready()
            await following.market_second(orders)
            yield place


def _settle(home: Home, own: dict[str, int]) -> None:
    """The home's settings, and the ticks that they name."""
    ticks = home.path / "ticks.csv"
    market.write_ticks(ticks)
    chosen = {"ticks": str(ticks), "symbol": SHIPPED_SYMBOL, "speed": 1, "calendar": "always_open"}
    settings = {"account": ACCOUNT, "market": chosen, "execution": {"paper": {"request_limits": False}}, "worker": own}
    (home.path / SETTINGS_FILE).write_text(yaml.safe_dump(settings), encoding="utf-8")
