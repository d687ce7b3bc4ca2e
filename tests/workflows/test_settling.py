"""A lost answer: the broker's book is read until it tells, and nothing is ever at the broker twice."""

from datetime import timedelta
from typing import Any

import pytest

from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode, Order, OrderType, Status
from tests.conftest import until
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Ahead, Desks
from tests.workflows.desk import Desk, finished, messages, now

FUTURE = "NFO:NIFTY25MAYFUT"


async def test_lost_after_it_was_taken(desk: Desk) -> None:
    order = await desk.start(says.fills_and_loses_the_answer, order_type=OrderType.MARKET)
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    assert ended.broker_order_id == desk.broker.only
    assert len(desk.broker.sent) == 1
    events = await order.events()
    assert [event.status for event in events][1] is Status.UNKNOWN
    assert "found in the order book" in messages(events)


async def test_found_late_in_the_window(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(settle_window=60)
    desk.broker.hide(3)
    order = await desk.start(says.takes_and_loses_the_answer, order_type=OrderType.MARKET)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await ahead(order, 60)
    await desk.recorded(order, Status.PLACED)
    assert desk.broker.reads == 4
    assert len(desk.broker.sent) == 1


async def test_found_by_the_watch_before_the_order_looks_again(desks: Desks) -> None:
    desk = await desks(settle_window=3600)
    desk.broker.hide(1)
    order = await desk.start(says.takes_and_loses_the_answer)
    await until(lambda: desk.broker.reads == 1, "its own reading")
    assert await desk.look() == 1
    await desk.recorded(order, Status.PLACED)
    assert len(desk.broker.rows) == 1


async def test_limit_order_that_was_never_placed_is_sent_once_more(desk: Desk, ahead: Ahead) -> None:
    order = await desk.start(says.never_gets_it)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await ahead(order, 3)
    placed = await desk.recorded(order, Status.PLACED)
    first, second = desk.broker.sent
    assert first.tag == second.tag == desk.broker.rows[desk.broker.only].tag
    assert placed.broker_order_id == desk.broker.only
    assert "proved not to be at the broker; the order book did not show it" in messages(await order.events())


@pytest.mark.parametrize("order_type", [OrderType.MARKET, OrderType.SL_M])
async def test_order_at_the_market_is_never_sent_again(desks: Desks, ahead: Ahead, order_type: OrderType) -> None:
    desk = await desks(settle_window=60)
    trigger = {"trigger_price": "1510.0"} if order_type.has_trigger else {}
    order = await desk.start(says.never_gets_it, order_type=order_type, **trigger)
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, ended.broker_order_id) == (Status.REJECTED, None)
    assert ended.reasons[-1] == (
        "not placed: the order book did not show it in 5 readings through the settle window of 60 s"
    )
    assert len(desk.broker.sent) == 1


async def test_limit_order_is_not_sent_again_where_that_is_switched_off(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(resend_after_settle=False)
    order = await desk.start(says.never_gets_it)
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, len(desk.broker.sent)) == (Status.REJECTED, 1)
    assert "not placed" in ended.reasons[-1]


async def test_lost_every_time(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(max_retries=2)
    order = await desk.start(*[says.never_gets_it] * 9)
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, len(desk.broker.sent)) == (Status.REJECTED, 3)
    assert "not placed" in ended.reasons[-1]
    assert desk.broker.rows == {}


async def test_lost_again_but_taken_the_second_time(desk: Desk, ahead: Ahead) -> None:
    order = await desk.start(says.never_gets_it, says.takes_and_loses_the_answer)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await ahead(order, 4)
    assert (await desk.recorded(order, Status.PLACED)).broker_order_id == desk.broker.only
    assert len(desk.broker.sent) == 2


async def test_too_late_to_be_sent_again(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(settle_window=60)
    order = await desk.start(says.never_gets_it, place_by=now() + timedelta(seconds=45))
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, len(desk.broker.sent)) == (Status.REJECTED, 1)
    assert "TOO_LATE" in ended.reasons[-1]


async def test_cancelled_while_it_is_unknown_and_not_there(desk: Desk, ahead: Ahead) -> None:
    order = await desk.start(says.never_gets_it)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await desk.workflow(order).signal("cancel", "changed my mind")
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, len(desk.broker.sent)) == (Status.CANCELLED, 1)
    assert "cancelled before it was sent" in ended.reasons[-1]


async def test_cancelled_while_it_is_unknown_and_there(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(settle_window=60)
    desk.broker.hide(2)
    order = await desk.start(says.takes_and_loses_the_answer)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await desk.workflow(order).signal("cancel", "changed my mind")
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, desk.broker.cancels) == (Status.CANCELLED, [desk.broker.only])
    assert desk.broker.rows[desk.broker.only].state is BookState.CANCELLED


