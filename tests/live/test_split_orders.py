"""Iceberg and autoslice: several orders at Kite, one workflow and one row of the ledger, whatever happens on the way.

The sandbox tags only the first of them, which is the harder case: the others are known by their parent alone.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chaos.venue import INFY, Row
from durable_orders.order_handle import OrderHandle
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Amendment, Order, OrderType, Status
from durable_orders.verify import verify_home
from durable_orders.workers.home import ServerAddress
from tests.conftest import until
from tests.crashes.processes import killed_itself, running
from tests.live.conftest import Desks
from tests.live.crashing_worker import Point
from tests.live.desk import FAR, LAST, Desk, at_work, open_desk, story

NIFTY = "NFO:NIFTY25MAYFUT"
STANDS, BELOW = Decimal(24400), Decimal(24300)
SLICE = 24 * 75
"""The freeze quantity of the sandbox."""
BIG = 2 * SLICE + 150


@pytest.fixture(scope="module")
async def desk(temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    path = tmp_path_factory.mktemp("split")
    async with open_desk(temporal_server, path, sandbox={"tags_parts": False}) as desk, at_work(desk):
        await desk.venue.tick(STANDS, NIFTY)
        yield desk


@pytest.fixture(autouse=True)
async def nothing_strange(desk: Desk) -> AsyncIterator[None]:
    """Nothing is adopted, and nothing is left working or differs from the broker's positions."""
    await desk.venue.tick(LAST, INFY)
    await desk.venue.tick(STANDS, NIFTY)
    yield
    await desk.venue.clear()
    assert {order.strategy for order in await desk.orders.list()} <= {"manual"}
    assert [row for row in desk.venue.rows() if row.state is BookState.WORKING] == []
    theirs = {(row["tradingsymbol"], row["quantity"]) for row in await desk.venue.positions() if row["quantity"]}
    ours = {(held.symbol.partition(":")[2], held.quantity) for held in await desk.orders.positions() if held.quantity}
    assert ours == theirs


async def iceberg(desk: Desk, **terms: Any) -> OrderHandle:
    """BUY 25 INFY in legs of 10, 10 and 5."""
    usual: dict[str, Any] = {"quantity": 25, "instructions": {"iceberg_legs": 3, "iceberg_quantity": 10}}
    return await desk.place(**usual | terms)


async def sliced(desk: Desk, order_type: OrderType = OrderType.LIMIT, **terms: Any) -> OrderHandle:
    """BUY 3750 of the future: two slices of 1800 and one of 150."""
    usual: dict[str, Any] = {"symbol": NIFTY, "quantity": BIG, "instructions": {"autoslice": True}}
    return await desk.place(order_type, **usual | ({"price": STANDS} if order_type is OrderType.LIMIT else {}) | terms)


def parts(desk: Desk, order: OrderHandle, count: int) -> list[Row]:
    """The rows at the exchange of the order that was placed last."""
    rows = desk.venue.rows()
    first = next(index for index, row in enumerate(rows) if row in desk.at_the_broker(order))
    found = rows[first:]
    assert len(found) == count, found
    return found


async def test_legs_fill_one_after_the_other(desk: Desk) -> None:
    order = await iceberg(desk, price=FAR)
    placed = await order.placed(60)
    await desk.venue.fill(str(placed.broker_order_id), 10, FAR)
    assert (await desk.recorded(order, Status.PARTIAL)).filled_quantity == 10
    await desk.venue.tick(FAR - 1)
    ended = await order.result()
    rows = parts(desk, order, 3)
    assert (ended.status, ended.quantity, ended.filled_quantity) == (Status.FILLED, 25, 25)
    assert placed.broker_order_id == ended.broker_order_id == rows[0].broker_order_id
    assert len({fill.trade_id for fill in ended.fills}) == len(ended.fills) >= 3


async def test_slices_fill_at_their_own_prices(desk: Desk) -> None:
    order = await sliced(desk, price=BELOW)
    await order.placed(60)
    first, second, third = parts(desk, order, 3)
    for row, price in ((third, 24290), (first, 24295), (second, 24300)):
        await desk.venue.fill(row.broker_order_id, row.quantity, Decimal(price))
    ended = await order.result()
    value = 150 * 24290 + SLICE * (24295 + 24300)
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, BIG)
    assert ended.average_price == (Decimal(value) / BIG).quantize(Decimal("0.0001"))
    assert ended.broker_order_id == first.broker_order_id
    assert set(ended.slices) == {row.broker_order_id for row in (first, second, third)}


