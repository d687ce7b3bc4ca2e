"""Asks a server that does not answer again. What is asked must be the same however often it is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from durable_orders.trading.errors import ServerUnreachable

R = TypeVar("R")

SERVER_SECONDS = 10.0
"""How long it is asked again: not longer, or an order would be older than it looks."""
SERVER_EVERY = 0.5


async def retry_unreachable(ask: Callable[[], Awaitable[R]]) -> R:
    """The answer. Raises `ServerUnreachable` without one within ten seconds, and what else the question raises."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SERVER_SECONDS
    while True:
        try:
            return await ask()
        except ServerUnreachable:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(SERVER_EVERY)
