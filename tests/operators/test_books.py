"""What a broker's book is worth that lags, belongs to somebody else, contradicts itself, or has rows nobody knows."""

from decimal import Decimal

import pytest

from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading.ledger.reading import unsettled_orders
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import OrderType, Side, Status, Terms
from tests.live.conftest import Desks
from tests.live.desk import FAR, LAST, Desk, at_work, eventually, story

AGES = 10_000.0
"""Seconds: as the book was so long ago, nothing had been placed."""
NOT_SHOWN = "it does not show"


async def old_copy(desk: Desk, *routes: Route) -> None:
    """From now on, readings are answered from a copy of before the day's first order."""
    await desk.venue.fault(Fault.BOOK_STALE, seconds=AGES, count=1_000_000, routes=list(routes or (Route.ORDER_BOOK,)))


async def unsettled(desk: Desk) -> set[str]:
    return set(await desk.orders.read(lambda ledger: unsettled_orders(ledger, desk.settings.account)))


@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.MARKET], ids=str)
async def test_a_copy_that_lags_proves_no_absence(desk: Desk, order_type: OrderType) -> None:
    """It lacks an order that was seen a moment ago: one whose answer was lost is neither absent nor sent again."""
    seen = await desk.resting()
    await old_copy(desk)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    lost = await desk.place(order_type, **({"price": FAR} if order_type is OrderType.LIMIT else {}))
    alert = await desk.told(lost.order_id, "the order book cannot be read", EventType.ALERT)
    assert NOT_SHOWN in alert.message
    await desk.recorded(seen, Status.UNKNOWN)  # a whole settle window is over
    await desk.alerted(NOT_SHOWN)
    before = await readings(desk)
    await eventually(lambda: more_readings(desk, before + 10), "looked at again and again")
    assert (await lost.now()).status is Status.UNKNOWN
    assert {seen.order_id, lost.order_id} <= await unsettled(desk)
    refused = await (await desk.place()).result()
    assert "UNKNOWN_OUTSTANDING" in " ".join(refused.reasons)
    assert len(desk.at_the_broker(lost)) == 1
    await desk.venue.clear()
    end = Status.PLACED if order_type is OrderType.LIMIT else Status.FILLED
    await desk.recorded(lost, end)
    await desk.recorded(seen, Status.PLACED)
    assert len(desk.at_the_broker(lost)) == 1
    assert await unsettled(desk) == set()


async def readings(desk: Desk) -> int:
    return sum((await desk.venue.tally())["requests"].get("order_book", {}).values())


async def more_readings(desk: Desk, count: int) -> bool:
    return await readings(desk) >= count


async def test_an_order_that_was_received_and_is_not_shown_is_unknown_after_the_settle_window(desk: Desk) -> None:
    await desk.venue.fault(Fault.ORDER_HIDDEN, seconds=AGES)
    order = await desk.place(price=FAR)
    placed = await order.placed(60)
    assert (placed.status, placed.broker_order_id) == (Status.PLACED, desk.at_the_broker(order)[0].broker_order_id)
    await desk.recorded(order, Status.UNKNOWN)
    await desk.told(order.order_id, f"{placed.broker_order_id} was received, and the broker's book has not shown it")
    await desk.told(order.order_id, "to be reviewed", EventType.ALERT)
    assert order.order_id in await unsettled(desk)
    await desk.alerted(NOT_SHOWN)
    await desk.venue.clear()


async def test_an_order_that_is_shown_again_goes_on(desk: Desk) -> None:
    order = await desk.resting()
    await old_copy(desk)
    await desk.recorded(order, Status.UNKNOWN)
    await desk.venue.clear()
    await desk.recorded(order, Status.PLACED)
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 10, FAR)
    assert (await order.result()).status is Status.FILLED


async def test_an_end_that_does_not_add_up_is_unknown_after_the_settle_window(desk: Desk) -> None:
    """COMPLETE in the book, and its trades stay away: nobody is told that it is filled, nor that nothing is held."""
    await old_copy(desk, Route.TRADES)
    order = await desk.place(OrderType.MARKET)
    unknown = await desk.recorded(order, Status.UNKNOWN)
    assert unknown.filled_quantity == 0
    await desk.told(
        order.order_id, "is COMPLETE in the broker's book with 10 of 10 filled, and for 2 s its trades have"
    )
    await desk.told(order.order_id, "to be reviewed", EventType.ALERT)
    refused = await (await desk.place(OrderType.MARKET, side=Side.SELL)).result()
    assert "UNKNOWN_OUTSTANDING" in " ".join(refused.reasons)
    await desk.venue.clear()
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    assert len(desk.at_the_broker(order)) == 1


async def test_an_end_that_does_not_add_up_stays_unknown_whoever_watches(desks: Desks) -> None:
    """The next watch sees the same row with new eyes: it proves no more than before."""
    desk = await desks(staffed=False)
    async with at_work(desk):
        await old_copy(desk, Route.TRADES)
        order = await desk.place(OrderType.MARKET)
        await desk.recorded(order, Status.UNKNOWN)
        await desk.told(order.order_id, "to be reviewed", EventType.ALERT)
    async with at_work(desk):
        before = await readings(desk)
        await eventually(lambda: more_readings(desk, before + 3), "watched again")
        assert (await order.now()).status is Status.UNKNOWN
        assert order.order_id in await unsettled(desk)
        await desk.venue.clear()
        assert (await order.result()).status is Status.FILLED


async def test_a_book_of_somebody_else_is_not_taken_over(desk: Desk) -> None:
    """It does not show what was received here: its rows are not taken into the ledger, and what is here is kept."""
    order = await desk.resting()
    row = desk.at_the_broker(order)[0]
    await desk.venue.fault(Fault.BOOK_STALE, seconds=AGES, count=1_000_000, routes=[Route.ORDER_BOOK])
    await desk.alerted(NOT_SHOWN)
    assert [each.client_order_id for each in await desk.orders.list()] == [order.order_id.rsplit(":", 1)[-1]]
    await desk.venue.clear()
    await desk.alerted("the order book can be read again")
    foreign = await desk.venue.place_foreign(
        Terms(symbol=row.symbol, side=Side.BUY, quantity=1, order_type=OrderType.LIMIT, price=Decimal(1400))
    )
    await desk.told(f"order:{desk.settings.account}:external-{foreign}", "found at the broker")


async def test_what_was_just_received_may_take_a_moment_to_be_shown(desk: Desk) -> None:
    """Less than a settle window, and than it takes to alarm anybody."""
    await desk.venue.fault(Fault.ORDER_HIDDEN, seconds=0.5)
    order = await desk.place(price=FAR)
    assert (await order.placed(60)).status is Status.PLACED
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 10, LAST)
    assert (await order.result()).status is Status.FILLED
    assert row.state is BookState.WORKING
    assert NOT_SHOWN not in story(await desk.events(desk.account_events))
