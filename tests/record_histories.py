"""Records a history of each path of an order's life into `histories/`: `python -m tests.record_histories`.

The recorded histories are what open orders look like to the next version of the workflows: `workflows/test_replay.py`
replays them against today's code. When that fails, orders that are open during a deploy would be stuck. So record
anew only for a path that is new, or after a change that `workflow.patched` keeps apart from what was before.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from chaos.venue import INFY
from durable_orders import halting
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading.errors import DuplicateOrder
from durable_orders.trading.gtt.gtt import GttChange, GttIntent, GttLeg
from durable_orders.trading.orders.order import Mode, OrderType, Product, Side
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.workers import server, worker
from durable_orders.workers.components import build
from durable_orders.workers.home import Home, ServerAddress
from durable_orders.workers.ports import ANY
from durable_orders.workers.supervision import ensure_watch
from durable_orders.workers.worker import workflow_runner
from durable_orders.workflows.names import (
    GTT_CHANGE_WORKFLOW,
    GTT_WORKFLOW,
    flatten_id,
    gtt_change_options,
    gtt_options,
    orders_queue,
    plan_workflow_id,
    watch_id,
)
from durable_orders.workflows.watch import AccountWatchWorkflow
from tests.account.test_closing import bought
from tests.account.test_exits import show
from tests.conftest import eventually
from tests.live import desk as live
from tests.live.test_plan_gtts import GTT, protected
from tests.workflows.conftest import time_skipping
from tests.workflows.desk import at_work, open_desk
from tests.workflows.paths import PATHS, Play, failed_as_a_duplicate
from tests.workflows.scripted_broker import PRICE, fills_at, slices_and_loses_the_answer, takes

HISTORIES = Path(__file__).parent / "histories"
QUICK = {"settle_window": 0.4, "retry_delay": 0.05, "max_retries": 3, "safety_interval": 1}

WATCH, BEFORE, AFTER = "watch", "continued_as_new", "after_it_continued_as_new"
TRIPPED, UNWOUND, SLICED = "watch_told_of_a_trip", "unwound", "lost_answer_and_two_slices_of_three"
REPRICED = "unwound_by_another_limit"
GTTS = {
    "gtt_placed": None,
    "gtt_lost_answer_found": Fault.ACCEPT_THEN_DROP,
    "gtt_lost_answer_absent": Fault.SERVICE_UNAVAILABLE,
}
"""By the fault that the placement meets."""
GTT_CHANGED, GTT_DELETED = "gtt_changed", "gtt_deleted_while_it_was_placed"
PLAN_BY_GTT = "plan_whose_stop_a_gtt_keeps"
FUTURE = "NFO:NIFTY25MAYFUT"
NAMES = {path.__name__ for path in PATHS} | {
    WATCH,
    BEFORE,
    AFTER,
    TRIPPED,
    UNWOUND,
    SLICED,
    REPRICED,
    GTT_CHANGED,
    GTT_DELETED,
    PLAN_BY_GTT,
    *GTTS,
}
EARLY = {"limit.historyCount.suggestContinueAsNew": "40"}


async def record_order(client: Client, scratch: Path, path: Play) -> None:
    async with open_desk(client, scratch, QUICK) as desk, at_work(desk):
        order = await path(desk)
        try:
            await order.result()
        except DuplicateOrder:
            assert path is failed_as_a_duplicate
        await save(client, order.order_id, path.__name__)


async def record_continued(client: Client, scratch: Path) -> None:
    """Both runs of an order that continues as new, half filled."""
    async with open_desk(client, scratch, QUICK | {"safety_interval": 3600}) as desk, at_work(desk):
        order = await desk.resting()
        desk.broker.trade(desk.broker.only, 5)
        first = (await desk.workflow(order).describe()).run_id

        async def continued() -> bool:
            await desk.tell(order, desk.broker.report(desk.broker.only))
            return (await desk.workflow(order).describe()).run_id != first

        await eventually(continued)
        desk.broker.trade(desk.broker.only, 5)
        await desk.look()
        await order.result()
        await save(client, order.order_id, BEFORE, first)
        await save(client, order.order_id, AFTER)


async def record_slices(client: Client, scratch: Path) -> None:
    """Two slices of three were taken, and the answer was lost: what the book shows is counted."""
    async with open_desk(client, scratch, QUICK, mode=Mode.LIVE) as desk, at_work(desk):
        sliced: dict[str, Any] = {"symbol": FUTURE, "quantity": 225, "instructions": {"autoslice": True}}
        order = await desk.start(slices_and_loses_the_answer, order_type=OrderType.MARKET, **sliced)
        await order.result()
        await save(client, order.order_id, SLICED)


async def record_watch(client: Client) -> None:
    """Three shifts that end at once, and a fourth that goes on."""
    shifts = asyncio.Queue[None]()
    on_duty = asyncio.Event()
    for _ in range(3):
        shifts.put_nowait(None)

    @activity.defn
    async def watch(account: str, seconds: float) -> None:
        if shifts.empty():
            on_duty.set()
        await shifts.get()

    queue = orders_queue(WATCH)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[AccountWatchWorkflow],
        activities=[watch],
        workflow_runner=workflow_runner(),
    ):
        await ensure_watch(client, WATCH)
        await on_duty.wait()
        await save(client, watch_id(WATCH), WATCH)
        await client.get_workflow_handle(watch_id(WATCH)).terminate()


async def record_trip(client: Client, scratch: Path) -> None:
    """A breaker that trips with a fill, a resting order that is cancelled, and a position that is closed."""
    guardian = {"max_loss_streak": 1, "on_trip": "flatten"}
    async with open_desk(client, scratch, QUICK, guardian) as desk, at_work(desk):
        watch = client.get_workflow_handle(watch_id(desk.account))
        await ensure_watch(client, desk.account)
        await desk.resting()
        for side, quantity, price in ((Side.BUY, 10, PRICE), (Side.SELL, 5, PRICE - 100), (None, 0, PRICE)):
            desk.broker.on_place.append(fills_at(price))
            if side is not None:
                order = await desk.orders.place(desk.intent(OrderType.MARKET, side=side, quantity=quantity))
                await order.result()

        async def is_flat() -> bool:
            return not any(position.quantity for position in await desk.orders.positions())

        await eventually(is_flat)
        await client.get_workflow_handle(flatten_id(desk.account)).result()
        await save(client, watch.id, TRIPPED)
        await save(client, flatten_id(desk.account), UNWOUND)
        await watch.terminate()


async def record_exit(client: Client, scratch: Path) -> None:
    """A closing order that rests gets two other limits, and fills."""
    exits: dict[str, Any] = {"sections": {"exits": {"interval": 1.0}}}
    settings = QUICK | {"stale_tick_seconds": 3600.0, "positions_window": 0.3}
    async with open_desk(client, scratch, settings, **exits) as desk, at_work(desk):
        show(desk)
        await bought(desk)
        desk.broker.on_place.append(takes)
        asked = halting.flatten_request(desk.account, "enough", "by a recorder")
        out = asyncio.create_task(halting.flatten(client, asked))

        async def is_repriced() -> bool:
            return len(desk.broker.changes) >= 2

        await eventually(is_repriced)
        desk.broker.trade(list(desk.broker.rows)[-1], 10)
        await desk.look()
        await out
        await save(client, flatten_id(desk.account), REPRICED)


async def record_gtts(address: ServerAddress, scratch: Path) -> None:
    """GTTs of a live account, whose placements meet what they are named after; the first one is changed."""
    async with live.open_desk(address, scratch / "live", live=QUICK) as desk:
        client = await connected(address.target)
        async with worker.running(client, build(desk.home, desk.settings, client, live=True)):
            order = await desk.place(OrderType.MARKET, quantity=100, product=Product.CNC)
            await order.result()
            for number, (name, fault) in enumerate(GTTS.items()):
                if fault is not None:
                    await desk.venue.fault(fault, routes={Route.GTT_PLACE})
                own = {"account": desk.settings.account, "symbol": INFY, "side": Side.SELL, "gtt_id": name}
                leg = GttLeg(trigger_price=Decimal(1400 + number), price=Decimal(1399), quantity=10)
                intent = GttIntent(**own, legs=(leg,), place_by=datetime.now(UTC) + timedelta(hours=1))
                placing = await client.start_workflow(GTT_WORKFLOW, intent, **gtt_options(intent))
                await placing.result()
                await save(client, placing.id, name)
            leg = GttLeg(trigger_price=Decimal(1300), price=Decimal(1299), quantity=10)
            change = GttChange(account=desk.settings.account, gtt_id="gtt_placed", legs=(leg,))
            changing = await client.start_workflow(GTT_CHANGE_WORKFLOW, change, **gtt_change_options(change))
            await changing.result()
            await save(client, changing.id, GTT_CHANGED)


async def record_deleted(address: ServerAddress, scratch: Path) -> None:
    """A delete that waits for a GTT whose placing has not been answered."""
    async with live.open_desk(address, scratch / "deleted", live=QUICK) as desk:
        client = await connected(address.target)
        async with worker.running(client, build(desk.home, desk.settings, client, live=True)):
            order = await desk.place(OrderType.MARKET, quantity=100, product=Product.CNC)
            await order.result()
            await desk.venue.fault(Fault.ACCEPT_THEN_LATE, seconds=2, routes={Route.GTT_PLACE})
            own = {"account": desk.settings.account, "symbol": INFY, "side": Side.SELL, "gtt_id": GTT_DELETED}
            leg = GttLeg(trigger_price=Decimal(1400), price=Decimal(1399), quantity=10)
            intent = GttIntent(**own, legs=(leg,), place_by=datetime.now(UTC) + timedelta(hours=1))
            await client.start_workflow(GTT_WORKFLOW, intent, **gtt_options(intent))

            async def taken() -> bool:
                return bool((await desk.venue.tally())["requests"].get(Route.GTT_PLACE))

            await eventually(taken)
            delete = GttChange(account=desk.settings.account, gtt_id=GTT_DELETED)
            deleting = await client.start_workflow(GTT_CHANGE_WORKFLOW, delete, **gtt_change_options(delete))
            await deleting.result()
            await save(client, deleting.id, GTT_DELETED)


async def record_plan_by_gtt(address: ServerAddress, scratch: Path) -> None:
    """Its stop is placed, changed, and deleted before it goes out at the market."""
    async with live.open_desk(address, scratch / "by_gtt", live=QUICK) as desk:
        client = await connected(address.target)
        async with worker.running(client, build(desk.home, desk.settings, client, live=True)):
            await protected(desk)
            await desk.orders.amend_plan("p1", PlanChange(stop=Decimal(1460)))

            async def follows() -> bool:
                return (await desk.orders.gtt(GTT)).legs[0].trigger_price == Decimal(1460)

            await eventually(follows)
            await desk.orders.cancel_plan("p1", "flat", flatten=True)
            await desk.orders.plan_result("p1")
            await save(client, plan_workflow_id(desk.settings.account, "p1"), PLAN_BY_GTT)


async def save(client: Client, workflow_id: str, name: str, run_id: str | None = None) -> None:
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    content = json.dumps(_without_traces(history.to_json_dict()), indent=1)
    (HISTORIES / f"{name}.json").write_text(content + "\n", encoding="utf-8")
    sys.stdout.write(f"{name}: {len(history.events)} events\n")


def _without_traces(content: Any) -> Any:
    """Nothing replays a stack trace, and it names the machine's directories."""
    if isinstance(content, dict):
        return {key: _without_traces(value) for key, value in content.items() if key != "stackTrace"}
    return [_without_traces(value) for value in content] if isinstance(content, list) else content


async def connected(target: str) -> Client:
    """A client whose histories do not name this machine."""
    return await Client.connect(target, data_converter=pydantic_data_converter, identity="recorder")


async def main(names: set[str]) -> None:
    """Record the paths of those names; all of them without any."""
    HISTORIES.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        scratch = Path(directory)
        async with server.running(Home(scratch).make(), ANY, ANY) as address:
            client = await connected(address.target)
            for path in PATHS:
                if path.__name__ in names:
                    await record_order(client, scratch, path)
            if WATCH in names:
                await record_watch(client)
            if SLICED in names:
                await record_slices(client, scratch)
            if REPRICED in names:
                await record_exit(client, scratch)
            live_ones = ((record_gtts, {GTT_CHANGED, *GTTS}), (record_deleted, {GTT_DELETED}))
            for recorded, own in (*live_ones, (record_plan_by_gtt, {PLAN_BY_GTT})):
                if names & own:
                    await recorded(address, scratch)
            if names & {TRIPPED, UNWOUND}:
                await record_trip(client, scratch)
        if names & {BEFORE, AFTER}:
            async with time_skipping(EARLY) as environment:
                await record_continued(await connected(environment.client.service_client.config.target_host), scratch)


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:]) or NAMES))