@pytest.mark.parametrize("kind", [Fault.ACCEPT_THEN_DROP, Fault.ACCEPT_THEN_504, Fault.EMPTY_BODY], ids=str)
async def test_lost_answers_are_found_in_the_book(desk: Desk, kind: Fault) -> None:
    for place, count, quantity in ((iceberg, 3, 25), (sliced, 3, BIG)):
        await desk.venue.fault(kind)
        order = await place(desk)
        ended = await order.result()
        assert (ended.status, ended.filled_quantity) == (Status.FILLED, quantity)
        assert ended.broker_order_id == parts(desk, order, count)[0].broker_order_id
        told = story(await order.events())
        assert "answer lost after sending" in told
        assert f"found in the order book as {ended.broker_order_id}" in told


async def test_the_first_slice_alone_proves_nothing(desk: Desk) -> None:
    """All that the book shows is COMPLETE, and it is not all that there is."""
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    await desk.venue.fault(Fault.ORDER_HIDDEN, seconds=0.01)
    await desk.venue.fault(Fault.ORDER_HIDDEN, seconds=1.5, count=2)
    order = await sliced(desk, OrderType.MARKET)
    found = await desk.told(order.order_id, "found in the order book")
    assert found.status is Status.UNKNOWN
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, BIG)
    assert "no more were taken" not in story(await order.events())


async def test_a_slice_that_is_refused_is_told_and_never_sent_again(desk: Desk) -> None:
    await desk.venue.fault(Fault.SLICE_REFUSED, message="no margin for this one")
    order = await sliced(desk, price=BELOW)
    await desk.told(order.order_id, "1 of 3 slices refused by the broker: no margin for this one (400 MarginException)")
    assert (await desk.recorded(order, Status.PLACED)).quantity == BIG
    await desk.venue.tick(BELOW, NIFTY)
    ended = await order.result()
    assert (ended.status, ended.quantity, ended.filled_quantity) == (Status.REJECTED, BIG, SLICE + 150)
    parts(desk, order, 2)


async def test_a_refused_slice_and_a_lost_answer_take_the_settle_window(desk: Desk) -> None:
    await desk.venue.fault(Fault.SLICE_REFUSED)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    order = await sliced(desk)
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.REJECTED, SLICE + 150)
    assert f"showed 2 slices of it, {SLICE + 150} of {BIG}" in story(await order.events())
    parts(desk, order, 2)


async def test_a_slice_that_is_rejected_later(desk: Desk) -> None:
    words = "RMS:Margin Exceeds,Required:15000.00, Available:0.00"
    await desk.venue.fault(Fault.REJECTED_LATER, message=words)
    order = await sliced(desk)
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.REJECTED, SLICE + 150)
    assert f"1 of 3 parts REJECTED: {words}" in story(await order.events())


async def test_a_cancel_reaches_every_slice_that_works(desk: Desk) -> None:
    order = await sliced(desk, price=BELOW)
    await order.placed(60)
    _, second, _ = parts(desk, order, 3)
    await desk.venue.fill(second.broker_order_id, SLICE, BELOW)
    await desk.recorded(order, Status.PARTIAL)
    ended = await order.cancel(timeout=60)
    assert (ended.status, ended.filled_quantity, ended.average_price) == (Status.CANCELLED, SLICE, BELOW)
    states = [row.state for row in parts(desk, order, 3)]
    assert states == [BookState.CANCELLED, BookState.COMPLETE, BookState.CANCELLED]


async def test_a_cancel_ends_an_iceberg_at_the_leg_that_works(desk: Desk) -> None:
    order = await iceberg(desk, price=FAR)
    first = (await order.placed(60)).broker_order_id
    await desk.venue.fill(str(first), 10, FAR)
    await until(lambda: len(desk.venue.rows()) > 1 and desk.venue.rows()[-1].state is BookState.WORKING)
    ended = await order.cancel(timeout=60)
    assert (ended.status, ended.filled_quantity) == (Status.CANCELLED, 10)
    assert [row.state for row in parts(desk, order, 2)] == [BookState.COMPLETE, BookState.CANCELLED]


