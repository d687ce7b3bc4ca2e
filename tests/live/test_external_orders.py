"""Orders in the broker's book that no workflow of ours follows: somebody else's, twins, and late arrivals."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from chaos.venue import INFY, SBIN, Row
from durable_orders.activities.positions import PositionReader
from durable_orders.activities.reconciling import PositionReconciliation
from durable_orders.order_handle import OrderHandle
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Order, OrderType, Product, Side, Status, Terms, order_id
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from durable_orders.workers.home import ServerAddress
from tests.conftest import eventually
from tests.live.conftest import Desks
from tests.live.desk import FAR, LAST, Desk, at_work, open_desk

QUICK = {"settle_window": 1}
HIDDEN = 12.0
"""Seconds: longer than that settle window, and than a placement that is sent again after it, on a busy machine too."""


async def adopted(desk: Desk, kind: ExternalKind, broker_order_id: str, *statuses: Status) -> Order:
    """The order that the ledger keeps for that row, once it stands so."""
    own = order_id(desk.settings.account, f"{kind}-{broker_order_id}")

    async def recorded() -> Order | None:
        found = {order.order_id: order for order in await desk.orders.list()}.get(own)
        return found if found is not None and found.status in statuses else None

    found = await eventually(recorded, f"{own} {statuses}")
    assert found is not None
    return found


async def position(desk: Desk, symbol: str = INFY) -> int:
    return sum(held.quantity for held in await desk.orders.positions() if held.symbol == symbol)


async def cancels(desk: Desk) -> int:
    return sum((await desk.venue.tally())["requests"].get("cancel", {}).values())


async def test_order_of_somebody_else_is_followed_and_left_alone(desk: Desk) -> None:
    terms = Terms(symbol=INFY, side=Side.SELL, quantity=8, order_type=OrderType.LIMIT, price=Decimal(1600))
    own_id = await desk.venue.place_foreign(terms)
    found = await adopted(desk, ExternalKind.EXTERNAL, own_id, Status.PLACED)
    assert (found.strategy, found.side, found.quantity, found.price) == ("external", Side.SELL, 8, Decimal(1600))
    (event,) = await desk.events(found.order_id)
    assert event.type is EventType.ALERT
    assert "found at the broker, not placed by this system" in event.message
    await desk.venue.fill(own_id, 3, Decimal(1600))
    await adopted(desk, ExternalKind.EXTERNAL, own_id, Status.PARTIAL)
    await desk.venue.fill(own_id, 5, Decimal(1601))
    ended = await adopted(desk, ExternalKind.EXTERNAL, own_id, Status.FILLED)
    assert ended.average_price == Decimal("1600.6250")
    assert await position(desk) == -8
    assert await cancels(desk) == 0


async def test_order_of_somebody_else_beside_ours(desk: Desk) -> None:
    await desk.venue.fault(Fault.FOREIGN_ORDER)
    order = await desk.place(OrderType.MARKET)
    assert (await order.result()).status is Status.FILLED
    (foreign,) = (await desk.venue.tally())["foreign"]
    await adopted(desk, ExternalKind.EXTERNAL, foreign, Status.FILLED)
    assert await position(desk) == 11
    assert await cancels(desk) == 0


@dataclass
class Hidden:
    """Orders that the broker took and hid for longer than the settle window, while their answers were lost."""

    desk: Desk
    resting: OrderHandle
    marketable: OrderHandle
    at_market: OrderHandle
    without_a_price: OrderHandle
    """At the market, of a symbol that nobody has traded yet: it waits for a price."""


@pytest.fixture(scope="module")
async def hidden(temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hidden]:
    """All four at once, since their waits are what takes time."""
    async with open_desk(temporal_server, tmp_path_factory.mktemp("hidden"), live=QUICK) as desk, at_work(desk):

        async def placed(*arguments: Any, **terms: Any) -> OrderHandle:
            await desk.venue.fault(Fault.ORDER_HIDDEN, seconds=HIDDEN)
            await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
            order = await desk.place(*arguments, **terms)
            assert await eventually(lambda: taken(desk, order))
            return order

        yield Hidden(
            desk,
            resting=await placed(price=FAR),
            marketable=await placed(),
            at_market=await placed(OrderType.MARKET),
            without_a_price=await placed(OrderType.MARKET, symbol=SBIN),
        )


async def taken(desk: Desk, order: OrderHandle) -> list[Row]:
    return desk.at_the_broker(order)


async def test_twin_that_works_is_cancelled(hidden: Hidden) -> None:
    desk, order = hidden.desk, hidden.resting
    await desk.recorded(order, Status.PLACED)
    first, second = desk.at_the_broker(order)
    assert (await order.now()).broker_order_id == second.broker_order_id
    twin = await adopted(desk, ExternalKind.DUPLICATE, first.broker_order_id, Status.CANCELLED)
    alert = await desk.told(twin.order_id, f"a second order with the tag of {order.order_id}", EventType.ALERT)
    assert "it is cancelled, and booked if it filled" in alert.message
    assert [row.state for row in desk.at_the_broker(order)] == [BookState.CANCELLED, BookState.WORKING]
    assert (await order.now()).status is Status.PLACED
    assert (await order.cancel(timeout=60)).status is Status.CANCELLED


async def test_twin_that_filled_is_booked(hidden: Hidden) -> None:
    desk, order = hidden.desk, hidden.marketable
    ended = await order.result()
    first, second = desk.at_the_broker(order)
    assert (ended.status, ended.broker_order_id) == (Status.FILLED, second.broker_order_id)
    twin = await adopted(desk, ExternalKind.DUPLICATE, first.broker_order_id, Status.FILLED)
    assert (twin.filled_quantity, twin.average_price) == (10, LAST)
    assert EventType.ALERT in {event.type for event in await desk.events(twin.order_id)}


async def test_late_arrival_that_filled_is_booked(hidden: Hidden) -> None:
    desk, order = hidden.desk, hidden.at_market
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.REJECTED, 0)
    (row,) = desk.at_the_broker(order)
    alert = await desk.told(order.order_id, f"the broker took it after all, as {row.broker_order_id}")
    assert alert.type is EventType.ALERT
    assert "10 filled at 1500" in alert.message
    booked = await order.now()
    assert (booked.status, booked.filled_quantity, booked.fills[0].price) == (Status.REJECTED, 10, LAST)


async def test_late_arrival_that_works_is_cancelled(hidden: Hidden) -> None:
    desk, order = hidden.desk, hidden.without_a_price
    assert (await order.result()).status is Status.REJECTED
    await desk.told(order.order_id, "the broker took it after all", EventType.ALERT)

    async def gone() -> bool:
        return [row.state for row in desk.at_the_broker(order)] == [BookState.CANCELLED]

    assert await eventually(gone)


async def test_all_that_filled_while_hidden_is_in_the_positions(hidden: Hidden) -> None:
    """The marketable order and its twin, and the one at the market."""

    async def booked() -> bool:
        return await position(hidden.desk) == 30

    assert await eventually(booked)


async def test_unwanted_order_is_cancelled_until_it_is_gone_whatever_that_takes(desks: Desks) -> None:
    """The first request for it is lost, and the second meets a fill: nobody else would have asked again."""
    desk = await desks(live=QUICK)
    await desk.venue.fault(Fault.ORDER_HIDDEN, seconds=HIDDEN)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, routes=["cancel"])
    await desk.venue.fault(Fault.FILL_DURING_CANCEL)
    order = await desk.place(price=FAR)
    await desk.recorded(order, Status.PLACED)
    first, _ = desk.at_the_broker(order)
    twin = await adopted(desk, ExternalKind.DUPLICATE, first.broker_order_id, Status.FILLED)
    assert (twin.filled_quantity, twin.average_price) == (10, FAR)
    assert await position(desk) == 10
    assert (await desk.venue.struck(Fault.SERVICE_UNAVAILABLE)) == 1
    await order.cancel(timeout=60)


async def test_difference_of_positions_is_reported_once(desks: Desks) -> None:
    desk = await desks(staffed=False)
    async with at_work(desk) as parts:
        await (await desk.place(OrderType.MARKET)).result()
        account = Account(desk.settings.account)
        reader = PositionReader(account, parts.watch._broker, parts.database)
        positions = PositionReconciliation(
            account, parts.database, reader, is_of_one_day=True, window=0.0, interval=1.0
        )
        for _ in range(2):
            await asyncio.to_thread(positions.reconcile)
        assert await desk.alerts() == []
    elsewhere = Terms(symbol=INFY, side=Side.SELL, quantity=4, product=Product.NRML)
    await desk.venue.place_foreign(elsewhere)
    for expected in (0, 1, 1):
        await asyncio.to_thread(positions.reconcile)
        differing = [words for words in await desk.alerts() if "positions differ" in words]
        assert len(differing) == expected
    assert f"{INFY} NRML: 0 in the ledger, -4 at the broker (likely: external order)" in differing[0]
