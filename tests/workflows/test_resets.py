"""An order's workflow that somebody resets, to whatever event: nothing is sent again, and nothing is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from chaos import acts
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.ledger import reservations
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import Amendment, Order, OrderType, Side, Status
from durable_orders.trading.orders.process import BEHIND
from tests.conftest import eventually, until
from tests.trading.ledger.conftest import postgres, postgresql_ledger
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Desks
from tests.workflows.desk import Desk, at_work, finished, now, open_desk

Play = Callable[[Desk], Awaitable[OrderHandle]]
QUICK: dict[str, Any] = {"settle_window": 0.6, "retry_delay": 0.05, "safety_interval": 3600}
SENT_BY = timedelta(seconds=6)


async def market_filled(desk: Desk) -> OrderHandle:
    order = await desk.start(says.fills_at_once, order_type=OrderType.MARKET)
    await finished(desk, order)
    return order


async def filled_by_reports(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    for quantity in (4, 6):
        desk.broker.trade(desk.broker.only, quantity)
        await desk.look()
    await finished(desk, order)
    return order


async def found_after_a_lost_answer(desk: Desk) -> OrderHandle:
    desk.broker.hide(1)
    order = await desk.start(says.takes_and_loses_the_answer)
    await desk.recorded(order, Status.PLACED)
    return order


async def resting(desk: Desk) -> OrderHandle:
    return await desk.resting()


async def partly_filled_as_its_own_look_showed(desk: Desk) -> OrderHandle:
    """No signal tells of that: the new run has to look for itself."""
    order = await desk.resting()
    desk.broker.on_cancel.extend([says.is_taken_only] * 99)
    desk.broker.trade(desk.broker.only, 4)
    await desk.workflow(order).signal("cancel", "half of it is enough")
    await desk.recorded(order, Status.PARTIAL, 4)
    return order


async def stop_past_its_deadline(desk: Desk) -> OrderHandle:
    by = now() + SENT_BY
    order = await desk.resting(order_type=OrderType.SL_M, side=Side.BUY, trigger_price=Decimal(1600), place_by=by)
    await until(lambda: now() > by, "the deadline for sending it")
    return order


async def amended(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    await order.amend(Amendment(price=Decimal(1490), quantity=20))
    return order


async def being_cancelled(desk: Desk) -> OrderHandle:
    """The broker takes the cancel, and goes on showing the order."""
    desk.broker.on_cancel.extend([says.is_taken_only] * 99)
    order = await desk.resting()
    await desk.workflow(order).signal("cancel", "by hand")
    await desk.event(order, EventType.ORDER_UPDATED, "cancel requested")
    await until(lambda: desk.broker.cancels)
    return order


async def cancelled_as_a_workflow(desk: Desk) -> OrderHandle:
    """As in the Temporal UI. A reset forgets that request; the ledger does not."""
    desk.broker.on_cancel.extend([says.is_taken_only] * 99)
    order = await desk.resting()
    await desk.workflow(order).cancel()
    await desk.event(order, EventType.ORDER_UPDATED, "cancel requested")
    return order


ENDED = (market_filled, filled_by_reports)
WORKING = (resting, found_after_a_lost_answer, stop_past_its_deadline, amended)
CANCELLING = (being_cancelled, partly_filled_as_its_own_look_showed, cancelled_as_a_workflow)


@pytest.fixture
async def on_postgresql(
    environment: WorkflowEnvironment, tmp_path: Path, postgresql_ledger: str
) -> AsyncIterator[Desk]:
    async with open_desk(environment.client, tmp_path, QUICK, ledger=postgresql_ledger) as desk, at_work(desk):
        yield desk


@pytest.fixture
async def desk(desks: Desks) -> Desk:
    return await desks(**QUICK)


async def reset_everywhere(desk: Desk, order: OrderHandle) -> None:
    """To each event of its first run to which it can be, one after the other; each time the new run goes on."""
    first = (await desk.workflow(order).describe()).run_id
    for point in await acts.reset_points(desk.client, order.order_id):
        await acts.reset(desk.client, order.order_id, point, first)
        await agrees(desk, order)


async def agrees(desk: Desk, order: OrderHandle) -> Order:
    """Once the order's workflow, the ledger and the book are of one mind."""

    async def seen() -> Order | None:
        standing, known = await desk.standing(order), await order.now()
        row = desk.broker.rows[desk.broker.only]
        is_over = row.state is not BookState.WORKING
        are_one = (
            standing.model_copy(update={"updated_at": known.updated_at}) == known
            and (known.filled_quantity, known.price, known.quantity) == (row.filled_quantity, row.price, row.quantity)
            and known.broker_order_id == row.broker_order_id
            and known.status.terminal is is_over
        )
        return known if are_one else None

    found = await eventually(seen, "workflow, ledger and book agree")
    assert found is not None
    return found


@pytest.mark.parametrize("play", ENDED, ids=lambda play: play.__name__)
async def test_an_order_that_has_ended_keeps_its_end(desk: Desk, play: Play) -> None:
    order = await play(desk)
    before = await order.now()
    await reset_everywhere(desk, order)
    ended = await finished(desk, order)
    assert (ended.status, ended.fills) == (before.status, before.fills)
    assert len(desk.broker.sent) == 1


