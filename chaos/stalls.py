"""How long the machine stood still: what left in two seconds then arrives in one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

EVERY = 0.05


class Stalls:
    longest = 0.0
    """Seconds by which a short sleep was too long."""


@asynccontextmanager
async def watched() -> AsyncIterator[Stalls]:
    stalls = Stalls()

    async def watch() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(EVERY)
            stalls.longest = max(stalls.longest, perf_counter() - began - EVERY)

    watching = asyncio.create_task(watch())
    try:
        yield stalls
    finally:
        watching.cancel()
