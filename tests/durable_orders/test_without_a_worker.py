"""An order is durable from the moment the server has it, whether or not a worker is there to take it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from temporalio import workflow

from durable_orders.order_handle import AMEND, CANCEL, PLACED, OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound, ServerUnreachable, UnknownError
from durable_orders.trading.orders.order import Amendment, Order, OrderIntent, OrderType, Side, Status
from durable_orders.workers import components, worker
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home
from durable_orders.workflows import order as order_workflow
from durable_orders.workflows.names import ORDER_WORKFLOW
from tests.conftest import MAX_WAIT, MakeHome, eventually
from tests.durable_orders.conftest import FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import Program


@pytest.fixture
def home(make_home: MakeHome) -> Home:
    return make_home({"market": {"speed": 20}})


def resting(home: Home, own_id: str) -> OrderIntent:
    return OrderIntent(
        account=home.settings().account,
        client_order_id=own_id,
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=int(LOT),
        order_type=OrderType.LIMIT,
        price=Decimal(FAR_BELOW),
    )


@asynccontextmanager
async def at_work(home: Home) -> AsyncIterator[None]:
    """A worker of the home's account, in this process, for the length of a block."""
    client = await connect(home, home.settings())
    async with worker.running(client, components.build(home, home.settings(), client)):
        yield


@asynccontextmanager
async def opened(home: Home) -> AsyncIterator[Orders]:
    async with await Orders.connect(home.path) as orders:
        yield orders


def test_place_says_that_the_order_is_recorded_and_waits(home: Home) -> None:
    program = Program(home.path)
    with program.started("place", "BUY", SYMBOL, LOT, "--id", "waits", "--wait") as waiting:
        answer = program.here("place", "BUY", SYMBOL, LOT, "--id", "early", "--json")
        waiting.error_line("waits is recorded")
        interrupted = waiting.stop(signal.SIGINT)
    assert (answer.code, answer.json["status"], answer.json["broker_order_id"]) == (0, "PENDING", None)
    recorded = f"is recorded, but no worker has taken it yet; `durable-orders doctor --home {home.path}` shows more"
    assert answer.err == f"note: early {recorded}\n"
    assert (interrupted.code, interrupted.out) == (130, "")
    assert interrupted.err.splitlines()[-1] == (
        f"note: interrupted; `durable-orders show waits --home {home.path}` tells what became of the order"
    )
    listed = program.here("list", "--json").json
    assert {(order["client_order_id"], order["status"]) for order in listed} == {
        ("early", "PENDING"),
        ("waits", "PENDING"),
    }
    assert program.here("list", "--status", "FILLED").out == "No orders.\n"
    shown = program.here("show", "early")
    assert "status         PENDING\n" in shown.out
    assert shown.out.endswith("Recorded, and no worker has taken it yet.\n")
    assert program.here("show", "early", "--json").json == {"order": answer.json, "events": [], "checks": []}
    sick = program.here("doctor")
    assert f"worker orders:{home.settings().account}" in sick.error


async def test_a_cancel_stands_until_a_worker_comes(home: Home) -> None:
    async with opened(home) as orders:
        early = await orders.place(resting(home, "early"))
        assert (await early.cancel("too early", timeout=0.1)).status is Status.PENDING
        async with at_work(home), asyncio.timeout(MAX_WAIT):
            ended = await early.result()
    assert ended.status is Status.CANCELLED
    assert "cancel requested: too early" in ended.reasons
    assert ended.broker_order_id is None, "nothing was sent"


async def test_an_amendment_without_an_answer_is_not_called_done(home: Home) -> None:
    async with opened(home) as orders:
        early = await orders.place(resting(home, "early"))
        with pytest.raises(UnknownError, match="early: no answer to the change within 0 s; it may still be made"):
            await early.amend(Amendment(quantity=150), timeout=0.1)
        assert (await early.placed(timeout=0.1)).quantity == int(LOT)


async def _are_untaken(orders: Orders, placed: list[OrderHandle]) -> bool:
    """Whether the server's list, which lags behind the starts, has exactly these."""
    return {order.order_id for order in await orders.not_started()} == {handle.order_id for handle in placed}


async def test_orders_that_waited_are_taken_and_leave_no_trace_of_waiting(home: Home) -> None:
    async with opened(home) as orders:
        placed = [await orders.place(resting(home, f"waited-{number}")) for number in range(3)]
        await eventually(lambda: _are_untaken(orders, placed), "all three in the server's list")
        async with at_work(home):
            standing = await asyncio.gather(*(handle.placed(MAX_WAIT) for handle in placed))
            assert await orders.not_started() == []
            cancelled: list[Order] = await asyncio.gather(*(handle.cancel() for handle in placed))
    assert {order.status for order in standing} == {Status.PLACED}
    assert {order.status for order in cancelled} == {Status.CANCELLED}
    assert len({order.broker_order_id for order in cancelled}) == 3


async def test_a_start_that_nobody_has_answered_is_not_known(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may arrive yet, so that "no order" would be a guess."""

    async def on_its_way(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    async with opened(home) as orders:
        monkeypatch.setattr(orders.client.workflow_service, "execute_multi_operation", on_its_way)
        with pytest.raises(ServerUnreachable, match="was started is not known; place the same intent again"):
            await orders.place_and_wait(resting(home, "lost"), timeout=0.2)
        await orders.place(resting(home, "lost"))
        assert (await orders.place_and_wait(resting(home, "lost"), timeout=0.2)).status is Status.PENDING


async def test_the_client_refuses_what_cannot_be(home: Home) -> None:
    async with opened(home) as orders:
        intent = resting(home, "one")
        async with at_work(home):
            first, again = await orders.place_and_wait(intent), await orders.place_and_wait(intent)
            assert first == again
            other = intent.model_copy(update={"quantity": 150})
            with pytest.raises(DuplicateOrder):
                await orders.place_and_wait(other)
            with pytest.raises(DuplicateOrder):
                await orders.place(other)
            with pytest.raises(InvalidOrder, match="LOT_SIZE"):
                await orders.handle("one").amend(Amendment(quantity=76))
            assert (await orders.handle(intent.order_id).cancel()).status is Status.CANCELLED
            with pytest.raises(InvalidOrder, match="it has ended: CANCELLED"):
                await orders.handle("one").amend(Amendment(quantity=150))
        for nobody in ("two", "order:other:one"):
            with pytest.raises(OrderNotFound):
                await orders.handle(nobody).cancel()
        with pytest.raises(OrderNotFound, match="cannot be the id"):
            orders.handle("a/b")


def test_the_client_calls_the_workflow_by_the_names_that_it_has() -> None:
    definition = workflow._Definition.must_from_class(order_workflow.OrderWorkflow)
    assert definition.name == ORDER_WORKFLOW
    assert {PLACED, AMEND} <= definition.updates.keys()
    assert CANCEL in definition.signals
