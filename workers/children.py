"""Programs that run beside `up`, each in a process of its own: they slow no order, and none of them can end it."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from durable_orders.trading.errors import HomeUnusable

GRACE_SECONDS = 5.0
"""Until a program that was told to end is ended."""
READY_SECONDS = 60.0
AGAIN_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""Before a program that ended is started again: twice as long each time, up to the second. One that ran for longer than
that begins anew."""
GIVES_WAY = 5
"""By how much the priority of such a program is below that of `up`."""
WITH_PARENT = "--with-parent"

log = logging.getLogger(__name__)


def end_with_parent() -> None:
    """Leave when whoever started this process is gone: the pipe on stdin ends then, however they ended. At once, as the
    next one may be starting: what is written is written whole or not at all, and who asked asks again. Until then it
    gives way to what handles orders.
    """
    os.nice(GIVES_WAY)

    def wait() -> None:
        with suppress(OSError, ValueError):
            while sys.stdin.buffer.read(1):
                pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@asynccontextmanager
async def beside(*words: str) -> AsyncIterator[None]:
    """`durable-orders WORDS`, for the length of a block; it is started again whenever it ends. It says a line on stdout
    when it is ready.

    Raises `HomeUnusable` if it does not come up the first time.
    """
    keeping = asyncio.create_task(_keep(words, await _started(words)))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _started(words: Sequence[str]) -> asyncio.subprocess.Process:
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "durable_orders.cli", *words, WITH_PARENT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for `up`, which then ends this
        )
    except OSError as error:  # no memory, no process, no file left
        raise HomeUnusable(f"{words[0]}: cannot be started beside `up` ({error.strerror or error})") from None
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(READY_SECONDS):
            said = await process.stdout.readline()
    except TimeoutError:
        said = b""
    except BaseException:
        await _end(process)
        raise
    if not said:
        await _end(process)
        raise HomeUnusable(f"{words[0]}: did not come up beside `up`; its own words are above")
    return process


async def _keep(words: Sequence[str], process: asyncio.subprocess.Process) -> None:
    clock = asyncio.get_running_loop().time
    pause, began = AGAIN_SECONDS, clock()
    try:
        while True:
            said = f"`{words[0]}` has ended with exit code {await process.wait()}"
            pause = AGAIN_SECONDS if clock() - began > LONGEST_SECONDS else pause
            while process.returncode is not None:
                log.warning("%s; it is started again in %g s", said, pause)
                await asyncio.sleep(pause)
                pause, began = min(pause * 2, LONGEST_SECONDS), clock()
                try:
                    process = await _started(words)
                except HomeUnusable as error:
                    said = str(error)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
