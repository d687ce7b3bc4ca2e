"""The client for strategies, awaited and not, against a desk that is up."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import durable_orders
from durable_orders import EventType, OrderHandle, OrderHandleSync, OrderIntent, Orders, OrdersSync, Side, Status
from durable_orders.trading import errors
from tests.durable_orders.conftest import FAR_BELOW, SYMBOL
from tests.durable_orders.program import Program

LOT = 75
PUBLIC = """
    SHIPPED_SYMBOL Amendment Bar BasketIntent BasketLeg BookUnreadable BrokenError Cause ClientOrderTerms
    Contract Contracts DataUnavailable Depth DuplicateOrder DurableOrdersError EngineStrategy Entry EntryKind
    Event EventBus EventType ExecutionEngine FaultRule FeedEvent FeedKind FilesUnusable Fill Funds GttIntent
    GttLeg GttLegView GttStatus GttView HomeUnusable Instructions InvalidInstruments InvalidOrder
    InvalidSettings InvalidStrategy InvalidTicks LedgerUnusable Level LiveExecutionEngine LoginNeeded
    MarketNotOwned Mode NotApproved NotConnected Order OrderHandle OrderHandleSync OrderIntent OrderNotFound
    OrderTerms OrderType Orders OrdersSync PaperExecutionEngine Parameter PlanChange PlanHolding PlanIntent
    PlanOrder PlanStatus PlanView Portfolio Position PositionLine Product RefusedError Sandbox SandboxSettings
    ScheduleIntent ServerUnreachable SessionEngine Settlement Side Status Stop Strategy StrategyContext
    StrategyFailed StrategyLine StrategyResult Target Tick ToldPosition Totals Unexplained UnknownError
    Validity shipped_day
"""


def test_the_public_names_are_these() -> None:
    assert durable_orders.__all__ == PUBLIC.split()
    assert all(hasattr(durable_orders, name) for name in durable_orders.__all__)


def calls(kind: type) -> dict[str, inspect.Signature]:
    found = inspect.getmembers(kind, lambda member: inspect.isfunction(member) or inspect.ismethod(member))
    return {name: inspect.signature(call) for name, call in found if not name.startswith("_")}


def shown(signature: inspect.Signature) -> tuple[list[str], str]:
    """Its parameters, and what it gives once that has been awaited."""
    gives = str(signature.return_annotation).replace("orders_sync.OrderHandleSync", "order_handle.OrderHandle")
    gives = gives.replace("AsyncGenerator", "Generator").replace(", None", "")
    return [str(parameter) for parameter in signature.parameters.values()], gives


@pytest.mark.parametrize(
    ("awaited", "twin", "only"),
    [(Orders, OrdersSync, {"connect", "over", "read", "feed", "not_started"}), (OrderHandle, OrderHandleSync, set())],
)
def test_the_twin_has_the_same_calls(awaited: type, twin: type, only: set[str]) -> None:
    """But for those that only mean something on an event loop, or are for this project's own parts."""
    theirs, ours = calls(awaited), calls(twin)
    assert set(ours) == set(theirs) - only
    assert {name: shown(call) for name, call in ours.items()} == {name: shown(theirs[name]) for name in ours}


async def test_a_cancel_stands_however_short_the_wait_for_its_end(desk: Program, own_id: str) -> None:
    async with Orders(desk.home) as orders:
        handle = await orders.buy(SYMBOL, LOT, order_type="LIMIT", price=FAR_BELOW, client_order_id=own_id)
        await handle.placed()
        await handle.cancel("at once", timeout=0)
        async with asyncio.timeout(60):
            assert (await handle.result()).status is Status.CANCELLED


async def test_an_order_from_its_beginning_to_its_end(desk: Program, own_id: str) -> None:
    async with Orders(desk.home) as orders:
        handle = await orders.buy(
            SYMBOL, LOT, order_type="LIMIT", price=FAR_BELOW, client_order_id=own_id, strategy="client"
        )
        placed = await handle.placed()
        assert (placed.status, placed.price, placed.strategy) == (Status.PLACED, Decimal(FAR_BELOW), "client")
        assert await orders.get(own_id) == placed
        assert placed in await orders.list(strategy="client", open_only=True)
        assert placed not in await orders.list(statuses=[Status.FILLED])
        ended = await orders.cancel(own_id, "enough")
        assert (ended.status, await handle.result()) == (Status.CANCELLED, ended)
        assert [event.type for event in await handle.events()][-1] is EventType.ORDER_CANCELLED


async def test_the_same_call_again_is_the_same_order(desk: Program, own_id: str) -> None:
    async with Orders(desk.home) as orders:
        first, second = [await orders.sell(SYMBOL, LOT, client_order_id=own_id) for _ in range(2)]
        assert await first.result() == await second.result()
        with pytest.raises(errors.DuplicateOrder, match=f"client_order_id: {own_id} is the id of another order"):
            await orders.sell(SYMBOL, 2 * LOT, client_order_id=own_id)


