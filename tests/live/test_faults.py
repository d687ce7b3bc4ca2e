"""Each fault of the sandbox against LIMIT and MARKET orders: the right end, one order at the broker, told in words."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from chaos.account import TIMEOUT
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Amendment, OrderType, Status
from durable_orders.workers.home import ServerAddress
from tests.conftest import eventually
from tests.live.desk import FAR, LAST, Desk, at_work, open_desk, story

LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
LOST, FOUND = "answer lost after sending: ", "found in the order book"
both = pytest.mark.parametrize("order_type", [LIMIT, MARKET], ids=str)


@pytest.fixture(scope="module")
async def desk(temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """One for all the orders here: what befalls one must not harm the next."""
    async with open_desk(temporal_server, tmp_path_factory.mktemp("faults")) as desk, at_work(desk):
        yield desk


@pytest.fixture(scope="module")
async def hasty(temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """One that does not wait long for an answer."""
    path = tmp_path_factory.mktemp("late")
    async with open_desk(temporal_server, path, kite={"timeout": TIMEOUT}) as desk, at_work(desk):
        yield desk


@dataclass(frozen=True)
class Case:
    """What befalls a placement, and what is told of it."""

    kind: Fault
    words: str
    rule: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.kind.value


ANSWER_LOST = [
    Case(Fault.ACCEPT_THEN_DROP, "the connection failed or was dropped"),
    Case(Fault.ACCEPT_THEN_504, "the reply cannot be understood (504 DataException)"),
    Case(Fault.ACCEPT_THEN_500, "Gateway timed out (500 NetworkException)"),
    Case(Fault.EMPTY_BODY, "the reply cannot be understood (200 DataException)"),
    Case(Fault.NO_ERROR_TYPE, "Internal server error (500"),
    Case(Fault.SUCCESS_WITH_500, "the reply cannot be read (500)"),
]
ANSWER_LATE = Case(Fault.ACCEPT_THEN_LATE, "no answer within the time limit", {"seconds": 2 * TIMEOUT})
NEVER_ARRIVED = [
    Case(Fault.REFUSE_CONNECTION, "the connection failed or was dropped"),
    Case(Fault.SERVICE_UNAVAILABLE, "Request failed (kitetrade-oms) (503 NetworkException)"),
]


@both
@pytest.mark.parametrize("case", ANSWER_LOST, ids=str)
async def test_lost_answer_is_found_in_the_book(desk: Desk, case: Case, order_type: OrderType) -> None:
    await is_found_in_the_book(desk, case, order_type)


@both
async def test_answer_that_is_too_late_is_found_in_the_book(hasty: Desk, order_type: OrderType) -> None:
    await is_found_in_the_book(hasty, ANSWER_LATE, order_type)


async def is_found_in_the_book(desk: Desk, case: Case, order_type: OrderType) -> None:
    await desk.venue.fault(case.kind, **case.rule)
    order = await desk.place(order_type)
    ended = await order.result()
    (row,) = desk.at_the_broker(order)
    assert (ended.status, ended.broker_order_id) == (Status.FILLED, row.broker_order_id)
    told = story(await order.events())
    assert f"{LOST}{case.words}" in told
    assert re.search(f"{FOUND}.* as {row.broker_order_id}", told)


@pytest.mark.parametrize("case", NEVER_ARRIVED, ids=str)
async def test_limit_that_never_arrived_is_sent_again(desk: Desk, case: Case) -> None:
    await desk.venue.fault(case.kind)
    order = await desk.place(LIMIT)
    ended = await order.result()
    assert ended.status is Status.FILLED
    assert len(desk.at_the_broker(order)) == 1
    told = story(await order.events())
    assert f"{LOST}{case.words}" in told
    assert "proved not to be at the broker; the order book did not show it in" in told


@pytest.mark.parametrize("case", NEVER_ARRIVED, ids=str)
async def test_market_that_never_arrived_is_not_sent_again(desk: Desk, case: Case) -> None:
    await desk.venue.fault(case.kind)
    order = await desk.place(MARKET)
    ended = await order.result()
    assert (ended.status, ended.broker_order_id) == (Status.REJECTED, None)
    assert desk.at_the_broker(order) == []
    told = story(await order.events())
    assert f"{LOST}{case.words}" in told
    assert "not placed: the order book did not show it in" in told


@both
async def test_too_many_requests_means_not_sent(desk: Desk, order_type: OrderType) -> None:
    await desk.venue.fault(Fault.TOO_MANY_REQUESTS)
    order = await desk.place(order_type)
    assert (await order.result()).status is Status.FILLED
    assert len(desk.at_the_broker(order)) == 1
    assert "not sent: Too many requests (429 NetworkException)" in story(await order.events())


@both
async def test_refusal_ends_the_order_in_the_brokers_words(desk: Desk, order_type: OrderType) -> None:
    words = f"Insufficient funds for this {order_type} order."
    await desk.venue.fault(Fault.REFUSED, http_status=400, error_type="MarginException", message=words)
    order = await desk.place(order_type)
    ended = await order.result()
    assert ended.status is Status.REJECTED
    assert desk.at_the_broker(order) == []
    assert f"refused by the broker: {words} (400 MarginException)" in story(await order.events())


@both
async def test_rejection_after_the_receipt(desk: Desk, order_type: OrderType) -> None:
    words = "RMS:Margin Exceeds,Required:15000.00, Available:0.00"
    await desk.venue.fault(Fault.REJECTED_LATER, message=words)
    order = await desk.place(order_type)
    ended = await order.result()
    (row,) = desk.at_the_broker(order)
    assert (ended.status, ended.broker_order_id, ended.filled_quantity) == (Status.REJECTED, row.broker_order_id, 0)
    assert words in story(await order.events())


@both
async def test_unreadable_book_keeps_it_unknown_and_takes_no_new_risk(desk: Desk, order_type: OrderType) -> None:
    await desk.venue.fault(Fault.BOOK_UNREADABLE, probability=1)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    order = await desk.place(order_type)
    await desk.told(order.order_id, "the order book cannot be read", EventType.ALERT)
    assert (await order.now()).status is Status.UNKNOWN
    other = await (await desk.place(order_type)).result()
    assert other.status is Status.REJECTED
    assert "UNKNOWN_OUTSTANDING" in " ".join(other.reasons)
    await desk.venue.clear()
    assert (await order.result()).status is Status.FILLED
    assert len(desk.at_the_broker(order)) == 1
    await desk.alerted("the order book can be read again")


@both
@pytest.mark.parametrize(
    ("kind", "rule"),
    [(Fault.BOOK_STALE, {"seconds": 1.0, "count": 4}), (Fault.ORDER_HIDDEN, {"seconds": 1.0})],
    ids=["stale", "hidden"],
)
async def test_late_book_is_waited_for(desk: Desk, kind: Fault, rule: dict[str, Any], order_type: OrderType) -> None:
    await desk.venue.fault(kind, **rule)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    order = await desk.place(order_type)
    assert (await order.result()).status is Status.FILLED
    assert len(desk.at_the_broker(order)) == 1
    assert FOUND in story(await order.events())
    await desk.venue.clear()


@both
async def test_stuck_on_its_way_to_the_exchange(desk: Desk, order_type: OrderType) -> None:
    await desk.venue.fault(Fault.STUCK_OPEN_PENDING, seconds=1)
    order = await desk.place(order_type)
    assert (await order.placed(60)).status is Status.PLACED
    assert (await order.result()).status is Status.FILLED
    assert len(desk.at_the_broker(order)) == 1


async def test_cancel_of_a_stuck_order_is_asked_for_until_it_is_done(desk: Desk) -> None:
    await desk.venue.fault(Fault.STUCK_OPEN_PENDING, seconds=2)
    order = await desk.resting()
    ended = await order.cancel(timeout=60)
    assert ended.status is Status.CANCELLED
    assert "the cancel was not taken: Order cannot be cancelled as it is being processed" in story(await order.events())


async def test_fill_on_the_way_of_a_cancel(desk: Desk) -> None:
    order = await desk.resting()
    await desk.venue.fault(Fault.FILL_DURING_CANCEL)
    ended = await order.cancel(timeout=60)
    assert (ended.status, ended.filled_quantity, ended.average_price) == (Status.FILLED, 10, FAR)


async def test_part_of_it_is_filled_on_the_way_of_a_cancel(desk: Desk) -> None:
    order = await desk.resting()
    await desk.venue.fault(Fault.PARTIAL_THEN_CANCEL)
    ended = await order.cancel(timeout=60)
    assert (ended.status, ended.filled_quantity, ended.average_price) == (Status.CANCELLED, 5, FAR)
    assert "cancelled with 5 of 10 filled" in story(await order.events())


@pytest.mark.parametrize("case", [*ANSWER_LOST, *NEVER_ARRIVED], ids=str)
async def test_cancel_whose_answer_is_lost(desk: Desk, case: Case) -> None:
    await is_cancelled_all_the_same(desk, case)


async def test_cancel_whose_answer_is_too_late(hasty: Desk) -> None:
    await is_cancelled_all_the_same(hasty, ANSWER_LATE)


async def is_cancelled_all_the_same(desk: Desk, case: Case) -> None:
    order = await desk.resting()
    await desk.venue.fault(case.kind, routes=[Route.CANCEL], **case.rule)
    ended = await order.cancel(timeout=60)
    (row,) = desk.at_the_broker(order)
    assert (ended.status, row.state) == (Status.CANCELLED, BookState.CANCELLED)
    assert f"the cancel was not taken: {case.words}" in story(await order.events())


@pytest.mark.parametrize("case", ANSWER_LOST, ids=str)
async def test_change_whose_answer_is_lost_is_found_in_the_book(desk: Desk, case: Case) -> None:
    await is_changed_all_the_same(desk, case)


async def test_change_whose_answer_is_too_late_is_found_in_the_book(hasty: Desk) -> None:
    await is_changed_all_the_same(hasty, ANSWER_LATE)


async def is_changed_all_the_same(desk: Desk, case: Case) -> None:
    order = await desk.resting()
    await desk.venue.fault(case.kind, routes=[Route.MODIFY], **case.rule)
    lower = Decimal(1390)
    assert (await order.amend(Amendment(price=lower))).price == lower
    (row,) = desk.at_the_broker(order)
    assert row.price == lower
    await order.cancel(timeout=60)


async def test_change_that_is_refused(desk: Desk) -> None:
    order = await desk.resting()
    with pytest.raises(InvalidOrder, match="outside the circuit limits"):
        await order.amend(Amendment(price=Decimal(900)))
    assert (await order.now()).price == FAR
    await order.cancel(timeout=60)


@pytest.mark.parametrize("kind", [Fault.UPDATES_LOST, Fault.UPDATES_DOUBLED, Fault.UPDATES_REORDERED], ids=str)
async def test_order_updates_are_only_a_reason_to_look(desk: Desk, kind: Fault) -> None:
    await desk.venue.fault(kind, probability=1)
    order = await desk.resting(price=Decimal(1450), quantity=20)
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 5, Decimal(1450))
    await desk.recorded(order, Status.PARTIAL)
    await desk.venue.fill(row.broker_order_id, 15, Decimal(1449))
    ended = await order.result()
    assert (ended.status, [fill.quantity for fill in ended.fills]) == (Status.FILLED, [5, 15])
    assert (await desk.venue.struck(kind)) > 0
    await desk.venue.clear()


async def test_after_all_of_it_the_books_agree(desk: Desk, hasty: Desk) -> None:
    for each in (desk, hasty):
        await the_books_agree(each)


async def the_books_agree(desk: Desk) -> None:
    """Nothing is left over at the broker, and no share is missing."""

    async def agreed() -> bool:
        ours = {position.symbol: position.quantity for position in await desk.orders.positions()}
        theirs = {"NSE:" + row["tradingsymbol"]: row["quantity"] for row in await desk.venue.positions()}
        return ours == theirs

    assert await eventually(agreed)
    assert [row for row in desk.venue.rows() if row.state is BookState.WORKING] == []
    accepted = (await desk.venue.tally())["accepted"]
    assert all(len(ids) == 1 for ids in accepted.values()), accepted
    assert LAST in {fill.price for order in await desk.orders.list() for fill in order.fills}
