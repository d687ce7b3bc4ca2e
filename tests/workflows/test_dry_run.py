"""A dry run is one from its first event on, on paper as in live mode, and wherever it was asked for."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.errors import DuplicateOrder
from durable_orders.trading.orders.order import Status
from tests.workflows.conftest import Desks
from tests.workflows.desk import Desk, at_work, finished, parts_of

DRY = {"execution": {"dry_run": True}}
WORDS = "dry run: everything was checked, nothing was sent"
Asked = Callable[[Desk, Path], Awaitable[tuple[Desk, OrderHandle]]]


async def by_the_worker(desk: Desk, path: Path) -> tuple[Desk, OrderHandle]:
    settings = desk.parts.settings.replaced(DRY)
    parts = parts_of(settings, desk.client, desk.broker, f"sqlite:///{path / settings.account}.db")
    return replace(desk, parts=parts), await desk.orders.place(desk.intent())


async def by_whoever_places_it(desk: Desk, path: Path) -> tuple[Desk, OrderHandle]:
    careful = Orders.over(desk.client, desk.parts.database, desk.parts.settings.replaced(DRY))
    return desk, await careful.place(desk.intent())


async def by_the_intent(desk: Desk, path: Path) -> tuple[Desk, OrderHandle]:
    return desk, await desk.orders.place(desk.intent(dry_run=True))


@pytest.mark.parametrize("asked", [by_the_worker, by_whoever_places_it, by_the_intent])
async def test_nothing_is_sent_and_every_event_says_so(desks: Desks, tmp_path: Path, asked: Asked) -> None:
    desk, order = await asked(await desks(staffed=False), tmp_path)
    async with at_work(desk):
        ended = await finished(desk, order)
    assert (ended.status, ended.reasons, ended.dry_run) == (Status.REJECTED, (WORDS,), True)
    assert [event.dry_run for event in await order.events()] == [True, True]
    assert desk.broker.sent == []


async def test_same_id_for_real_is_another_order(desk: Desk) -> None:
    rehearsed = await desk.start(client_order_id="mine", dry_run=True)
    await rehearsed.result()
    with pytest.raises(DuplicateOrder):
        await desk.orders.place(desk.intent(client_order_id="mine"))