async def test_an_intent_that_does_not_say_whose_it_is_is_this_accounts(desk: Program, tmp_path: Path) -> None:
    settings = tmp_path / "other.yaml"
    settings.write_text("account: another")
    async with Orders(desk.home, settings) as orders:
        handle = await orders.place(OrderIntent(symbol=SYMBOL, side=Side.BUY, quantity=LOT))
        assert handle.order_id.startswith("order:another:")
        assert (await handle.cancel(timeout=0)).account == "another"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"quantity": 0}, "quantity: Input must be greater than 0|quantity: must be greater than 0, was 0"),
        ({"symbol": "INFY"}, "symbol: must be an exchange and a tradingsymbol, as in NSE:INFY, was 'INFY'"),
        ({"order_type": "LIMIT"}, "price: a LIMIT order needs one"),
        ({"order_type": "STOP"}, "order_type: must be"),
        ({"price": 100}, "price: a MARKET order takes none"),
        ({"client_order_id": ""}, "client_order_id: must be 1 to 64"),
    ],
)
async def test_what_is_no_order_is_the_domains_error(desk: Program, wrong: dict[str, Any], said: str) -> None:
    content: dict[str, Any] = {"symbol": SYMBOL, "quantity": LOT} | wrong
    async with Orders(desk.home) as orders:
        with pytest.raises(errors.InvalidOrder, match=said):
            await orders.buy(**content)


async def test_it_says_when_it_is_not_connected(tmp_path: Path) -> None:
    with pytest.raises(errors.NotConnected, match="async with Orders"):
        await Orders(tmp_path).positions()
    with pytest.raises(errors.ServerUnreachable, match="durable-orders up --home"):
        await Orders.connect(tmp_path)


def test_without_await_it_says_the_same(desk: Program, own_id: str) -> None:
    with OrdersSync(desk.home) as orders:
        intent = OrderIntent(symbol=SYMBOL, side=Side.BUY, quantity=LOT, client_order_id=own_id)
        order = orders.place_and_wait(intent)
        ended = orders.handle(own_id).result()
        assert (ended.order_id, ended.status) == (order.order_id, Status.FILLED)
        following = orders.follow(after=0)
        assert next(following).type is EventType.ORDER_RECEIVED
        following.close()
        assert {position.symbol for position in orders.positions()} == {SYMBOL}
        with pytest.raises(errors.OrderNotFound):
            orders.get("never-placed")


async def test_it_works_where_a_loop_runs_and_from_several_threads(desk: Program, own_id: str) -> None:
    with OrdersSync(desk.home) as orders, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(orders.buy, SYMBOL, LOT, client_order_id=f"{own_id}.{n}") for n in range(4)]
        ids = {future.result().order_id for future in asked}
        assert {orders.handle(order_id).result().status for order_id in ids} == {Status.FILLED}


def test_closing_ends_its_thread_and_what_waits_in_it(desk: Program, own_id: str) -> None:
    before = threading.active_count()
    orders = OrdersSync(desk.home).open()
    handle = orders.buy(SYMBOL, LOT, order_type="LIMIT", price=FAR_BELOW, client_order_id=own_id)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(handle.result)
        while not waiting.running():
            continue
        orders.close()
        with pytest.raises(errors.NotConnected):
            waiting.result()
    orders.close()
    with pytest.raises(errors.NotConnected, match="closed"):
        orders.positions()
    assert threading.active_count() == before
    with OrdersSync(desk.home) as again:
        assert again.cancel(own_id).status is Status.CANCELLED


def test_its_own_thread_is_not_blocked(desk: Program) -> None:
    with OrdersSync(desk.home) as orders:

        async def ask() -> None:
            orders.positions()

        with pytest.raises(RuntimeError, match="would wait for itself"):
            orders._loop.run(ask())


async def test_following_tells_from_any_point(desk: Program, own_id: str) -> None:
    async with Orders(desk.home) as orders, asyncio.timeout(60):
        await (await orders.buy(SYMBOL, LOT, client_order_id=own_id)).result()
        recorded = await orders.handle(own_id).events()
        told = []
        async for event in orders.follow(after=recorded[0].feed_id):
            if event.data.get("order_id") == recorded[0].order_id:
                told.append(event)
            if event.type is EventType.POSITION_UPDATED and told:
                break
        assert [event.feed_id for event in told if event.type is not EventType.POSITION_UPDATED] == [
            event.feed_id for event in recorded[1:]
        ]
        [moved] = [event for event in told if event.type is EventType.POSITION_UPDATED]
        assert (moved.data["symbol"], moved.data["qty"]) == (SYMBOL, LOT)


async def test_a_long_feed_does_not_end_silently(desk: Program, own_id: str) -> None:
    """As many as were asked for came: so there may be more, behind the last one."""
    async with Orders(desk.home) as orders:
        await (await orders.buy(SYMBOL, LOT, client_order_id=own_id)).result()
        whole = await orders.events()
        assert len(whole) > 3
        first = await orders.events(limit=3)
        behind = await orders.events(first[-1].feed_id, limit=2)
        assert [*first, *behind] == whole[:5]
        with pytest.raises(ValueError, match="limit: must be at least 1, was 0"):
            await orders.events(limit=0)
