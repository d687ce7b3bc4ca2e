"""The worker as a process of its own, to be measured and killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping

import psutil

from bench.counting_worker import READS_FILE
from bench.machine import ROOT
from durable_orders.trading.errors import BrokenError
from durable_orders.workers.home import Home

READY_SECONDS = 300.0


class WorkerProcess:
    """`bench.counting_worker` on a home, from its start to its death."""

    def __init__(self, home: Home) -> None:
        self._home = home
        log = (home.path / "worker.log").open("ab")
        with log:
            command = [sys.executable, "-m", "bench.counting_worker", str(home.path)]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)

    async def ready(self) -> None:
        """Wait until it says so. Raises `BrokenError` if it dies instead."""
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            line = await asyncio.to_thread(self._process.stdout.readline)
        if line != b"ready\n":
            raise BrokenError(f"the worker did not start; its log is {self._home.path / 'worker.log'}")

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def memory(self) -> int:
        """Resident bytes."""
        return int(self.process.memory_info().rss)

    async def reads(self) -> Mapping[str, int]:
        """How often each read of the broker was called since the worker began."""
        file = self._home.path / READS_FILE
        file.unlink(missing_ok=True)
        os.kill(self._process.pid, signal.SIGUSR1)
        async with asyncio.timeout(READY_SECONDS):
            while True:
                if file.exists():
                    counts: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
                    return counts
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: no clean-up, no good-bye."""
        self._process.kill()
        self._process.wait()


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
