"""Placing: each of the five outcomes, and the deadline."""

from datetime import timedelta

from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode, OrderType, Status
from durable_orders.workers.worker import workers
from tests.conftest import until
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Ahead, Desks
from tests.workflows.desk import Desk, at_work, finished, messages, now


async def test_filled_at_once(desk: Desk) -> None:
    order = await finished(desk, await desk.start(says.fills_at_once, order_type=OrderType.MARKET))
    assert (order.status, order.filled_quantity, order.average_price) == (Status.FILLED, 10, says.PRICE)
    assert order.broker_order_id == desk.broker.only


async def test_all_reasons_of_the_guardian_and_nothing_sent(desk: Desk) -> None:
    order = await finished(desk, await desk.start(symbol="NFO:NIFTY25MAYFUT", price="24000.01", quantity=10))
    assert order.status is Status.REJECTED
    assert [reason.split(":")[0] for reason in order.reasons] == ["LOT_SIZE", "TICK_SIZE"]
    assert desk.broker.sent == []


async def test_refused_by_the_broker_in_its_own_words(desk: Desk) -> None:
    order = await finished(desk, await desk.start(says.refuses))
    assert (order.status, order.broker_order_id) == (Status.REJECTED, None)
    assert order.reasons == ("refused by the broker: Insufficient funds (400 MarginException)",)
    assert len(desk.broker.sent) == 1


async def test_accepted_and_rejected_later(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.end(desk.broker.only, BookState.REJECTED, "RMS: margin exceeds")
    assert await desk.look() == 1
    ended = await finished(desk, order)
    assert (ended.status, ended.reasons) == (Status.REJECTED, ("RMS: margin exceeds",))


async def test_not_sent_is_sent_again_ever_more_slowly(desk: Desk, ahead: Ahead) -> None:
    order = await desk.start(*[says.cannot_be_reached] * 3)
    await desk.event(order, EventType.ORDER_UPDATED, "not sent: connection refused")
    await ahead(order, 1 + 2 + 4)
    placed = await desk.recorded(order, Status.PLACED)
    assert len(desk.broker.sent) == 4
    assert desk.broker.only == placed.broker_order_id
    events = await order.events()
    assert events[-1].at - events[0].at >= timedelta(seconds=1 + 2 + 4)


async def test_not_sent_in_all_attempts(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(max_retries=2)
    order = await desk.start(*[says.cannot_be_reached] * 9)
    await ahead(order)
    ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert ended.reasons[-1] == "not sent in 3 attempts: connection refused (ConnectError)"
    assert len(desk.broker.sent) == 3


async def test_waits_for_a_login_however_often_it_has_to_ask(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(max_retries=0)
    order = await desk.start(*[says.wants_a_login] * 6)
    await desk.event(order, EventType.ORDER_UPDATED, "TokenException")
    await ahead(order, 1 + 2 + 4 + 8 + 16 + 30)
    await desk.recorded(order, Status.PLACED)
    assert len(desk.broker.sent) == 7
    assert len(desk.broker.rows) == 1


async def test_no_login_before_the_deadline(desk: Desk, ahead: Ahead) -> None:
    order = await desk.start(*[says.wants_a_login] * 9, order_type=OrderType.MARKET)
    await ahead(order)
    ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert ended.reasons[-1].startswith("TOO_LATE: not sent before")
    assert len(desk.broker.sent) == 5, "after 1, 2, 4 and 8 seconds; the next would be past the 30 of a MARKET order"
    assert desk.broker.rows == {}


async def test_deadline_passed_while_nobody_could_be_reached(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(max_retries=100)
    order = await desk.start(*[says.cannot_be_reached] * 99, place_by=now() + timedelta(seconds=20))
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, ended.broker_order_id) == (Status.REJECTED, None)
    assert "TOO_LATE" in ended.reasons[-1]
    assert desk.broker.rows == {}


async def test_deadline_passed_before_any_worker_came(desks: Desks) -> None:
    desk = await desks(staffed=False)
    deadline = now() + timedelta(milliseconds=50)
    order = await desk.start(place_by=deadline)
    assert (await order.now()).status is Status.PENDING
    await until(lambda: now() > deadline)
    async with at_work(desk):
        ended = await finished(desk, order)
    assert (ended.status, len(ended.reasons)) == (Status.REJECTED, 1)
    assert ended.reasons[0].startswith("TOO_LATE: its deadline passed")
    assert desk.broker.sent == []


async def test_no_worker_for_the_broker_before_the_deadline(desks: Desks) -> None:
    desk = await desks(staffed=False, mode=Mode.LIVE, retry_delay=0.05)
    order = await desk.start(place_by=now() + timedelta(seconds=3))
    orders, _ = workers(desk.client, desk.parts)
    async with orders:
        ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert ended.reasons[0] == "not sent: no worker took it in time"
    assert "TOO_LATE" in ended.reasons[-1]
    assert desk.broker.sent == []


async def test_each_order_is_told_in_sentences(desk: Desk) -> None:
    order = await desk.start(says.fills_at_once, reason="the trend is our friend")
    ended = await finished(desk, order)
    assert ended.reason == "the trend is our friend"
    assert messages(await order.events()) == (
        "BUY 10 NSE:INFY LIMIT 1500.0 MIS\n"
        f"working at the broker as {desk.broker.only}\n"
        "10 filled at 1500, 10 of 10 in all"
    )
