"""Breakers that trip when a fill is booked, and flatten: on the real server, over a scripted broker."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from temporalio.service import RPCError

from chaos import acts
from durable_orders import halting
from durable_orders.trading.errors import BrokenError
from durable_orders.trading.flatten.closing import FLATTEN
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderType, Side, Status
from durable_orders.workers.supervision import ensure_watch
from durable_orders.workflows.names import flatten_id, watch_id
from tests.conftest import eventually, until
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk, at_work
from tests.workflows.scripted_broker import PRICE, fills_at, takes, takes_and_loses_the_answer

LOSING = Decimal("1400.0")


async def traded(desk: Desk, side: Side, quantity: int, price: Decimal = PRICE, **terms: Any) -> Order:
    order = await desk.start(fills_at(price), order_type=OrderType.MARKET, side=side, quantity=quantity, **terms)
    return await order.result()


async def lose(desk: Desk) -> None:
    """Buy ten, and sell five of them for 500 rupees less."""
    await traded(desk, Side.BUY, 10)
    await traded(desk, Side.SELL, 5, LOSING)


async def state(desk: Desk) -> AccountState:
    return (await desk.orders.read(lambda ledger: permission_of(ledger, desk.account))).state


async def held(desk: Desk) -> dict[str, int]:
    return {position.symbol: position.quantity for position in await desk.orders.positions() if position.quantity}


async def said(desk: Desk, kind: EventType) -> list[str]:
    return [event.message for event in await desk.orders.events() if event.type is kind]


async def flattened(desk: Desk, **request: Any) -> FlattenResult:
    """What `halt` does, and how it ended."""
    asked = FlattenRequest(account=desk.account, reason="lunch", who="by a test", **request)
    first = AccountState.REDUCING if asked.flatten else AccountState.HALTED
    await asyncio.to_thread(
        halting.halt, desk.parts.database, desk.parts.settings, asked.reason, state=first, who=asked.who
    )
    result = await halting.flatten(desk.client, asked)
    assert result is not None
    return result


async def test_a_loss_trips_with_its_fill_and_gets_the_account_out(desks: Desks) -> None:
    desk = await desks(guardian={"max_daily_loss": 100, "on_trip": "flatten"})
    await ensure_watch(desk.client, desk.account)
    resting = await desk.resting(quantity=7, price=Decimal("1450.0"))
    desk.broker.on_place.extend([fills_at(PRICE), fills_at(LOSING), fills_at(LOSING)])
    for side, quantity in ((Side.BUY, 10), (Side.SELL, 5)):
        order = await desk.orders.place(desk.intent(OrderType.MARKET, side=side, quantity=quantity))
        await order.result()
    assert await state(desk) is AccountState.REDUCING, "it trips with the fill, before anybody asks for an order"
    assert (await resting.result()).status is Status.CANCELLED

    async def is_flat() -> bool:
        return not await held(desk)

    await eventually(is_flat)
    await desk.client.get_workflow_handle(flatten_id(desk.account)).result()
    closing = [order for order in desk.broker.sent if order.strategy == FLATTEN]
    assert [(order.side, order.quantity, order.symbol) for order in closing] == [(Side.SELL, 5, INFY)]
    [words] = await said(desk, EventType.BREAKER_TRIPPED)
    assert words.startswith("MAX_DAILY_LOSS: the day's loss may be at most 100 rupees, and is 500")
    refused = await (await desk.start()).result()
    assert refused.reasons[0].startswith("REDUCING: the account only takes orders that reduce a position")
    resumed = halting.resume(desk.parts.database, desk.parts.settings, "", who="by a test")
    assert resumed.state is AccountState.ACTIVE
    refused = await (await desk.start()).result()
    assert refused.reasons[0].startswith("MAX_DAILY_LOSS"), "a resumed account is still beyond its limit"


async def test_a_breaker_that_trips_while_nobody_watches_gets_the_account_out_once_the_watch_is_back(
    desks: Desks,
) -> None:
    desk = await desks(guardian={"max_daily_loss": 100, "on_trip": "flatten"})
    await ensure_watch(desk.client, desk.account)
    await acts.terminate(desk.client, watch_id(desk.account))
    await lose(desk)
    assert await state(desk) is AccountState.REDUCING, "no watch is needed for that"
    refused = await (await desk.start()).result()
    assert refused.reasons[0].startswith("REDUCING")
    assert await held(desk) == {INFY: 5}
    desk.broker.on_place.clear()
    desk.broker.on_place.append(fills_at(LOSING))
    await ensure_watch(desk.client, desk.account)

    async def is_flat() -> bool:
        return not await held(desk)

    await eventually(is_flat)
    handle = desk.client.get_workflow_handle(flatten_id(desk.account), result_type=FlattenResult)
    result = await handle.result()
    assert result.left + result.problems == ()
    assert [(order.side, order.quantity) for order in desk.broker.sent if order.strategy == FLATTEN] == [(Side.SELL, 5)]
    assert len(await said(desk, EventType.BREAKER_TRIPPED)) == 1


@pytest.mark.parametrize("response", ["keep", "cancel_open"])
async def test_what_a_trip_does_to_open_orders_is_a_setting(desks: Desks, response: str) -> None:
    desk = await desks(guardian={"max_loss_streak": 1, "on_trip": response})
    await ensure_watch(desk.client, desk.account)
    resting = await desk.resting(price=Decimal("1450.0"))
    await lose(desk)
    if response == "cancel_open":
        assert (await resting.result()).status is Status.CANCELLED
        await desk.client.get_workflow_handle(flatten_id(desk.account)).result()
    watch = desk.client.get_workflow_handle(f"watch:{desk.account}")

    async def is_told() -> bool:
        history = await watch.fetch_history()
        return any(event.HasField("workflow_execution_signaled_event_attributes") for event in history.events)

    await eventually(is_told, "the watch hears of every trip")
    assert (await resting.now()).status is (Status.PLACED if response == "keep" else Status.CANCELLED)
    assert await held(desk) == {INFY: 5}
    assert len(await said(desk, EventType.BREAKER_TRIPPED)) == 1
    assert [order.strategy for order in desk.broker.sent].count(FLATTEN) == 0


async def test_profits_trip_nothing(desks: Desks) -> None:
    desk = await desks(guardian={"max_daily_loss": 100, "max_daily_drawdown_pct": 1, "max_loss_streak": 1})
    await traded(desk, Side.BUY, 10)
    await traded(desk, Side.SELL, 10, PRICE + 1000)
    assert await state(desk) is AccountState.ACTIVE
    assert not await said(desk, EventType.BREAKER_TRIPPED)


async def test_a_risk_flag_stops_new_risk_until_it_is_cleared(desk: Desk) -> None:
    await traded(desk, Side.BUY, 10)
    flagged = await desk.orders.raise_flag("model-drift", "the model sees things", "by strategy breakout")
    assert (flagged.state, flagged.who) == (AccountState.REDUCING, "by strategy breakout")
    refused = await (await desk.start()).result()
    assert refused.reasons == (
        "REDUCING: the account only takes orders that reduce a position: risk flag model-drift: the model sees things",
    )
    assert (await traded(desk, Side.SELL, 4)).status is Status.FILLED, "what reduces the position passes"
    assert (await desk.orders.clear_flag("model-drift")).state is AccountState.ACTIVE
    assert (await (await desk.start()).placed()).status is Status.PLACED
    [tripped] = await said(desk, EventType.BREAKER_TRIPPED)
    assert tripped.startswith("RISK_FLAG: model-drift")
    assert len(await said(desk, EventType.RISK_FLAG)) == 2


async def test_a_flatten_survives_whoever_asked_and_closes_once(desks: Desks) -> None:
    """Asked twice while no worker runs, and interrupted: one order closes the position."""
    desk = await desks(staffed=False)
    async with at_work(desk):
        await traded(desk, Side.BUY, 10)
        resting = await desk.resting(side=Side.SELL, price=Decimal("1600.0"))
    asked = FlattenRequest(account=desk.account, reason="lunch", who="by a test", flatten=True, halt=True)
    halting.halt(desk.parts.database, desk.parts.settings, "lunch", state=AccountState.REDUCING, who="by a test")
    for _ in range(2):
        assert await halting.flatten(desk.client, asked, timeout=0.5) is None, "nobody works there"
    desk.broker.on_place.append(fills_at(LOSING))
    async with at_work(desk):
        result = await flattened(desk, flatten=True, halt=True)
    assert result.state is AccountState.HALTED
    assert result.left + result.problems == ()
    assert [order.status for order in result.cancelled] == [Status.CANCELLED]
    assert result.cancelled[0].order_id == resting.order_id
    assert [(order.status, order.filled_quantity) for order in result.closed] == [(Status.FILLED, 10)]
    assert [order.strategy for order in desk.broker.sent].count(FLATTEN) == 1
    assert await held(desk) == {}


async def test_who_waits_for_a_flatten_waits_through_a_reset(desks: Desks) -> None:
    desk = await desks(staffed=False)
    async with at_work(desk):
        await traded(desk, Side.BUY, 10)
        desk.broker.unreadable = True
        waiting = asyncio.create_task(flattened(desk, flatten=True))
        own = flatten_id(desk.account)

        async def has_begun() -> bool:
            try:
                return bool(await acts.reset_points(desk.client, own))
            except RPCError:
                return False

        await eventually(has_begun)
        await acts.reset(desk.client, own, (await acts.reset_points(desk.client, own))[0])
        desk.broker.on_place.append(fills_at(LOSING))
        desk.broker.unreadable = False
        result = await waiting
        assert result.left + result.problems == ()
    assert await held(desk) == {}


async def test_who_waits_for_a_flatten_that_is_terminated_is_told(desks: Desks) -> None:
    desk = await desks(staffed=False)
    waiting = asyncio.create_task(flattened(desk, flatten=True))
    own = flatten_id(desk.account)

    async def is_there() -> bool:
        try:
            return (await desk.client.get_workflow_handle(own).describe()).run_id != ""
        except RPCError:
            return False

    await eventually(is_there)
    await acts.terminate(desk.client, own)
    with pytest.raises(BrokenError, match="the flatten was ended from outside"):
        await waiting


async def test_what_is_unknown_is_not_closed_before_it_is_proved(desk: Desk) -> None:
    await traded(desk, Side.BUY, 10)
    desk.broker.unreadable = True
    lost = await desk.start(takes_and_loses_the_answer, side=Side.SELL, price=Decimal("1600.0"))
    await desk.event(lost, EventType.ALERT, "cannot be read")
    asked = FlattenRequest(account=desk.account, reason="lunch", who="by a test", flatten=True)
    halting.halt(desk.parts.database, desk.parts.settings, "lunch", state=AccountState.REDUCING, who="by a test")
    assert await halting.flatten(desk.client, asked, timeout=1) is None
    assert [order.strategy for order in desk.broker.sent].count(FLATTEN) == 0
    desk.broker.trade(list(desk.broker.rows)[-1], 4)
    desk.broker.unreadable = False
    desk.broker.on_place.append(fills_at(PRICE))
    result = await halting.flatten(desk.client, asked)
    assert result is not None
    assert [(order.status, order.filled_quantity) for order in result.cancelled] == [(Status.CANCELLED, 4)]
    assert [(order.status, order.filled_quantity) for order in result.closed] == [(Status.FILLED, 6)]
    assert await held(desk) == {}


async def test_an_order_of_a_stranger_is_cancelled_too(desk: Desk) -> None:
    by_hand = desk.intent(side=Side.BUY, price=Decimal("1450.0"))
    order = Order.from_intent(by_hand, by_hand.place_by).model_copy(update={"tag": None})  # type: ignore[arg-type]
    order_id = desk.broker.take(order)
    await desk.look()
    out = asyncio.create_task(flattened(desk))
    await until(lambda: desk.broker.rows[order_id].state is BookState.CANCELLED)
    await desk.look()
    result = await out
    assert [(order.order_id.split(":")[-1], order.status) for order in result.cancelled] == [
        (f"external-{order_id}", Status.CANCELLED)
    ]
    assert result.state is AccountState.HALTED


async def test_a_large_position_is_closed_in_orders_that_keep_the_limits(desks: Desks) -> None:
    desk = await desks(guardian={"max_order_quantity": 4, "max_orders_per_minute": {"account": 3}})
    for _ in range(3):
        await traded(desk, Side.BUY, 3)
    desk.broker.on_place.extend([fills_at(PRICE)] * 3)
    result = await flattened(desk, flatten=True, halt=True)
    assert [order.filled_quantity for order in result.closed] == [4, 4, 1]
    assert result.state is AccountState.HALTED


async def test_nothing_new_is_sent_while_the_account_is_halted(desk: Desk) -> None:
    await traded(desk, Side.BUY, 10)
    halting.halt(desk.parts.database, desk.parts.settings, "lunch", state=AccountState.HALTED, who="by a test")
    before = len(desk.broker.sent)
    out = await (await desk.start(takes, order_type=OrderType.MARKET, side=Side.SELL)).result()
    assert (out.status, out.reasons) == (Status.REJECTED, ("HALTED: the account is halted: lunch",))
    assert len(desk.broker.sent) == before
