"""The next day: Kite's book is of one day, and what it does not show any more is never silently closed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from chaos.venue import INFY
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ledger.broker_positions import BrokerReading
from durable_orders.trading.ledger.delivery import moved_today
from durable_orders.trading.ledger.reading import unsettled_orders
from durable_orders.trading.orders.book import BrokerHolding, BrokerPosition
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderType, Product, Side, Status, Terms
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.trading.reconciliation.position_settling import held_by_ledger
from durable_orders.trading.reconciliation.positions import differences
from durable_orders.workers.components import Components
from tests.conftest import eventually
from tests.live.conftest import Desks
from tests.live.desk import FAR, Desk, at_work, story

CONTRACT_NOTE = "contract note of yesterday"


async def next_morning(desk: Desk, parts: Components) -> None:
    """The night's change of books, and the two looks, some time apart, at which an order counts as gone."""
    watch, tomorrow = parts.watch, datetime.now(UTC) + timedelta(days=1)
    rows = await watch._run(watch._broker.order_book)
    assert rows == []
    assert watch._missing.of_earlier_days([], tomorrow) == []
    await watch.report_gone(watch._missing.of_earlier_days([], tomorrow))


async def all_unknown(desk: Desk) -> list[Order]:
    async def found() -> list[Order] | None:
        orders = await desk.orders.list()
        return orders if {order.status for order in orders} == {Status.UNKNOWN} else None

    found_orders = await eventually(found, "all of them are UNKNOWN")
    assert found_orders is not None
    return found_orders


async def unsettled(desk: Desk) -> set[str]:
    return set(await desk.orders.read(lambda ledger: unsettled_orders(ledger, desk.settings.account)))


async def test_what_the_book_does_not_have_any_more_waits_for_a_human(desks: Desks) -> None:
    desk = await desks(staffed=False)
    async with at_work(desk):
        order = await desk.resting()
        (row,) = desk.at_the_broker(order)
        await desk.venue.fill(row.broker_order_id, 4, FAR)
        await desk.recorded(order, Status.PARTIAL)
        foreign = await desk.venue.place_foreign(
            Terms(symbol=INFY, side=Side.SELL, quantity=8, order_type=OrderType.LIMIT, price=Decimal(1600))
        )
        await desk.told(f"order:{desk.settings.account}:external-{foreign}", "found at the broker")
    await desk.venue.ask("POST", "next-day")
    async with at_work(desk) as parts:
        await next_morning(desk, parts)
        gone = await all_unknown(desk)
        await desk.told(order.order_id, "to be reviewed", EventType.ALERT)
        assert await unsettled(desk) == {each.order_id for each in gone}
        refused = await (await desk.place()).result()
        assert "UNKNOWN_OUTSTANDING" in " ".join(refused.reasons)

        with pytest.raises(InvalidOrder, match="a FILLED order has 10 filled, and with this it is 4"):
            await order.settle(Settlement(status=Status.FILLED, evidence=CONTRACT_NOTE))
        traded = {"quantity": 2, "price": Decimal("1399.5"), "traded_at": datetime.now(UTC) - timedelta(hours=1)}
        ended = await order.settle(Settlement(status=Status.EXPIRED, evidence=CONTRACT_NOTE, **traded))
        assert (ended.status, [fill.quantity for fill in ended.fills]) == (Status.EXPIRED, [4, 2])
        assert f"settled by hand as EXPIRED: {CONTRACT_NOTE}" in story(await order.events())
        with pytest.raises(InvalidOrder):
            await order.settle(Settlement(status=Status.CANCELLED, evidence="second thoughts"))
        external = desk.orders.handle(f"external-{foreign}")
        assert (await external.settle(Settlement(status=Status.EXPIRED, evidence=CONTRACT_NOTE))).status.terminal
        assert await unsettled(desk) == set()
        (held,) = await desk.orders.positions()
        assert held.quantity == 6
        assert (await (await desk.place()).result()).status is Status.FILLED


async def test_order_that_is_in_the_book_after_all_goes_on(desks: Desks) -> None:
    desk = await desks()
    order = await desk.resting()
    await desk.orders.client.get_workflow_handle(order.order_id).signal("gone", args=["an empty book was read", False])
    await desk.told(order.order_id, "to be reviewed", EventType.ALERT)
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 10, FAR)
    assert (await order.result()).status is Status.FILLED
    assert await unsettled(desk) == set()


async def test_order_that_ended_with_its_session_is_seen_on_the_same_day(desks: Desks) -> None:
    desk = await desks()
    order = await desk.resting()
    await desk.venue.ask("POST", "close-session")
    ended = await order.result()
    assert ended.status in (Status.EXPIRED, Status.CANCELLED)
    assert ended.filled_quantity == 0


async def test_shares_of_earlier_days_are_no_difference_of_positions(desks: Desks) -> None:
    """At Kite they are holdings, together with what was bought elsewhere."""
    desk = await desks()
    await (await desk.place(product=Product.CNC)).result()
    account, now = desk.settings.account, datetime.now(UTC)
    ours = await desk.orders.read(lambda ledger: held_by_ledger(ledger, account))
    today, tomorrow = now, now + timedelta(days=1)
    as_position = BrokerReading.of(today, [BrokerPosition(INFY, Product.CNC, 10, Decimal(1500))], [])
    as_holding = BrokerReading.of(tomorrow, [], [BrokerHolding(INFY, Product.CNC, 25, 25, Decimal(1500))])
    for moment, reading in ((today, as_position), (tomorrow, as_holding)):
        moved = await desk.orders.read(partial(moved_today, account=account, now=moment))
        assert differences(ours, moved, reading, is_of_one_day=True) == []