async def test_they_are_not_amended(desk: Desk) -> None:
    order = await iceberg(desk, price=FAR)
    await order.placed(60)
    with pytest.raises(InvalidOrder, match="SPLIT_ORDER"):
        await order.amend(Amendment(quantity=30))
    await order.cancel(timeout=60)


async def test_what_cannot_be_split_is_refused_before_it_is_sent(desk: Desk) -> None:
    shares = await (await desk.place(quantity=25, instructions={"autoslice": True})).result()
    legs = {"iceberg_legs": 2, "iceberg_quantity": 100}
    odd = await (await sliced(desk, quantity=150, instructions=legs)).result()
    assert "AUTOSLICE_NOT_APPLICABLE" in " ".join(shares.reasons)
    assert "ICEBERG_LOT" in " ".join(odd.reasons)


async def test_verify_finds_histories_ledger_and_kite_of_one_mind(desk: Desk) -> None:
    """All that was placed here so far, and a family that works, with a slice refused and another filled."""
    await desk.venue.fault(Fault.SLICE_REFUSED)
    order = await sliced(desk, price=BELOW)
    first = (await order.placed(60)).broker_order_id
    await desk.venue.fill(str(first), SLICE, BELOW)
    await desk.recorded(order, Status.PARTIAL)
    findings = await verify_home(desk.orders, desk.home)
    assert findings.differences == ()
    await order.cancel(timeout=60)
    assert (await verify_home(desk.orders, desk.home)).differences == ()


async def test_other_workers_take_over_in_the_middle(desks: Desks) -> None:
    """The first ones leave, a leg and a slice fill, and the next ones find all of it."""
    desk = await desks(staffed=False)
    await desk.venue.tick(STANDS, NIFTY)
    async with at_work(desk):
        legs, slices = await iceberg(desk, price=FAR), await sliced(desk, price=BELOW)
        first = [(await order.placed(60)).broker_order_id for order in (legs, slices)]
    await desk.venue.fill(str(first[0]), 10, FAR)
    await desk.venue.fill(str(first[1]), SLICE, BELOW)
    async with at_work(desk):
        for order, filled in ((legs, 10), (slices, SLICE)):
            assert (await desk.recorded(order, Status.PARTIAL)).filled_quantity == filled
            ended = await order.cancel(timeout=60)
            assert (ended.status, ended.filled_quantity) == (Status.CANCELLED, filled)
    assert {order.strategy for order in await desk.orders.list()} == {"manual"}
    assert [row for row in desk.venue.rows() if row.state is BookState.WORKING] == []


Place = Callable[..., Awaitable[OrderHandle]]


async def killed(server: ServerAddress, path: Path, point: Point, place: Place, **terms: Any) -> Order:
    """The end of an order whose worker was killed there."""
    async with open_desk(server, path, sandbox={"tags_parts": False}) as desk:
        await desk.venue.tick(STANDS, NIFTY)
        words = (sys.executable, "-m", "tests.live.crashing_worker", str(desk.home.path), point)
        with running(desk.home, *words) as process:
            order = await place(desk, **terms)
            if point is Point.AFTER_CANCEL:
                await order.placed(60)
                await desk.orders.client.get_workflow_handle(order.order_id).signal("cancel")
            await killed_itself(process, desk.home)
        async with at_work(desk):
            ended = await order.result()
        assert len(parts(desk, order, 3)) == len(desk.venue.rows())
        assert {order.strategy for order in await desk.orders.list()} == {"manual"}
        assert not [row for row in desk.venue.rows() if row.state is BookState.WORKING]
        return ended


async def test_a_worker_that_is_killed_changes_nothing(
    temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Side by side: most of it is waiting for the server to notice."""
    cases: tuple[tuple[Point, Place, dict[str, Any]], ...] = (
        (Point.AFTER_PLACE, iceberg, {}),
        (Point.AFTER_PLACE, sliced, {}),
        (Point.AFTER_CANCEL, sliced, {"price": BELOW}),
    )
    ends = await asyncio.gather(
        *(
            killed(temporal_server, tmp_path_factory.mktemp("killed"), point, place, **terms)
            for point, place, terms in cases
        )
    )
    assert [(ended.status, ended.filled_quantity) for ended in ends] == [
        (Status.FILLED, 25),
        (Status.FILLED, BIG),
        (Status.CANCELLED, 0),
    ]
