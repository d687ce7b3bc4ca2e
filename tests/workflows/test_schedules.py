"""Schedules on the real server, over a scripted broker: their parts go out when they are due, whatever becomes of the
workflow."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import PlanStatus, PlanView
from durable_orders.workers.supervision import Supervisor
from durable_orders.workflows.names import plan_workflow_id
from tests.conftest import eventually
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk, now
from tests.workflows.scripted_broker import fills_at_once, refuses


def schedule(desk: Desk, **content: Any) -> ScheduleIntent:
    """BUY 10 INFY in two parts, ten minutes each."""
    at = now()
    told: dict[str, Any] = {
        "account": desk.account,
        "mode": desk.parts.settings.execution.mode,
        "plan_id": "s1",
        "strategy": "tests",
        "symbol": INFY,
        "side": "BUY",
        "quantity": 10,
        "slices": 2,
        "begins_at": at,
        "ends_at": at + timedelta(minutes=20),
    }
    return ScheduleIntent.model_validate(told | content)


def workflow(desk: Desk) -> WorkflowHandle[Any, PlanView]:
    return desk.client.get_workflow_handle(plan_workflow_id(desk.account, "s1"), result_type=PlanView)


async def filled(desk: Desk, parts: int) -> None:
    async def there() -> bool:
        rows = (await desk.orders.plan("s1")).orders
        return sum(row.filled_quantity == row.quantity for row in rows) == parts

    assert await eventually(there, f"{parts} parts that are filled")


async def test_its_parts_are_traded_when_they_are_due(desk: Desk, environment: WorkflowEnvironment) -> None:
    desk.broker.on_place.extend([fills_at_once, fills_at_once])
    view = await desk.orders.start_plan(schedule(desk))
    assert (view.kind, view.symbol) == ("twap", INFY)
    await filled(desk, 1)
    assert len(desk.broker.sent) == 1
    await environment.fast_forward(workflow(desk), 601)
    ended = await desk.orders.plan_result("s1")
    assert (ended.status, ended.held) == (PlanStatus.FILLED, 10)
    assert [(row.role, row.quantity) for row in ended.orders] == [("slice 1", 5), ("slice 2", 5)]


async def test_a_schedule_whose_time_to_begin_is_over_sends_nothing(desk: Desk) -> None:
    view = await desk.orders.start_plan(schedule(desk, enter_by=now()))
    assert (view.status, view.orders) == (PlanStatus.REJECTED, ())
    assert view.reasons[0].startswith("TOO_LATE: it was to begin before ")


async def test_terminated_between_two_parts_it_is_taken_up_with_the_sizes_that_were_drawn(
    desk: Desk, environment: WorkflowEnvironment
) -> None:
    desk.broker.on_place.extend([fills_at_once, fills_at_once])
    await desk.orders.start_plan(schedule(desk, quantity=1000, randomise=90))
    await filled(desk, 1)
    await workflow(desk).terminate("by a test")
    supervisor = Supervisor(desk.client, desk.account, desk.parts.database, desk.parts.executor)

    async def taken_up() -> bool:
        await supervisor.look()
        return (await workflow(desk).describe()).close_time is None

    assert await eventually(taken_up, "a new run")
    await environment.fast_forward(workflow(desk), 601)
    ended = await desk.orders.plan_result("s1")
    assert (ended.status, ended.held) == (PlanStatus.FILLED, 1000)
    assert len(desk.broker.sent) == 2


async def test_a_part_that_is_refused_is_the_next_ones(desk: Desk, environment: WorkflowEnvironment) -> None:
    desk.broker.on_place.extend([refuses, fills_at_once])
    await desk.orders.start_plan(schedule(desk))

    async def told() -> bool:
        return any("slice 1 is REJECTED" in event.message for event in await desk.orders.events())

    assert await eventually(told, "an alert of the part that was refused")
    await environment.fast_forward(workflow(desk), 601)
    ended = await desk.orders.plan_result("s1")
    assert [(row.role, row.quantity) for row in ended.orders] == [("slice 1", 5), ("slice 2", 10)]
    assert ended.status is PlanStatus.FILLED


async def test_cancelled_with_flatten_it_closes_what_it_has(desk: Desk) -> None:
    desk.broker.on_place.extend([fills_at_once, fills_at_once])
    await desk.orders.start_plan(schedule(desk))
    await filled(desk, 1)
    ended = await desk.orders.cancel_plan("s1", flatten=True)
    assert (ended.status, ended.held) == (PlanStatus.CLOSED, 0)
    assert [order.client_order_id for order in desk.broker.sent] == ["s1.slice-1-1", "flatten-s1-1"]


@pytest.mark.parametrize(
    ("content", "guardian", "words"),
    [
        ({"quantity": 3, "slices": 4}, {}, "slices: 3 lots of 1 cannot be split into 4 parts of whole lots"),
        ({"slices": 10}, {"max_orders_per_day": {"account": 9}}, "slices: the schedule takes 10 orders, and guardian"),
        ({"price": "1500.03"}, {}, "TICK_SIZE"),
        ({}, {"max_position_per_symbol": 9}, "MAX_POSITION_PER_SYMBOL"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_nothing_is_sent(
    desks: Desks, content: dict[str, Any], guardian: dict[str, Any], words: str
) -> None:
    desk = await desks(guardian=guardian)
    view = await desk.orders.start_plan(schedule(desk, **content))
    assert view.status is PlanStatus.REJECTED
    assert words in view.reasons[0]
    assert desk.broker.sent == []