async def follows_and_cancels(desk: Desk, play: Play) -> None:
    order = await play(desk)
    before = await order.now()
    waiting = asyncio.create_task(order.result())
    await reset_everywhere(desk, order)
    after = await order.now()
    assert (after.status, after.price, after.quantity) == (before.status, before.price, before.quantity)
    assert await desk.orders.read(lambda ledger: reservations.standing(ledger, order.order_id)) is not None
    assert (await order.cancel()).status is Status.CANCELLED
    assert (await waiting).status is Status.CANCELLED
    await finished(desk, order)
    assert len(desk.broker.sent) == 1


@pytest.mark.parametrize("play", WORKING, ids=lambda play: play.__name__)
async def test_a_working_order_is_followed_and_can_be_cancelled(desk: Desk, play: Play) -> None:
    await follows_and_cancels(desk, play)


@pytest.mark.parametrize("play", CANCELLING, ids=lambda play: play.__name__)
async def test_a_cancel_that_was_asked_for_goes_on(desk: Desk, play: Play) -> None:
    await cancel_goes_on(desk, play)


async def cancel_goes_on(desk: Desk, play: Play) -> None:
    order = await play(desk)
    waiting = asyncio.create_task(order.result())
    await reset_everywhere(desk, order)
    assert (await order.now()).cancel_requested
    asked = len(desk.broker.cancels)
    desk.broker.on_cancel.clear()
    ended = await waiting
    assert (ended.status, len(desk.broker.cancels) > asked) == (Status.CANCELLED, True)
    assert ended.filled_quantity == desk.broker.rows[desk.broker.only].filled_quantity
    await finished(desk, order)
    assert len(desk.broker.sent) == 1


@pytest.mark.parametrize("play", [market_filled, stop_past_its_deadline, being_cancelled], ids=lambda one: one.__name__)
async def test_on_postgresql(on_postgresql: Desk, play: Play) -> None:
    desk = on_postgresql
    if play in ENDED:
        order = await play(desk)
        await reset_everywhere(desk, order)
        assert (await finished(desk, order)).status is Status.FILLED
        assert len(desk.broker.sent) == 1
    elif play in WORKING:
        await follows_and_cancels(desk, play)
    else:
        await cancel_goes_on(desk, play)


async def test_a_reset_while_the_order_is_being_sent_sends_it_once(desks: Desks) -> None:
    """The run that was reset is gone, its request is on its way, and by its deadline the new one may not give it up."""
    desk = await desks(settle_window=10, retry_delay=0.05)
    held = says.Held(says.takes)
    by = now() + SENT_BY
    order = await desk.start(held, order_type=OrderType.SL_M, trigger_price=Decimal(1600), place_by=by)
    await asyncio.to_thread(held.began.wait, 60)
    points = await acts.reset_points(desk.client, order.order_id)
    await until(lambda: now() > by, "the deadline for sending it")
    await acts.reset(desk.client, order.order_id, points[0])
    await desk.recorded(order, Status.UNKNOWN)
    held.go()
    await desk.recorded(order, Status.PLACED)
    assert len(desk.broker.sent) == 1
    assert (await order.cancel()).status is Status.CANCELLED


async def test_an_order_that_waits_to_be_sent_goes_on_waiting(desk: Desk) -> None:
    order = await desk.start(*[says.wants_a_login] * 3)
    await desk.event(order, EventType.ORDER_UPDATED, "not sent")
    points = await acts.reset_points(desk.client, order.order_id)
    await acts.reset(desk.client, order.order_id, points[0])
    placed = await desk.recorded(order, Status.PLACED)
    assert [row.broker_order_id for row in desk.broker.rows.values()] == [placed.broker_order_id]
    assert (await order.cancel()).status is Status.CANCELLED


async def test_an_update_during_a_reset_is_made_and_answered(desk: Desk) -> None:
    order = await desk.resting()
    points = await acts.reset_points(desk.client, order.order_id)
    change = asyncio.create_task(order.amend(Amendment(price=Decimal(1480))))
    await acts.reset(desk.client, order.order_id, points[0])
    assert (await change).price == Decimal(1480)
    assert desk.broker.rows[desk.broker.only].price == Decimal(1480)
    assert len(desk.broker.sent) == 1
    assert (await order.cancel()).status is Status.CANCELLED


async def test_a_run_that_is_behind_the_ledger_goes_on_from_it(desk: Desk) -> None:
    """As after a restore of the server's file alone: it knows neither of the id nor of the fills."""
    order = await desk.start(*[says.wants_a_login] * 99)
    await desk.event(order, EventType.ORDER_UPDATED, "not sent")
    own = desk.broker.take(await order.now())
    desk.broker.trade(own, 4)
    known = await desk.standing(order)
    ahead = known.changed(
        status=Status.PARTIAL, broker_order_id=own, fills=desk.broker.report(own).fills, updated_at=now()
    )
    kind, status = EventType.ORDER_PARTIALLY_FILLED, Status.PARTIAL
    entry = Entry(sequence=90, type=kind, at=now(), message="as another run has seen", status=status)
    await asyncio.to_thread(record, desk.parts.database, ahead, [entry])
    await desk.event(order, EventType.ALERT, BEHIND)
    assert (await agrees(desk, order)).filled_quantity == 4
    desk.broker.trade(own, 6)
    await desk.look()
    ended = await order.result()
    assert (ended.status, ended.filled_quantity, len(ended.fills)) == (Status.FILLED, 10, 2)
    assert len(desk.broker.rows) == 1


__all__ = ["postgres", "postgresql_ledger"]
