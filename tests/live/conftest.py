"""Desks of live accounts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from durable_orders.workers.home import ServerAddress
from tests.live.desk import Desk, at_work, open_desk


class Desks(Protocol):
    async def __call__(
        self, *, staffed: bool = True, sandbox: dict[str, Any] | None = None, **settings: Any
    ) -> Desk: ...


@pytest.fixture
async def desks(temporal_server: ServerAddress, tmp_path: Path) -> AsyncIterator[Desks]:
    """Opens a desk with other settings: `await desks(live={"max_retries": 0}, sandbox={"market_data": False})`.

    One that is not `staffed` has no workers yet.
    """
    async with AsyncExitStack() as stack:

        async def opened(*, staffed: bool = True, sandbox: dict[str, Any] | None = None, **settings: Any) -> Desk:
            desk = await stack.enter_async_context(open_desk(temporal_server, tmp_path, sandbox=sandbox, **settings))
            if staffed:
                await stack.enter_async_context(at_work(desk))
            return desk

        yield opened


@pytest.fixture
async def desk(desks: Desks) -> Desk:
    return await desks()
