"""Each path that an order's life can take, played once: `tests/record_histories.py` records what becomes of it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

from durable_orders.order_handle import OrderHandle
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Amendment, OrderType, Status
from durable_orders.trading.orders.settlement import Settlement
from tests.workflows import scripted_broker as says
from tests.workflows.desk import Desk, now

Play = Callable[[Desk], Awaitable[OrderHandle]]


async def market_filled(desk: Desk) -> OrderHandle:
    return await desk.start(says.fills_at_once, order_type=OrderType.MARKET)


async def limit_filled_by_reports(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    for quantity in (4, 6):
        desk.broker.trade(desk.broker.only, quantity)
        await desk.look()
    return order


async def filled_by_its_own_look(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    desk.broker.trade(desk.broker.only, 10)
    return order


async def cancelled(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    await order.cancel()
    return order


async def cancelled_after_a_refusal(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    desk.broker.on_cancel.append(says.is_being_processed)
    await order.cancel()
    return order


async def cancelled_with_an_update(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    await desk.workflow(order).execute_update("cancel_and_wait", "by the risk desk")
    return order


async def natively_cancelled(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    await desk.workflow(order).cancel()
    return order


async def withdrawn_before_sending(desk: Desk) -> OrderHandle:
    order = await desk.start(*[says.wants_a_login] * 99)
    await desk.event(order, EventType.ORDER_UPDATED, "not sent")
    await desk.workflow(order).signal("cancel", "by hand")
    return order


async def rejected_by_the_guardian(desk: Desk) -> OrderHandle:
    return await desk.start(price=Decimal("1500.01"))


async def refused_by_the_broker(desk: Desk) -> OrderHandle:
    return await desk.start(says.refuses)


async def too_late(desk: Desk) -> OrderHandle:
    return await desk.start(*[says.wants_a_login] * 99, place_by=now() + timedelta(seconds=0.5))


async def sent_again_and_filled(desk: Desk) -> OrderHandle:
    return await desk.start(says.cannot_be_reached, says.wants_a_login, says.fills_at_once)


async def not_sent_in_all_attempts(desk: Desk) -> OrderHandle:
    return await desk.start(*[says.cannot_be_reached] * 99)


async def lost_answer_found(desk: Desk) -> OrderHandle:
    desk.broker.hide(1)
    return await desk.start(says.fills_and_loses_the_answer)


async def lost_answer_absent_and_resent(desk: Desk) -> OrderHandle:
    return await desk.start(says.never_gets_it, says.fills_at_once)


async def lost_answer_absent_and_rejected(desk: Desk) -> OrderHandle:
    return await desk.start(says.never_gets_it, order_type=OrderType.MARKET)


async def book_unreadable_for_a_while(desk: Desk) -> OrderHandle:
    desk.broker.unreadable = True
    order = await desk.start(says.fills_and_loses_the_answer)
    await desk.event(order, EventType.ALERT)
    desk.broker.unreadable = False
    return order


async def amended(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    await order.amend(Amendment(quantity=20, price=Decimal("1490.0")))
    desk.broker.on_modify.extend([says.is_being_processed])
    for refused in (Amendment(price=Decimal("1490.01")), Amendment(price=Decimal("1480.0"))):
        try:
            await order.amend(refused)
        except InvalidOrder:
            continue
    desk.broker.trade(desk.broker.only, 20)
    await desk.look()
    return order


async def expired(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    desk.broker.end(desk.broker.only, BookState.EXPIRED, "DAY: the session has ended")
    await desk.look()
    return order


async def gone_from_the_book_and_settled_by_hand(desk: Desk) -> OrderHandle:
    order = await desk.resting()
    desk.broker.trade(desk.broker.only, 4)
    await desk.look()
    await desk.workflow(order).signal("gone", args=["it was placed yesterday, and the book does not have it", False])
    await desk.event(order, EventType.ALERT)
    await order.settle(Settlement(status=Status.EXPIRED, evidence="contract note of yesterday"))
    return order


async def taken_up_from_the_ledger(desk: Desk) -> OrderHandle:
    intent = desk.intent(client_order_id="mine")
    order = await desk.orders.place(intent)
    await order.placed()
    await desk.workflow(order).terminate()
    await (await desk.orders.place(intent)).placed()
    desk.broker.trade(desk.broker.only, 10)
    await desk.look()
    return order


async def failed_as_a_duplicate(desk: Desk) -> OrderHandle:
    order = await desk.start(client_order_id="mine")
    await order.placed()
    await desk.workflow(order).terminate()
    return await desk.start(client_order_id="mine", quantity=11)


async def approved_by_a_person(desk: Desk) -> OrderHandle:
    order = await desk.start(approve=True)
    await order.placed()
    await order.approve("by user asha")
    desk.broker.trade(desk.broker.only, 10)
    await desk.look()
    return order


async def declined_by_a_person(desk: Desk) -> OrderHandle:
    order = await desk.start(approve=True)
    await order.placed()
    await order.decline("by user asha", "too large")
    return order


PATHS: tuple[Play, ...] = (
    amended,
    approved_by_a_person,
    declined_by_a_person,
    book_unreadable_for_a_while,
    cancelled,
    cancelled_after_a_refusal,
    cancelled_with_an_update,
    expired,
    failed_as_a_duplicate,
    filled_by_its_own_look,
    gone_from_the_book_and_settled_by_hand,
    limit_filled_by_reports,
    lost_answer_absent_and_rejected,
    lost_answer_absent_and_resent,
    lost_answer_found,
    market_filled,
    natively_cancelled,
    not_sent_in_all_attempts,
    refused_by_the_broker,
    rejected_by_the_guardian,
    sent_again_and_filled,
    taken_up_from_the_ledger,
    too_late,
    withdrawn_before_sending,
)
