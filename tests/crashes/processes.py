"""Processes of the production program, each of which can be killed on its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil

from durable_orders.workers.home import Home, ServerAddress
from durable_orders.workers.server import is_our_server
from tests.conftest import until
from tests.crashes.crashing_worker import Point
from tests.starting import programs
from tests.starting.programs import Started

PROGRAM = str(programs.PROGRAM)
HERE = Path(__file__).parents[2]

NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""For processes whose files are limited: Python 3.11 keeps the half of a module that it could write."""

Process = subprocess.Popen[bytes]


@contextmanager
def running(home: Home, *words: str) -> Iterator[Process]:
    """A process for the length of a block, at whose end it is killed. What it says goes to `said` in the home."""
    with (home.path / "said").open("ab") as log:
        nothing = subprocess.DEVNULL
        process = Started(words, stdin=nothing, stdout=log, stderr=log, cwd=HERE, env=os.environ | NO_BYTECODE)
    try:
        yield process
    finally:
        kill(process)


def kill(process: Process) -> None:
    process.kill()
    process.wait()


def said(home: Home) -> str:
    return (home.path / "said").read_text(encoding="utf-8")


def worker(home: Home) -> AbstractContextManager[Process]:
    """The plain production worker."""
    return running(home, PROGRAM, "worker", "--home", str(home.path))


def crashing_worker(home: Home, point: Point) -> AbstractContextManager[Process]:
    return running(home, sys.executable, "-m", "tests.crashes.crashing_worker", str(home.path), point)


async def killed_itself(process: Process, home: Home) -> None:
    """Until the process has ended, which it did by SIGKILL and by nothing else."""
    assert await ended(process) == -signal.SIGKILL, said(home)


async def ended(process: Process) -> int:
    """The exit code, once there is one."""
    await until(lambda: process.poll() is not None, "the end of the process")
    return int(process.returncode)


@contextmanager
def up(home: Home, *more: str) -> Iterator[Process]:
    """`up`, with its server. At the end of the block neither of them is left."""
    with running(home, PROGRAM, "up", "--home", str(home.path), *more) as process:
        try:
            yield process
        finally:
            kill(process)
            kill_server(home)


async def is_up(home: Home, times: int = 1) -> ServerAddress:
    """The server's address, once `up` has said so many times in this home that all is running."""
    await until(lambda: said(home).count("Ctrl-C stops it") == times, "`up`")
    address = home.address()
    assert address is not None
    return address


def kill_server(home: Home) -> None:
    """Kill the server that this home has noted down, if it is its own and still there."""
    address = home.address()
    if address is not None and is_our_server(address, home):
        os.kill(address.pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process, of whoever, is there and does not only wait to be reaped."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
