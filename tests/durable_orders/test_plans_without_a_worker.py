"""A plan is durable from the moment the server has it: it is listed, shown and cancelled, whether or not a worker is
there to take it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from durable_orders.orders import Orders
from durable_orders.plans import Plans
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound
from durable_orders.trading.ledger.tokens import Role
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import AWAITS_PERSON, PlanStatus, PlanView
from durable_orders.workers import components, worker
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home
from tests.conftest import MAX_WAIT, MakeHome, eventually
from tests.durable_orders.conftest import FAR_BELOW, SYMBOL
from tests.durable_orders.program import Program
from tests.durable_orders.web.conftest import Served, events_about

LEGS = [
    {"symbol": SYMBOL, "side": "BUY", "quantity": 75, "product": product, "order_type": "LIMIT", "price": FAR_BELOW}
    for product in ("NRML", "MIS")
]


@pytest.fixture
def home(make_home: MakeHome) -> Home:
    hook = {"secret": "a-secret", "id": "{{id}}", "plan": {"legs": LEGS}}
    return make_home({"market": {"speed": 20}, "hooks": {"pair": hook}})


def bracket(home: Home, plan_id: str, **more: Any) -> PlanIntent:
    content: dict[str, Any] = {
        "account": home.settings().account,
        "plan_id": plan_id,
        "symbol": SYMBOL,
        "side": "BUY",
        "quantity": 75,
        "entry": {"order_type": "LIMIT", "price": FAR_BELOW},
        "targets": [{"price": "30000"}],
    }
    return PlanIntent.model_validate(content | more)


async def listed(orders: Orders) -> list[str]:
    return sorted(view.plan_id for view in await Plans(orders).not_started())


async def at_their_end(home: Home, orders: Orders, *plan_ids: str) -> list[PlanView]:
    """What a worker that comes now makes of them."""
    client = await connect(home, home.settings())
    async with worker.running(client, components.build(home, home.settings(), client)), asyncio.timeout(MAX_WAIT):
        return [await orders.plan_result(plan_id) for plan_id in plan_ids]


async def test_a_plan_that_no_worker_has_is_shown_listed_and_cancelled(home: Home) -> None:
    basket = BasketIntent.model_validate({"account": home.settings().account, "plan_id": "two", "legs": LEGS})
    async with await Orders.connect(home.path) as orders:
        none = await asyncio.to_thread(Program(home.path), "plan", "list")
        assert none.out.startswith("No open plans")
        started = [await orders.start_plan(intent, 0.1) for intent in (bracket(home, "one"), basket)]
        assert [view.status for view in started] == [PlanStatus.PENDING] * 2
        assert [await orders.plan(own) for own in ("one", "two")] == started
        assert await orders.start_plan(bracket(home, "one"), 0.1) == started[0]
        with pytest.raises(DuplicateOrder):
            await orders.start_plan(bracket(home, "one", quantity=150), 0.1)
        with pytest.raises(OrderNotFound):
            await orders.cancel_plan("three", timeout=0)

        async def are_listed() -> bool:
            return await listed(orders) == ["one", "two"]

        await eventually(are_listed, "both in the server's list, which lags behind the starts")
        told = await asyncio.to_thread(Program(home.path), "plan", "list", "--json")
        assert {each["plan_id"] for each in told.json} == {"one", "two"}
        for own in ("one", "two"):
            assert (await orders.cancel_plan(own, "too early", timeout=0)).status is PlanStatus.PENDING
        ended = await at_their_end(home, orders, "one", "two")
        assert await listed(orders) == []
    assert [(view.status, view.orders) for view in ended] == [(PlanStatus.CANCELLED, ())] * 2


async def test_the_desk_answers_for_a_plan_that_no_worker_has(home: Home) -> None:
    program = Program(home.path)
    with program.started("web", "--port", "0") as running:
        served = Served(program, running.line("Page on ").removeprefix("Page on "))
        with served.client(Role.TRADE) as trader:
            alert = {"id": "paired", "time": datetime.now(UTC).isoformat()}
            made = [
                await asyncio.to_thread(httpx.post, f"{served.url}/hooks/pair/a-secret", json=alert, timeout=MAX_WAIT)
                for _ in range(2)
            ]
            assert [(each.status_code, each.json()["status"]) for each in made] == [(201, "PENDING"), (200, "PENDING")]
            assert events_about(trader, "was not started") == []
            assert trader.get("/plans/paired").json() == made[0].json()

            async def is_listed() -> bool:
                return [each["plan_id"] for each in trader.get("/plans", params={"open": True}).json()] == ["paired"]

            await eventually(is_listed, "the plan in the desk's list")
            cancelled = trader.delete("/plans/paired", params={"timeout": 0})
            assert (cancelled.status_code, cancelled.json()["status"]) == (200, "PENDING")
            assert len(events_about(trader, "a cancel of plan paired was asked for")) == 1
            assert trader.delete("/plans/nosuch", params={"timeout": 0}).status_code == 404
            assert events_about(trader, "a cancel of plan nosuch") == []
            async with await Orders.connect(home.path) as orders:
                [ended] = await at_their_end(home, orders, "paired")
            assert (ended.status, ended.orders) == (PlanStatus.CANCELLED, ())
            assert trader.get("/plans/paired").json()["status"] == "CANCELLED"


async def test_a_schedule_that_is_approved_after_its_end_sends_nothing(home: Home) -> None:
    """Whoever approves while no worker is there is answered by the one that comes: too late is too late."""
    begins = datetime.now(UTC)
    content: dict[str, Any] = {"account": home.settings().account, "plan_id": "late", "symbol": SYMBOL, "side": "BUY"}
    content |= {"quantity": 150, "slices": 2, "price": FAR_BELOW, "product": "NRML", "approve": True}
    schedule = ScheduleIntent.model_validate(content | {"begins_at": begins, "ends_at": begins + timedelta(seconds=12)})
    async with await Orders.connect(home.path) as orders:
        client = await connect(home, home.settings())
        async with worker.running(client, components.build(home, home.settings(), client)):
            view = await orders.start_plan(schedule)
            assert (view.status, view.reasons) == (PlanStatus.PENDING, (AWAITS_PERSON,))

        async def is_past() -> bool:
            return datetime.now(UTC) > schedule.ends_at

        await eventually(is_past, "the schedule's end")
        approving = asyncio.create_task(orders.handle("late.slice-1-1").approve("by user asha", MAX_WAIT))
        [ended] = await at_their_end(home, orders, "late")
        await asyncio.gather(approving, return_exceptions=True)
        order = await orders.get("late.slice-1-1")
    assert ended.status in (PlanStatus.REJECTED, PlanStatus.CANCELLED)
    assert order.approval is not None
    assert (order.broker_order_id, order.approval.approved_by) == (None, None), order.reasons
    assert isinstance(approving.exception(), InvalidOrder)
