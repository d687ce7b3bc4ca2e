"""Tasks of workflows on the worker's loop: one at a time, and none for ever."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from durable_orders.workers.on_the_loop import OnTheLoop

LONGEST = 0.2
"""Seconds of the processor."""


@pytest.fixture
def executor() -> Iterator[OnTheLoop]:
    with OnTheLoop(LONGEST) as executor:
        yield executor


def leaves_its_own_loop() -> tuple[int, object]:
    """As the instance of a workflow does."""
    stepped = asyncio.current_task()
    asyncio._set_running_loop(None)
    return threading.get_ident(), stepped


def never_ends() -> None:
    while True:
        pass


async def test_it_runs_on_the_loop_that_asks_and_leaves_it_as_it_was(executor: OnTheLoop) -> None:
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(executor, leaves_its_own_loop) == (threading.get_ident(), None)
    assert asyncio.get_running_loop() is loop
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(executor, lambda: 1 / 0)


async def test_one_that_never_ends_is_interrupted_and_the_others_go_on(executor: OnTheLoop) -> None:
    loop = asyncio.get_running_loop()
    ended = await asyncio.gather(
        *(loop.run_in_executor(executor, each) for each in (never_ends, threading.get_ident, never_ends)),
        return_exceptions=True,
    )
    assert [str(each) for each in ended if isinstance(each, RuntimeError)] == [
        "the workflow did not give control back within 0.2 s of the processor"
    ] * 2
    assert ended[1] == await loop.run_in_executor(executor, threading.get_ident)


async def test_a_machine_that_stands_still_interrupts_nothing(executor: OnTheLoop) -> None:
    await asyncio.get_running_loop().run_in_executor(executor, time.sleep, 4 * LONGEST)