async def test_unreadable_book_keeps_it_unknown_and_takes_no_new_risk(desk: Desk, ahead: Ahead) -> None:
    desk.broker.unreadable = True
    order = await desk.start(says.takes_and_loses_the_answer)
    alert = await desk.event(order, EventType.ALERT)
    assert "503 from the gateway" in alert.message
    await ahead(order, 120)
    assert (await order.now()).status is Status.UNKNOWN
    assert [event.type for event in await order.events()].count(EventType.ALERT) == 1

    blocked = await finished(desk, await desk.start())
    assert blocked.status is Status.REJECTED
    assert blocked.reasons == (f"UNKNOWN_OUTSTANDING: no new risk while the outcome of {order.order_id} is unknown",)

    desk.broker.unreadable = False
    await ahead(order, 30)
    await desk.recorded(order, Status.PLACED)
    assert len(desk.broker.sent) == 1
    assert (await desk.resting()).order_id != order.order_id


async def test_only_an_unbroken_row_of_readings_proves_an_absence(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(settle_window=60)
    order = await desk.start(says.never_gets_it, order_type=OrderType.MARKET)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await ahead(order, 30)
    desk.broker.unreadable = True
    await ahead(order, 30)
    desk.broker.unreadable = False
    await ahead(order, 30)
    assert (await desk.standing(order)).status is Status.UNKNOWN
    await ahead(order)
    ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert "in 5 readings through the settle window of 60 s" in ended.reasons[-1]


async def test_trade_of_an_order_that_ended_as_not_placed_is_booked(desk: Desk, ahead: Ahead) -> None:
    order = await desk.start(says.never_gets_it, order_type=OrderType.MARKET)
    await ahead(order)
    ended = await finished(desk, order)
    desk.broker.trade(desk.broker.take(ended), 10)
    await desk.look()
    late = await order.now()
    assert (late.status, late.filled_quantity) == (Status.REJECTED, 10)
    assert "reported after its end" in messages(await order.events())


async def test_slices_that_do_not_make_up_the_order_are_counted_through_the_window(desks: Desks, ahead: Ahead) -> None:
    """Two of three are filled, and nobody knows of the third: only the window ends the order."""
    desk = await desks(mode=Mode.LIVE, settle_window=60)
    sliced: dict[str, Any] = {"symbol": FUTURE, "quantity": 225, "instructions": {"autoslice": True}}
    order = await desk.start(says.slices_and_loses_the_answer, order_type=OrderType.MARKET, **sliced)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await ahead(order, 30)
    assert desk.broker.reads > 1
    assert (await desk.standing(order)).status is Status.UNKNOWN
    await ahead(order, 60)
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity, ended.quantity) == (Status.REJECTED, 150, 225)
    assert "showed 2 slices of it, 150 of 225, in" in messages(await order.events())
    assert len(desk.broker.sent) == 1


async def test_slices_that_the_book_has_shown_are_never_proved_absent(desks: Desks, ahead: Ahead) -> None:
    """The book showed two of three and then shows none, however long: nothing is sent again, and the end stays open."""
    desk = await desks(mode=Mode.LIVE, settle_window=60)
    sliced: dict[str, Any] = {"symbol": FUTURE, "quantity": 225, "instructions": {"autoslice": True}}
    order = await desk.start(says.slices_and_loses_the_answer, **sliced)
    await desk.event(order, EventType.ORDER_UNKNOWN)
    await ahead(order, 30)
    assert desk.broker.reads > 1
    desk.broker.hide(1000)
    await ahead(order, 130)  # two windows and more
    assert (await desk.standing(order)).status is Status.UNKNOWN
    assert len(desk.broker.sent) == 1
    desk.broker.hide(0)
    await ahead(order, 120)
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.REJECTED, 150)
    assert len(desk.broker.sent) == 1


async def test_slices_of_an_order_that_the_ledger_had_forgotten_are_counted_through_the_window(
    desks: Desks, ahead: Ahead
) -> None:
    """It was restored from before the order. The book shows two of three slices, and the watch has adopted them."""
    desk = await desks(mode=Mode.LIVE, settle_window=60)
    sliced: dict[str, Any] = {"symbol": FUTURE, "quantity": 225, "instructions": {"autoslice": True}}
    intent = desk.intent(OrderType.MARKET, **sliced)
    says.slices_and_loses_the_answer(desk.broker, Order.from_intent(intent, now()))
    await desk.look()
    order = await desk.orders.place(intent)
    await desk.event(order, EventType.ALERT, "the ledger had forgotten it")
    assert (await desk.standing(order)).status is Status.UNKNOWN
    await ahead(order, 130)
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity, ended.quantity) == (Status.REJECTED, 150, 225)
    assert "showed 2 slices of it, 150 of 225, in" in messages(await order.events())
    assert not desk.broker.sent
