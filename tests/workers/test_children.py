"""What runs beside `up` is started again whatever became of it, and a machine that has no room is told."""

import asyncio
import errno
import logging
import os
import sys
from typing import Any

import pytest

from durable_orders.trading.errors import HomeUnusable
from durable_orders.workers import children
from tests.conftest import until

READY = "import sys; print('ready', flush=True); sys.stdin.read()"
SPAWN = asyncio.create_subprocess_exec


class Machine:
    """Starts a program that only waits, in place of ours, and has no memory left for as long as a test wants."""

    def __init__(self) -> None:
        self.started: list[asyncio.subprocess.Process] = []
        self.refusals = 0

    async def spawn(self, *_command: str, **how: Any) -> asyncio.subprocess.Process:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        self.started.append(await SPAWN(sys.executable, "-c", READY, **how))
        return self.started[-1]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", made.spawn)
    monkeypatch.setattr(children, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(children, "LONGEST_SECONDS", 0.02)
    return made


async def test_one_that_cannot_be_started_again_is_told_and_tried_later_each_time(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with children.beside("web"):
            machine.refusals = 3
            machine.started[0].kill()
            await until(lambda: len(machine.started) > 1, "a second start")
    assert [each.message for each in caplog.records if each.name == children.log.name] == [
        "`web` has ended with exit code -9; it is started again in 0.01 s",
        *["web: cannot be started beside `up` (Cannot allocate memory); it is started again in 0.02 s"] * 3,
    ]
    assert all(each.returncode is not None for each in machine.started), "none is left when the block is over"


async def test_one_that_never_comes_up_is_an_error_of_the_start(machine: Machine) -> None:
    machine.refusals = 1
    with pytest.raises(HomeUnusable, match="web: cannot be started beside `up`"):
        async with children.beside("web"):
            raise AssertionError("it did not come up")
