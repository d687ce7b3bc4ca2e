"""What a run stands on: a Temporal server and live workers of its own, each of which can be killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from chaos.account import log_in, make_home, settings_for
from chaos.schedule import PRICES
from chaos.venue import Venue, open_venue
from durable_orders.orders import Orders
from sandbox import FeedKind, SandboxSettings
from trading.brokers.kite_session import SessionFile
from trading.ledger.accounts import halt_reason, last_book_read
from workers import server
from workers.home import Home, ServerAddress

PROGRAM = Path(sys.executable).parent / "durable-orders"


class Worker:
    """`durable-orders worker --live`, as a process."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        words = [str(PROGRAM), "worker", "--live", "--home", str(self._home.path)]
        with (self._home.path / "said").open("ab") as said:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def keep(self) -> bool:
        """Start it again if it has ended by itself, which it does when it finds no server. Whether that was so."""
        ended = self._process is not None and self._process.poll() is not None
        if ended:
            self.start()
        return ended


class Ground:
    def __init__(self, home: Home, venue: Venue, address: ServerAddress, orders: Orders, workers: list[Worker]) -> None:
        self.home = home
        self.venue = venue
        self.orders = orders
        self.workers = workers
        self._address = address

    async def kill_server(self, away: float) -> None:
        """As a power cut would; it is back, on its file and its ports, after so many seconds."""
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._address.pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, self._address.pid, 0)
        await asyncio.sleep(away)
        self._address = await server.start(self.home, self._address.port, self._address.ui_port)

    async def kill_worker(self, which: int, away: float) -> None:
        self.workers[which].kill()
        await asyncio.sleep(away)
        self.workers[which].start()

    async def is_halted(self) -> bool:
        account = self.orders.settings.account
        return await self.orders.read(lambda ledger: halt_reason(ledger, account)) is not None

    async def is_watched(self) -> None:
        """Until a worker has begun to read the book."""
        account = self.orders.settings.account
        # Another process writes it, so there is no event to wait for.
        while await self.orders.read(lambda ledger: last_book_read(ledger, account)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def is_logged_in(self) -> bool:
        token = SessionFile(self.home.session_file, self.orders.settings.kite).token()
        return token is not None and await self.venue.accepts(token)

    def files_with_secrets(self) -> list[str]:
        """Files of the home, but for the login's own and the settings, that hold its access token."""
        settings = self.orders.settings.kite
        token = SessionFile(self.home.session_file, settings).token() or ""
        files = [file for file in self.home.path.iterdir() if file.is_file() and file != self.home.session_file]
        return [file.name for file in files if token.encode() in file.read_bytes()]

    async def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        await server.stop(self._address, self.home)


@asynccontextmanager
async def open_ground(path: Path, seed: int, workers: int) -> AsyncIterator[Ground]:
    """Everything that runs, for the length of a block, below that directory."""
    settings = SandboxSettings(
        port=0, feed=FeedKind.PUSHED, database=path / "exchange.db", seed=seed, partial_fill_probability=0.3
    )
    async with AsyncExitStack() as stack:
        venue = await stack.enter_async_context(open_venue(settings, dict(PRICES)))
        home = make_home(path / "home", settings_for(venue, f"chaos-{seed}"))
        address = await server.start(home, server.free_port(None, 0), server.free_port(None, 0))
        await log_in(home)
        orders = await stack.enter_async_context(await Orders.connect(home.path))
        ground = Ground(home, venue, address, orders, [Worker(home) for _ in range(workers)])
        stack.push_async_callback(ground.close)
        for worker in ground.workers:
            worker.start()
        await ground.is_watched()
        yield ground
