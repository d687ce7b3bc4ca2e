"""Following: what the watch reports, in whatever order and however often, and what the order looks up itself."""

import itertools
from contextlib import suppress
from decimal import Decimal

import pytest
from temporalio.service import RPCError

from durable_orders.trading.orders.book import BookState, OrderReport
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderType, Status
from durable_orders.trading.orders.outcome import Accepted, Outcome
from tests.conftest import until
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Ahead
from tests.workflows.desk import Desk, finished, messages


async def test_partial_fills(desk: Desk) -> None:
    order = await desk.resting()
    for number, (quantity, price) in enumerate([(3, "1500.0"), (5, "1499.5"), (2, "1499.0")], 1):
        desk.broker.trade(desk.broker.only, quantity, Decimal(price))
        assert await desk.look() == 1
        if number < 3:
            await desk.recorded(order, Status.PARTIAL, [3, 8][number - 1])
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity, len(ended.fills)) == (Status.FILLED, 10, 3)
    assert ended.average_price == Decimal("1499.55")
    kinds = [event.type for event in await order.events()]
    assert kinds.count(EventType.ORDER_PARTIALLY_FILLED) == 2
    assert kinds.count(EventType.ORDER_FILLED) == 1


def reports_of_a_whole_life(desk: Desk) -> list[OrderReport]:
    order_id, seen = desk.broker.only, []
    for quantity in (3, 5, 2):
        desk.broker.trade(order_id, quantity)
        seen.append(desk.broker.report(order_id))
    return seen


@pytest.mark.parametrize("order_of_arrival", [*itertools.permutations(range(3)), (0, 0, 1, 1, 2, 2), (1, 0, 1, 0, 2)])
async def test_doubled_and_reordered_reports_change_nothing(desk: Desk, order_of_arrival: tuple[int, ...]) -> None:
    order = await desk.resting()
    reports = reports_of_a_whole_life(desk)
    with suppress(RPCError):  # it ends with the third, wherever that comes
        await desk.tell(order, *(reports[number] for number in order_of_arrival))
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    assert sorted(fill.trade_id for fill in ended.fills) == ["T1", "T2", "T3"]
    assert await desk.look() == 0, "nothing is news any more"


async def test_complete_row_whose_trades_lag_is_not_the_end(desk: Desk) -> None:
    order = await desk.resting()
    order_id = desk.broker.only
    desk.broker.trade(order_id, 4)
    desk.broker.trade_in_book(order_id, 6)
    assert desk.broker.rows[order_id].state is BookState.COMPLETE
    await desk.look()
    await desk.recorded(order, Status.PARTIAL, 4)
    desk.broker.show_trade(order_id, 6)
    assert await desk.look() == 1
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)


async def test_cancelled_row_whose_trades_lag_is_not_the_end(desk: Desk) -> None:
    order = await desk.resting()
    order_id = desk.broker.only
    desk.broker.trade_in_book(order_id, 4)
    desk.broker.end(order_id, BookState.CANCELLED)
    await desk.look()
    assert (await desk.standing(order)).status is Status.PLACED
    desk.broker.show_trade(order_id, 4)
    await desk.look()
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.CANCELLED, 4)


async def test_fill_after_the_cancel_is_booked(desk: Desk) -> None:
    order = await desk.resting()
    ended = await order.cancel()
    assert (ended.status, ended.filled_quantity) == (Status.CANCELLED, 0)
    desk.broker.trade_in_book(desk.broker.only, 6)
    desk.broker.show_trade(desk.broker.only, 6)
    await desk.look()
    late = await order.now()
    assert (late.status, late.filled_quantity) == (Status.CANCELLED, 6)
    (position,) = await desk.orders.positions()
    assert position.quantity == 6
    events = await order.events()
    assert [event.sequence for event in events] == list(range(len(events)))
    assert "reported after its end" in messages(events)
    await desk.look()
    assert await order.events() == events, "booked once"


async def test_expired(desk: Desk) -> None:
    order = await desk.resting()
    desk.broker.end(desk.broker.only, BookState.EXPIRED, "DAY: the session has ended")
    await desk.look()
    ended = await finished(desk, order)
    assert (ended.status, ended.reasons) == (Status.EXPIRED, ("DAY: the session has ended",))


async def test_looks_for_itself_when_the_watch_is_silent(desk: Desk, ahead: Ahead) -> None:
    order = await desk.resting()
    desk.broker.trade(desk.broker.only, 10)
    assert desk.broker.reads == 0
    await ahead(order, desk.parts.settings.placing.safety_interval + 1)
    ended = await finished(desk, order)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)


async def test_leaves_looking_to_a_watch_that_is_alive(desk: Desk, ahead: Ahead) -> None:
    order = await desk.resting()
    await desk.look()
    await ahead(order, 3 * desk.parts.settings.placing.safety_interval)
    assert desk.broker.reads == 1, "the watch's own"
    assert (await desk.standing(order)).status is Status.PLACED


def answers_late(broker: says.ScriptedBroker, order: Order) -> Outcome:
    return Accepted(broker_order_id=broker.only)


async def test_report_that_comes_before_the_answer(desk: Desk) -> None:
    held = says.Held(answers_late)
    order = await desk.start(held, order_type=OrderType.MARKET)
    await until(held.began.is_set)
    order_id = desk.broker.take(await desk.standing(order))
    desk.broker.trade(order_id, 10)
    await desk.tell(order, desk.broker.report(order_id))
    held.go()
    ended = await finished(desk, order)
    assert (ended.status, ended.broker_order_id, len(ended.fills)) == (Status.FILLED, order_id, 1)
