"""Whatever is done to workflows in the Temporal UI, each open order is followed, and the watch is back."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.client import WorkflowExecutionStatus

from chaos import acts
from chaos.account import log_in
from durable_orders import halting
from durable_orders.doctor import examine
from durable_orders.order_handle import OrderHandle
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.errors import BrokenError
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.ledger import reservations
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Amendment, OrderType, Status
from durable_orders.workflows.names import watch_id
from tests.live.conftest import Desks
from tests.live.desk import FAR, Desk, at_work, eventually, story

GONE = "its earlier workflow is gone"


async def taken_up(desk: Desk, order: OrderHandle) -> None:
    """Once a new run of its workflow has told that it goes on."""
    await desk.told(order.order_id, GONE, EventType.ALERT)


async def watch_run(desk: Desk) -> str | None:
    """The run of the account's watch, while there is one."""
    description = await desk.orders.client.get_workflow_handle(watch_id(desk.settings.account)).describe()
    return description.run_id if description.status is WorkflowExecutionStatus.RUNNING else None


async def test_a_terminated_order_is_followed_again_and_told(desk: Desk) -> None:
    order = await desk.resting()
    await acts.terminate(desk.orders.client, order.order_id)
    await taken_up(desk, order)
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 10, FAR)
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    assert len(desk.at_the_broker(order)) == 1


async def test_what_was_filled_while_nobody_followed_is_booked_once(desk: Desk) -> None:
    order = await desk.resting()
    (row,) = desk.at_the_broker(order)
    await acts.terminate(desk.orders.client, order.order_id)
    await desk.venue.fill(row.broker_order_id, 4, FAR)
    await taken_up(desk, order)
    await desk.venue.fill(row.broker_order_id, 6, FAR)
    ended = await order.result()
    assert [fill.quantity for fill in ended.fills] == [4, 6]
    (held,) = await desk.orders.positions()
    assert held.quantity == 10


@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.MARKET], ids=str)
async def test_a_terminated_order_of_unknown_fate_is_settled_and_never_sent(desk: Desk, order_type: OrderType) -> None:
    await desk.venue.fault(Fault.REFUSE_CONNECTION)
    order = await desk.place(order_type)
    await desk.recorded(order, Status.UNKNOWN)
    await acts.terminate(desk.orders.client, order.order_id)
    ended = await order.result()
    assert (ended.status, ended.broker_order_id) == (Status.REJECTED, None)
    assert desk.at_the_broker(order) == []
    told = story(await order.events())
    assert GONE in told
    assert "not placed: the order book did not show it in" in told
    following = await (await desk.place(OrderType.MARKET)).result()
    assert following.status is Status.FILLED, "new risk is taken again"


async def test_a_terminated_order_that_waits_is_never_fired_late(desks: Desks) -> None:
    desk = await desks()
    await desk.venue.flush_tokens()
    order = await desk.place(price=FAR)
    await desk.told(order.order_id, "not sent")
    await acts.terminate(desk.orders.client, order.order_id)
    await taken_up(desk, order)
    await log_in(desk.home)
    ended = await order.result()
    assert (ended.status, ended.broker_order_id) == (Status.REJECTED, None)
    assert desk.at_the_broker(order) == []
    assert await desk.orders.read(lambda ledger: reservations.standing(ledger, order.order_id)) is None


async def test_a_flatten_does_not_wait_for_an_order_that_nobody_follows(desk: Desk) -> None:
    await desk.venue.flush_tokens()
    order = await desk.place(price=FAR)
    await desk.told(order.order_id, "not sent")
    await acts.terminate(desk.orders.client, order.order_id)
    await log_in(desk.home)
    asked = FlattenRequest(account=desk.settings.account, reason="out", who="by a test", flatten=True, halt=True)
    halting.halt(desk.orders.database, desk.settings, "out", state=AccountState.REDUCING, who="by a test")
    result = await halting.flatten(desk.orders.client, asked)
    assert result is not None
    assert [order.status.terminal for order in result.cancelled] == [True]
    assert desk.at_the_broker(order) == []


async def test_a_terminated_order_is_cancelled_by_its_id(desk: Desk) -> None:
    order = await desk.resting()
    await acts.terminate(desk.orders.client, order.order_id)
    ended = await desk.orders.cancel(order.order_id, timeout=60)
    assert ended.status is Status.CANCELLED
    (row,) = desk.at_the_broker(order)
    assert row.state is BookState.CANCELLED


async def test_a_terminated_order_is_changed_by_its_id(desk: Desk) -> None:
    order = await desk.resting()
    await acts.terminate(desk.orders.client, order.order_id)
    changed = await order.amend(Amendment(price=Decimal(1390)), timeout=60)
    assert changed.price == Decimal(1390)
    (row,) = desk.at_the_broker(order)
    assert row.price == Decimal(1390)


