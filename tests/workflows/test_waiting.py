"""What an order waits for without harm: a ledger that cannot be written, and workers that are away."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from durable_orders.trading.orders.order import Amendment, OrderType, Status
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Desks
from tests.workflows.desk import Desk, at_work, finished


@contextmanager
def full(desk: Desk, table: str) -> Iterator[None]:
    """The ledger cannot take another row of that table, as if its disk were full."""
    database = desk.parts.database
    with database.write() as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    yield
    with database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")


async def test_full_ledger_holds_a_new_order_up(desk: Desk) -> None:
    with full(desk, "reservations"):
        order = await desk.start(says.fills_at_once)
        assert (await order.placed(0.5)).status is Status.PENDING
        assert desk.broker.sent == []
    ended = await finished(desk, order)
    assert (ended.status, len(desk.broker.sent)) == (Status.FILLED, 1)


@pytest.mark.parametrize("table", ["fills", "events", "positions"])
async def test_full_ledger_holds_a_recording_up(desk: Desk, table: str) -> None:
    order = await desk.resting()
    desk.broker.trade(desk.broker.only, 10)
    with full(desk, table):
        await desk.look()
        while (await desk.standing(order)).status is not Status.FILLED:
            continue
        assert (await order.now()).status is Status.PLACED
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    (position,) = await desk.orders.positions()
    assert position.quantity == 10


async def test_deploy_with_orders_open(desks: Desks) -> None:
    desk = await desks(staffed=False)
    async with at_work(desk):
        order = await desk.resting()
        await order.amend(Amendment(quantity=20))
        desk.broker.trade(desk.broker.only, 5)
        await desk.look()
        before = await desk.recorded(order, Status.PARTIAL)
    meanwhile = await desk.start(says.fills_at_once, order_type=OrderType.MARKET)
    desk.broker.trade(desk.broker.only, 15)
    async with at_work(desk):
        assert (await finished(desk, meanwhile)).status is Status.FILLED
        await desk.look()
        ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 20)
    assert ended.fills[:1] == before.fills
    assert len(desk.broker.sent) == 2
