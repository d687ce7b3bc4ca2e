"""The live worker is killed at each step between the recorded intent and the recorded end.

Every time the order ends as it would have without that, and the broker has it once. The scenarios wait most of their
time, for the server to notice the crash, so they run side by side.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.client import WorkflowUpdateStage

from durable_orders.order_handle import OrderHandle
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Amendment, Order, OrderType, Status
from durable_orders.trading.orders.tags import is_of
from durable_orders.workers.home import ServerAddress
from tests.conftest import eventually
from tests.crashes.processes import Process, kill, killed_itself, running
from tests.live.crashing_worker import Point
from tests.live.desk import LAST, Desk, at_work, open_desk

AT_ONCE = 4
PATIENT = 25
"""Seconds for an answer: one that is given up is looked for in the book, and then there is nothing to report."""
LOWER = Decimal(1390)
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET

Act = Callable[[Desk, Process], Awaitable[OrderHandle]]


@dataclass(frozen=True)
class Scenario:
    """What is done with an order, where the worker is killed on its way, and how it must end."""

    name: str
    act: Act
    status: Status
    filled: int
    points: tuple[Point, ...]
    at_the_broker: int = 1


def placing(order_type: OrderType) -> Act:
    async def act(desk: Desk, process: Process) -> OrderHandle:
        return await desk.place(order_type)

    return act


async def lose_the_answer(desk: Desk, process: Process) -> OrderHandle:
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    return await desk.place(MARKET)


async def kill_in_flight(desk: Desk, process: Process) -> OrderHandle:
    """The broker takes its time with the answer, and the worker dies meanwhile."""
    await desk.venue.fault(Fault.ACCEPT_THEN_LATE, seconds=10)
    order = await desk.place(LIMIT)

    async def taken() -> bool:
        accepted = (await desk.venue.tally())["accepted"]
        return any(is_of(tag, order.order_id) for tag in accepted)

    await eventually(taken)
    kill(process)
    return order


async def cancel(desk: Desk, process: Process) -> OrderHandle:
    order = await desk.resting()
    await desk.orders.client.get_workflow_handle(order.order_id).signal("cancel")
    return order


async def amend(desk: Desk, process: Process) -> OrderHandle:
    """To a lower limit, which may or may not be answered; then it is cancelled."""
    order = await desk.resting()
    workflow = desk.orders.client.get_workflow_handle(order.order_id)
    await workflow.start_update("amend", Amendment(price=LOWER), wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await workflow.signal("cancel")
    return order


SCENARIOS = (
    Scenario("limit", placing(LIMIT), Status.FILLED, 10, (Point.BEFORE_PLACE, Point.AFTER_PLACE)),
    Scenario("recorded", placing(LIMIT), Status.FILLED, 10, (Point.BEFORE_RECORD, Point.AFTER_RECORD)),
    Scenario("reported", placing(LIMIT), Status.FILLED, 10, (Point.BEFORE_REPORT, Point.AFTER_REPORT)),
    Scenario("in flight", kill_in_flight, Status.FILLED, 10, (Point.IN_FLIGHT,)),
    Scenario("market", placing(MARKET), Status.FILLED, 10, (Point.AFTER_PLACE,)),
    Scenario("market, never sent", placing(MARKET), Status.REJECTED, 0, (Point.BEFORE_PLACE,), 0),
    Scenario("lost answer", lose_the_answer, Status.FILLED, 10, (Point.BEFORE_LOOK, Point.AFTER_LOOK)),
    Scenario("cancel", cancel, Status.CANCELLED, 0, (Point.BEFORE_CANCEL, Point.AFTER_CANCEL)),
    Scenario("amendment", amend, Status.CANCELLED, 0, (Point.BEFORE_MODIFY, Point.AFTER_MODIFY)),
)
CRASHES = [(scenario, point) for scenario in SCENARIOS for point in scenario.points]
Ends = dict[tuple[str, Point], "asyncio.Task[Order]"]


async def crashed(scenario: Scenario, point: Point, desk: Desk) -> Order:
    """The order's end, after a crash at that point and a restart; what the broker has of it is proved here."""
    words = (sys.executable, "-m", "tests.live.crashing_worker", str(desk.home.path), point)
    with running(desk.home, *words) as process:
        order = await scenario.act(desk, process)
        await killed_itself(process, desk.home)
    async with at_work(desk):
        ended = await order.result()
    rows = desk.at_the_broker(order)
    assert len(rows) == scenario.at_the_broker
    for row in rows:
        assert (ended.broker_order_id, ended.filled_quantity) == (row.broker_order_id, row.filled_quantity)
        assert row.state is (BookState.COMPLETE if scenario.filled else BookState.CANCELLED)
        assert (ended.quantity, ended.price) == (row.quantity, row.price)
    recorded = await order.now()
    # A task that the server had done again has later times than what it recorded the first time.
    assert recorded.model_dump(exclude={"updated_at"}) == ended.model_dump(exclude={"updated_at"})
    return ended


@pytest.fixture(scope="module")
async def ends(temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ends]:
    """The end of each scenario, under way."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(scenario: Scenario, point: Point) -> Order:
        path: Path = tmp_path_factory.mktemp("crash")
        async with turn, open_desk(temporal_server, path, kite={"timeout": PATIENT}) as desk:
            return await crashed(scenario, point, desk)

    tasks = {(scenario.name, point): asyncio.create_task(run(scenario, point)) for scenario, point in CRASHES}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize(("scenario", "point"), CRASHES, ids=lambda value: getattr(value, "name", str(value)))
async def test_ends_as_without_the_crash(ends: Ends, scenario: Scenario, point: Point) -> None:
    ended = await ends[scenario.name, point]
    assert (ended.status, ended.filled_quantity) == (scenario.status, scenario.filled), ended.reasons
    assert ended.average_price == (LAST if scenario.filled else None)
    assert ended.broker_order_id is not None or scenario.at_the_broker == 0
