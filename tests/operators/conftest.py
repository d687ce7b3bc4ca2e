"""Live accounts at work, supervised more often than in production; and accounts whose broker is a counting Kite."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest

from durable_orders.workers.home import ServerAddress
from tests.live.conftest import desk, desks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import Desk, at_work, open_desk
from tests.trading.ledger.conftest import postgres

QUICKLY = 0.3


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_orders.workers.supervision.EVERY", QUICKLY)
    monkeypatch.setattr("durable_orders.workers.supervision.REST", 1)


@pytest.fixture
def kite() -> Iterator[CountingKite]:
    with closing(CountingKite()) as kite:
        yield kite


class KiteDesks(Protocol):
    async def __call__(self, *, staffed: bool = True, **settings: Any) -> Desk: ...


@pytest.fixture
async def kite_desks(temporal_server: ServerAddress, tmp_path: Path, kite: CountingKite) -> AsyncIterator[KiteDesks]:
    """Opens desks over the counting Kite: `await kite_desks(settle_window=3)`. Not `staffed`, it has no workers."""
    numbers = count()
    async with AsyncExitStack() as stack:

        async def opened(*, staffed: bool = True, **settings: Any) -> Desk:
            home = tmp_path / f"home-{next(numbers)}"
            desk = await stack.enter_async_context(open_desk(temporal_server, home, kite, **settings))
            if staffed:
                await stack.enter_async_context(at_work(desk))
                await desk.watched()
            return desk

        yield opened


__all__ = ["desk", "desks", "postgres"]
