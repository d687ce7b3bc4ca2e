"""Amending: the guardian checks the change, the broker takes it or not, and the book tells the terms."""

import asyncio
from decimal import Decimal

import pytest

from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.errors import InvalidOrder, UnknownError
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, OrderType, Status
from durable_orders.trading.orders.outcome import Outcome
from tests.conftest import until
from tests.workflows import scripted_broker as says
from tests.workflows.desk import Desk, finished, messages

LOWER = Amendment(price=Decimal("1490.0"))


async def test_all_that_can_be_changed(desk: Desk) -> None:
    order = await desk.resting()
    change = Amendment(quantity=25, price=Decimal("1495.0"), trigger_price=Decimal("1490.0"), order_type=OrderType.SL)
    amended = await order.amend(change)
    assert (amended.status, amended.quantity, amended.price) == (Status.PLACED, 25, Decimal("1495.0"))
    assert (amended.trigger_price, amended.order_type) == (Decimal("1490.0"), OrderType.SL)
    assert await order.now() == amended
    desk.broker.trade(desk.broker.only, 25)
    await desk.look()
    assert (await finished(desk, order)).filled_quantity == 25


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Amendment(price=Decimal("1490.03")), "TICK_SIZE: prices must be multiples of the tick of 0.1"),
        (Amendment(trigger_price=Decimal("1490.0")), "INVALID_TERMS"),
    ],
)
async def test_not_let_through_by_the_guardian(desk: Desk, change: Amendment, reason: str) -> None:
    order = await desk.resting()
    with pytest.raises(InvalidOrder, match=reason):
        await order.amend(change)
    assert desk.broker.changes == []
    assert (await order.now()).price == Decimal("1500.0")


async def test_refused_by_the_broker(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.on_modify.append(says.is_being_processed)
    with pytest.raises(InvalidOrder, match=r"not done: Order cannot be .* being processed"):
        await order.amend(LOWER)
    assert (await order.now()).price == Decimal("1500.0")
    assert "amendment (price 1490.0) not done" in messages(await order.events())


async def test_filled_meanwhile(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.on_modify.append(says.is_filled_first)
    with pytest.raises(InvalidOrder):
        await order.amend(LOWER)
    ended = await finished(desk, order)
    assert (ended.status, ended.price) == (Status.FILLED, Decimal("1500.0"))


def makes_the_change_and_loses_the_reply(broker: says.ScriptedBroker, order_id: BrokerOrderId) -> Outcome:
    broker.update(order_id, price=LOWER.price)
    return says.loses_the_reply(broker, order_id)


async def test_lost_answer_is_found_in_the_book(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.on_modify.append(makes_the_change_and_loses_the_reply)
    assert (await order.amend(LOWER)).price == LOWER.price
    assert len(desk.broker.changes) == 1


async def test_lost_answer_is_never_called_a_refusal(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.on_modify.append(says.loses_the_reply)
    with pytest.raises(UnknownError, match="may still be made"):
        await order.amend(LOWER)
    desk.broker.update(desk.broker.only, price=LOWER.price)
    await desk.look()
    assert (await desk.standing(order)).price == LOWER.price


async def test_two_at_once_are_made_one_after_the_other(desk: Desk) -> None:
    order = await desk.resting()
    more = Amendment(quantity=20)
    await asyncio.gather(order.amend(LOWER), order.amend(more))
    amended = await order.now()
    assert (amended.price, amended.quantity) == (LOWER.price, 20)
    assert len(desk.broker.changes) == 2


async def test_raced_by_a_cancel(desk: Desk) -> None:
    order = await desk.resting()
    cancelled, amended = await asyncio.gather(order.cancel(), order.amend(LOWER), return_exceptions=True)
    ended = await finished(desk, order)
    assert ended.status is Status.CANCELLED
    assert cancelled == ended
    assert isinstance(amended, InvalidOrder) or ended.price == LOWER.price
    assert desk.broker.rows[desk.broker.only].state is BookState.CANCELLED


async def test_in_flight_waits_for_the_order(desk: Desk) -> None:
    held = says.Held(says.takes)
    order = await desk.start(held)
    await until(held.began.is_set)
    amending = asyncio.create_task(order.amend(LOWER))
    held.go()
    assert (await amending).price == LOWER.price
    assert desk.broker.rows[desk.broker.only].price == LOWER.price


async def test_of_an_order_that_is_then_refused(desk: Desk) -> None:
    held = says.Held(says.refuses)
    order = await desk.start(held)
    await until(held.began.is_set)
    amending = asyncio.create_task(order.amend(LOWER))
    held.go()
    with pytest.raises(InvalidOrder, match="has ended: REJECTED"):
        await amending
    await finished(desk, order)


async def test_after_the_end(desk: Desk) -> None:
    order = await desk.start(says.fills_at_once)
    await finished(desk, order)
    with pytest.raises(InvalidOrder, match="has ended: FILLED"):
        await order.amend(LOWER)


def test_the_scripted_broker_is_a_broker() -> None:
    broker: Broker = says.ScriptedBroker()
    assert broker.order_book() == []