async def test_the_watch_comes_back_and_what_happened_meanwhile_is_seen(desk: Desk) -> None:
    order = await desk.resting()
    before = await watch_run(desk)
    await acts.terminate(desk.orders.client, watch_id(desk.settings.account))
    await desk.alerted("the account's watch was started again")
    assert await watch_run(desk) != before
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 10, FAR)
    assert (await order.result()).status is Status.FILLED


@pytest.mark.parametrize("kind", acts.Batch, ids=str)
async def test_everything_at_once(desk: Desk, kind: acts.Batch) -> None:
    """All that runs of the account is cancelled, or terminated, by one batch of the Temporal UI."""
    waiting = [await desk.resting(client_order_id=f"rests-{number}") for number in range(3)]
    results = [asyncio.create_task(order.result()) for order in waiting]
    before = await watch_run(desk)
    client, account = desk.orders.client, desk.settings.account

    async def all_listed() -> bool:
        query = f'ExecutionStatus="Running" AND (Account="{account}" OR WorkflowId="{watch_id(account)}")'
        return (await client.count_workflows(query)).count == 4

    await eventually(all_listed)
    await eventually(lambda: acts.batch(client, account, kind), "another batch")

    async def is_back() -> bool:
        return await watch_run(desk) not in (None, before)

    await eventually(is_back, "the watch")
    if kind is acts.Batch.TERMINATE:
        for order in waiting:
            await taken_up(desk, order)
            (row,) = desk.at_the_broker(order)
            await desk.venue.fill(row.broker_order_id, 10, FAR)
    ended = await asyncio.gather(*results)
    wanted = Status.CANCELLED if kind is acts.Batch.CANCEL else Status.FILLED
    assert {order.status for order in ended} == {wanted}
    assert [len(desk.at_the_broker(order)) for order in waiting] == [1, 1, 1]
    assert not [row for row in desk.venue.rows() if row.state is BookState.WORKING]


async def test_who_waits_for_an_order_waits_through_a_reset(desk: Desk) -> None:
    order = await desk.resting()
    waiting = asyncio.create_task(order.result())
    points = await acts.reset_points(desk.orders.client, order.order_id)
    await acts.reset(desk.orders.client, order.order_id, points[-1])
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 10, FAR)
    assert (await waiting).status is Status.FILLED
    assert len(desk.at_the_broker(order)) == 1


async def test_who_waits_for_the_placing_waits_through_a_reset(desk: Desk) -> None:
    await desk.venue.flush_tokens()
    order = await desk.place(price=FAR)
    await desk.told(order.order_id, "not sent")
    waiting = asyncio.create_task(order.placed(60))
    await asyncio.sleep(0)
    points = await acts.reset_points(desk.orders.client, order.order_id)
    await acts.reset(desk.orders.client, order.order_id, points[-1])
    await log_in(desk.home)
    assert (await waiting).status in (Status.PLACED, Status.REJECTED)


async def test_an_order_that_nobody_took_is_said_to_be_ended(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_orders.order_handle.RECORDED_WITHIN", timedelta(0))
    desk = await desks(staffed=False)
    order = await desk.place()
    await acts.terminate(desk.orders.client, order.order_id)
    with pytest.raises(BrokenError, match="ended before any worker took it: nothing was sent"):
        await order.result()


async def test_a_signal_with_one_argument_too_many_changes_nothing(desk: Desk) -> None:
    order = await desk.resting()
    handle = desk.orders.client.get_workflow_handle(order.order_id)
    await handle.signal("wake", args=["now"])
    await handle.signal("report", args=[1, 2])
    await desk.told(order.order_id, "the signal report was ignored", EventType.ALERT)
    assert (await order.cancel(timeout=60)).status is Status.CANCELLED
    followed = next(finding for finding in await examine(desk.home, None) if finding.name == "followed")
    assert followed.healthy


async def test_doctor_names_what_nobody_follows(desks: Desks) -> None:
    desk = await desks(staffed=False)
    async with at_work(desk):
        order = await desk.resting()
        healthy = {finding.name: finding for finding in await examine(desk.home, None)}
    assert healthy["followed"].detail == "each of 1 open orders"
    assert healthy["followed"].healthy
    assert healthy["watch workflow"].healthy
    for gone in (order.order_id, watch_id(desk.settings.account)):
        await acts.terminate(desk.orders.client, gone)

    async def is_listed() -> bool:
        found = {finding.name: finding for finding in await examine(desk.home, None)}
        return not (found["followed"].healthy or found["watch workflow"].healthy)

    await eventually(is_listed)
    found = {finding.name: finding for finding in await examine(desk.home, None)}
    assert found["followed"].detail == f"without a workflow: {order.order_id}"
    assert found["watch workflow"].detail.endswith("does not run: a worker starts it again")
