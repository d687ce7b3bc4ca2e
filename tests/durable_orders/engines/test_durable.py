"""The engines over durable workflows: a paper desk that is up, and a live one against the sandbox."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from durable_orders import Orders
from durable_orders.engines import LiveExecutionEngine, PaperExecutionEngine
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.errors import InvalidOrder, InvalidSettings, OrderNotFound
from durable_orders.v2 import GuardianDecision, StateStore
from tests.conftest import MakeHome, eventually
from tests.durable_orders.conftest import FAR_BELOW
from tests.durable_orders.engines.conftest import older
from tests.durable_orders.program import Program
from tests.live.conftest import Desks

LIMIT: dict[str, Any] = {"order_type": "LIMIT", "price": float(FAR_BELOW)}


def future(own_id: str, **fields: Any) -> Any:
    return older("NIFTY25MAYFUT", order_id=own_id, qty=75, tags={"confidence": 0.5}, **fields)


async def test_a_paper_order_lives_on_the_server(desk: Program, own_id: str, state_store: StateStore) -> None:
    """Placed by one engine, and found, cancelled and booked by the next."""
    first = PaperExecutionEngine(config={"execution": {"home": desk.home}}, state_store=state_store)
    bought = await first.place_order(future(own_id))
    while not bought.status.terminal:
        [bought] = [order for order in await first.poll_orders() if order.client_order_id == own_id]
    resting = await first.place_order(future(f"{own_id}-2", **LIMIT))
    assert (bought.status, resting.status, resting.tags) == ("FILLED", "PLACED", {"confidence": 0.5})
    await first.close()
    second = PaperExecutionEngine(home=desk.home, state_store=state_store)
    assert resting in await second.poll_orders()
    assert await second.place_order(future(own_id)) == bought
    ended = await second.cancel_order(resting.client_order_id)
    assert (ended.order_id, ended.status) == (resting.order_id, "CANCELLED")
    await second.close()
    state = state_store.load()
    [position] = state["positions"]
    assert (position["symbol"], position["qty"], position["avg_price"]) == ("NIFTY25MAYFUT", 75, bought.avg_price)
    assert state["open_orders"] == []


async def test_an_order_that_no_worker_has_taken_is_found_too(make_home: MakeHome) -> None:
    """As after a crash between the start of an order and its first step."""
    home = make_home()
    async with Orders(home.path) as orders:
        await orders.buy("NSE:INFY", 10, client_order_id="started")
    engine = PaperExecutionEngine(home=home.path)
    [order] = await eventually(engine.poll_orders, "the order is listed")
    assert (order.client_order_id, order.status, order.quantity) == ("started", "PENDING", 10)
    await engine.close()


async def test_its_bus_tells_what_the_ledger_recorded(desk: Program, own_id: str) -> None:
    bus = EventBus()
    engine = PaperExecutionEngine(home=desk.home, event_bus=bus)
    await engine.poll_orders()
    told = bus.stream()
    order = await engine.place_order(future(own_id))
    async with asyncio.timeout(60), Orders(desk.home) as orders:
        kinds = []
        async for event in told:
            if event.data["order_id"] == order.order_id:
                kinds.append(event.type)
            if kinds and kinds[-1] == "position_updated":
                break
        recorded = [event.type for event in await orders.handle(order.order_id).events()]
    assert [kind for kind in kinds if kind != "position_updated"] == recorded
    await engine.close()


async def test_the_callers_guardian_comes_before_the_server(desk: Program, own_id: str) -> None:
    class Strict:
        def validate_pre_trade(self, intent: Any, market_snapshot: Any) -> GuardianDecision:
            return GuardianDecision(intent.qty < 75, "too many")

    engine = PaperExecutionEngine(home=desk.home, guardian=Strict())
    order = await engine.place_order(future(own_id))
    assert (order.status, order.message) == ("REJECTED", "Guardian blocked: too many")
    with pytest.raises(ValueError, match="Order never-placed not found"):
        await engine.cancel_order("never-placed")
    await engine.close()
    async with Orders(desk.home) as orders:
        with pytest.raises(OrderNotFound):
            await orders.get(own_id)


async def test_an_order_on_the_server_is_changed_through_both_guardians(
    desk: Program, own_id: str, state_store: StateStore
) -> None:
    class Strict:
        def validate_pre_trade(self, intent: Any, market_snapshot: Any) -> GuardianDecision:
            return GuardianDecision(intent.qty < 225, "too many")

    engine = PaperExecutionEngine(home=desk.home, guardian=Strict(), state_store=state_store)
    placed = await engine.place_order(future(own_id, **LIMIT))
    amended = await engine.amend_order(own_id, price="20010", quantity=150)
    assert (amended.order_id, amended.status, amended.price, amended.qty) == (
        placed.order_id,
        "PLACED",
        Decimal(20010),
        150,
    )
    [kept] = state_store.load()["open_orders"]
    assert (kept["price"], kept["quantity"]) == (20010.0, 150)
    with pytest.raises(InvalidOrder, match="not done: Guardian blocked: too many"):
        await engine.amend_order(own_id, quantity=225)
    with pytest.raises(InvalidOrder, match="LOT_SIZE: quantity must be a multiple of the lot of 75, was 76"):
        await engine.amend_order(own_id, quantity=76)
    with pytest.raises(ValueError, match="Order never-placed not found"):
        await engine.amend_order("never-placed", quantity=75)
    assert (await engine.cancel_order(own_id)).qty == 150
    await engine.close()


async def test_paper_orders_never_become_real_ones(desk: Program, own_id: str) -> None:
    engine = LiveExecutionEngine(home=desk.home)
    with pytest.raises(InvalidSettings, match=r"execution.mode: the home's is paper, and this engine's is live"):
        await engine.place_order(future(own_id))
    await engine.close()


async def test_a_live_order_goes_over_the_home_of_a_live_account(desks: Desks, state_store: StateStore) -> None:
    desk = await desks()
    engine = LiveExecutionEngine(home=desk.home.path, state_store=state_store)
    resting = await engine.place_order(older(order_type="LIMIT", price=1400.0))
    assert (resting.status, resting.mode, resting.account) == ("PLACED", "live", desk.settings.account)
    assert len(desk.venue.rows(tag=resting.tag)) == 1
    ended = await engine.cancel_order(resting.order_id)
    assert ended.status == "CANCELLED"
    await engine.close()


async def test_what_is_asked_at_once_is_booked_once(desk: Program, own_id: str, state_store: StateStore) -> None:
    engine = PaperExecutionEngine(home=desk.home, state_store=state_store)
    order = future(own_id)
    await asyncio.gather(*(engine.place_order(order) for _ in range(3)), *(engine.poll_orders() for _ in range(3)))
    await engine.cancel_order(own_id)
    await engine.close()
    assert [position["qty"] for position in state_store.load()["positions"]] == [75]
