"""What a run stands on: a Temporal server and live workers of its own, each of which can be killed."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

from chaos.account import TIMEOUT, log_in, make_home, settings_for
from chaos.schedule import PRICES
from chaos.stepping_worker import step
from chaos.venue import Venue, open_venue
from durable_orders.orders import Orders
from durable_orders.sandbox import FeedKind, SandboxSettings
from durable_orders.trading.brokers.kite.session import SessionFile
from durable_orders.trading.errors import DurableOrdersError
from durable_orders.trading.ledger.accounts import halt_reason, last_book_read
from durable_orders.workers import ports, server
from durable_orders.workers.backup import back_up
from durable_orders.workers.home import Home, ServerAddress

HERE = Path(__file__).parents[1]
FULL = 1000
"""Bytes: a database's log is longer, so that nothing more can be written."""
FILES = {"ledger": "ledger.db", "server": "temporal.db"}
"""Of a backup."""


class Worker:
    """`durable-orders worker --live`, as a process with a clock of its own."""

    def __init__(self, home: Home, number: int) -> None:
        self._home = home
        self._clock = home.path / f"clock-{number}"
        self._process: subprocess.Popen[bytes] | None = None
        self.step_clock(0)

    def step_clock(self, seconds: float) -> None:
        """Have its clock be wrong by so much from now on."""
        step(self._clock, seconds)

    def start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        words = [sys.executable, "-m", "chaos.stepping_worker", str(self._clock)]
        words += ["worker", "--live", "--no-limits", "--home", str(self._home.path)]
        own = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # on a full disk it keeps half of a module
        with (self._home.path / "said").open("ab") as said:
            nothing = subprocess.DEVNULL
            self._process = subprocess.Popen(words, stdin=nothing, stdout=said, stderr=said, cwd=HERE, env=own)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, kind: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(kind)

    def limit_files(self, most: int | None) -> None:
        """Let no file grow beyond so many bytes, as on a full disk; `None` takes that back. Linux only."""
        if self._process is not None and self._process.poll() is None:
            _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (hard if most is None else most, hard))

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
        self.account = orders.settings.account
        self.workers = workers
        self.lock = asyncio.Lock()
        """Whoever stops processes, one after the other."""
        self.is_down = False
        """Whether everything is stopped, for a restore."""
        self._address = address
        self._backups: list[Path] = []

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

    async def freeze_worker(self, which: int, seconds: float) -> None:
        """As a machine that sleeps, or swaps."""
        worker = self.workers[which]
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        worker.signal(signal.SIGCONT)

    async def freeze_server(self, seconds: float) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._address.pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            os.kill(self._address.pid, signal.SIGCONT)

    async def lock_ledger(self, seconds: float) -> None:
        """As a backup program that holds the file, or somebody in a database tool."""
        await asyncio.to_thread(self._hold_ledger, seconds)

    def _hold_ledger(self, seconds: float) -> None:
        with closing(sqlite3.connect(self.home.ledger_db, timeout=10)) as connection:
            connection.isolation_level = None
            with suppress(sqlite3.OperationalError):
                connection.execute("BEGIN IMMEDIATE")
                time.sleep(seconds)
                connection.execute("ROLLBACK")

    async def fill_disk(self, which: int, seconds: float) -> None:
        worker = self.workers[which]
        worker.limit_files(FULL)
        await asyncio.sleep(seconds)
        worker.limit_files(None)

    async def step_clock(self, which: int, by: float, seconds: float) -> None:
        worker = self.workers[which]
        worker.step_clock(by)
        await asyncio.sleep(seconds)
        worker.step_clock(0)

    async def back_up(self) -> None:
        """As `durable-orders backup` does. One that cannot be made is none."""
        directory = self.home.path.parent / f"backup-{len(self._backups)}"
        with suppress(DurableOrdersError):
            await asyncio.to_thread(back_up, self.home, self.orders.settings, directory)
            self._backups.append(directory)

    async def restore(self, names: Collection[str]) -> bool:
        """Go back to the last backup with these of its files, and let everything go on. Whether there was one."""
        if not self._backups:
            return False
        async with self.lock:
            self.is_down = True
            for worker in self.workers:
                worker.kill()
            await server.stop(self._address, self.home)
            await self.orders.close()
            for name in names:
                await asyncio.to_thread(_put_back, self._backups[-1] / FILES[name], self.home.path / FILES[name])
            self._address = await server.start(self.home, self._address.port, self._address.ui_port)
            self.orders = await Orders.connect(self.home.path)
            for worker in self.workers:
                worker.start()
            self.is_down = False
        return True

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
        await self.orders.close()
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
        content = settings_for(venue, f"chaos-{seed}")
        content["kite"]["timeout"] = TIMEOUT
        home = make_home(path / "home", content)
        address = await server.start(home, ports.ANY, ports.ANY)
        await log_in(home)
        orders = await Orders.connect(home.path)
        ground = Ground(home, venue, address, orders, [Worker(home, number) for number in range(workers)])
        stack.push_async_callback(ground.close)
        for worker in ground.workers:
            worker.start()
        await ground.is_watched()
        yield ground


def _put_back(copy: Path, file: Path) -> None:
    for old in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        old.unlink(missing_ok=True)
    shutil.copyfile(copy, file)
