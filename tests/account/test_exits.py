"""Exits to their proof, over a broker that does as a test says: repriced, alerted, taken up again after an outage."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_orders import halting
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState, Permission, permission_of, set_state_within
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode, OrderType, Side, Status
from tests.account.test_closing import bought, halted, sent_to_close
from tests.conftest import eventually
from tests.trading.ledger.examples import history, new_order, record_all
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk, at_work
from tests.workflows.scripted_broker import PRICE, fills_at_once, refuses, takes

EXITS: dict[str, dict[str, Any]] = {"exits": {"interval": 1.0}}
QUICK: dict[str, Any] = {"positions_window": 0.3, "stale_tick_seconds": 3600.0, "sections": EXITS}


def show(desk: Desk, price: Decimal = PRICE) -> None:
    now = datetime.now(UTC)
    with desk.parts.database.write() as connection:
        save_ticks(connection, desk.account, [Tick(INFY, price, now, 0)], now)


def limits(desk: Desk) -> list[tuple[Decimal | None, OrderType | None]]:
    return [(change.price, change.order_type) for change in desk.broker.changes]


async def alerts(desk: Desk, words: str) -> list[str]:
    return [
        event.message
        for event in await desk.orders.events()
        if event.type is EventType.ALERT and words in event.message
    ]


async def changed(desk: Desk, times: int) -> None:
    async def is_so() -> bool:
        return len(desk.broker.changes) >= times

    await eventually(is_so, f"{times} changes")


async def test_what_rests_is_repriced_until_it_fills_and_the_cost_is_told(desks: Desks) -> None:
    desk = await desks(**QUICK)
    show(desk)
    await bought(desk)
    desk.broker.on_place.append(takes)
    out = asyncio.create_task(halted(desk))
    await changed(desk, 2)
    own = list(desk.broker.rows)[-1]
    desk.broker.trade(own, 10, Decimal("1485.0"))
    await desk.look()
    result = await out
    assert limits(desk)[:2] == [(Decimal("1492.5"), OrderType.LIMIT), (Decimal("1485.0"), None)]
    assert result.is_flat
    assert [str(cost) for cost in result.costs] == [
        f"{INFY} MIS: 10 sold at 1485 on average, 1500 when it began: it cost 150.00 rupees"
    ]
    told, *_ = await alerts(desk, "is not closed yet")
    assert told.startswith(f"{INFY} MIS is not closed yet: SELL 10 {INFY} MARKET MIS rests, 10 of it are left")


async def test_an_exit_goes_on_after_an_outage_in_the_middle(desks: Desks) -> None:
    desk = await desks(staffed=False, **QUICK | {"positions_window": 60.0})
    show(desk)
    asked = FlattenRequest(account=desk.account, reason="lunch", who="by a test", flatten=True, until_resumed=False)
    async with at_work(desk):
        await bought(desk)
        desk.broker.on_place.append(takes)
        out = asyncio.create_task(halting.flatten(desk.client, asked))
        await changed(desk, 1)
    own = list(desk.broker.rows)[-1]
    desk.broker.trade(own, 4)
    before = len(desk.broker.changes)
    async with at_work(desk):
        await desk.look()
        await changed(desk, before + 1)
        desk.broker.trade(own, 6)
        await desk.look()
        result = await out
    assert result is not None
    assert result.is_flat
    assert len(sent_to_close(desk)) == 1, "the same order, repriced"


async def test_it_stops_for_nobody_but_a_human(desks: Desks) -> None:
    """More refusals than a human is asked after, and then it fills; a halt ends it."""
    desk = await desks(**QUICK)
    show(desk)
    await bought(desk)
    desk.broker.on_place.extend([refuses] * 2 + [takes])
    out = asyncio.create_task(halted(desk))
    await changed(desk, 1)
    halting.halt(desk.parts.database, desk.parts.settings, "stop", state=AccountState.HALTED, who="by a test")
    result = await out
    assert result.state is AccountState.HALTED
    assert not result.is_flat
    assert [order.status for order in result.closed] == [Status.REJECTED, Status.REJECTED, Status.CANCELLED]
    assert desk.broker.rows[list(desk.broker.rows)[-1]].state is BookState.CANCELLED
    assert [order.order_type for order in desk.broker.sent[1:]] == [
        OrderType.MARKET,
        OrderType.LIMIT,
        OrderType.LIMIT,
    ], "what is refused as MARKET is tried as a LIMIT"


async def test_an_order_for_more_than_is_left_is_withdrawn(desks: Desks) -> None:
    """Somebody closes by hand while it rests."""
    desk = await desks(**QUICK)
    show(desk)
    await bought(desk)
    desk.broker.on_place.append(takes)
    out = asyncio.create_task(halted(desk))
    await changed(desk, 1)
    desk.broker.held_besides = {(INFY, "MIS"): -10}
    result = await out
    assert [(order.status, order.filled_quantity) for order in result.closed] == [(Status.CANCELLED, 0)]
    assert len(sent_to_close(desk)) == 1


async def test_flatten_tells_flat_only_when_the_broker_is_flat(desks: Desks) -> None:
    """The closing order is filled, and the broker goes on showing the shares: then more has been bought elsewhere."""
    desk = await desks(**QUICK)
    show(desk)
    await bought(desk)
    desk.broker.on_place.append(fills_at_once)
    desk.broker.held_besides = {(INFY, "MIS"): 3}
    result = await halted(desk)
    assert sent_to_close(desk)[-1][1:] == (Side.SELL, 10)
    assert not result.is_flat
    assert [(each.ours, each.theirs) for each in result.differences] == [(0, 3)]


async def test_a_trips_reducing_does_not_end_while_positions_are_being_closed(desks: Desks) -> None:
    """Midnight comes while the closing order rests."""
    desk = await desks(**QUICK)
    show(desk)
    await bought(desk)
    midnight = datetime.now(UTC) + timedelta(seconds=1)
    trip = Permission(AccountState.REDUCING, "MAX_DAILY_LOSS", "by the breaker", datetime.now(UTC), midnight)
    with desk.parts.database.write() as connection:
        set_state_within(connection, desk.account, trip)
    asked = FlattenRequest(account=desk.account, reason="loss", who="by the breaker", flatten=True)
    desk.broker.on_place.append(takes)
    out = asyncio.create_task(halting.flatten(desk.client, asked))
    await changed(desk, 2)
    standing = await desk.orders.read(lambda ledger: permission_of(ledger, desk.account))
    assert standing.state is AccountState.REDUCING
    assert standing.until is not None
    assert standing.until > midnight
    desk.broker.trade(list(desk.broker.rows)[-1], 10)
    await desk.look()
    result = await out
    assert result is not None
    assert result.is_flat


async def test_between_the_sessions_it_waits_visibly_and_sends_nothing(desks: Desks) -> None:
    """Neither a regular order nor one of after the market: it would be of tomorrow's market."""
    today = datetime.now(UTC).astimezone(IST).date()
    shut = [{"date": today + timedelta(days=days), "closed": True} for days in range(3)]
    market = {"market": {"calendar": "XNSE", "exceptions": shut}}
    desk = await desks(mode=Mode.LIVE, positions_window=0.3, sections=EXITS | market)
    real = new_order(account=desk.account, mode=Mode.LIVE, quantity=10)
    record_all(desk.parts.database, history(real, [(10, PRICE)], BookState.COMPLETE))
    desk.broker.held_besides = {(INFY, "MIS"): 10}
    asked = FlattenRequest(account=desk.account, reason="loss", who="by a test", flatten=True, until_resumed=False)
    out = asyncio.create_task(halting.flatten(desk.client, asked))

    async def told() -> bool:
        return bool(await alerts(desk, f"{INFY} is not traded before"))

    await eventually(told)
    assert desk.broker.sent == []
    assert not out.done()
    halting.halt(desk.parts.database, desk.parts.settings, "stop", state=AccountState.HALTED, who="by a test")
    halting_again = await halting.flatten(desk.client, asked)
    assert halting_again is not None
    assert not halting_again.is_flat
    await out
    assert desk.broker.sent == []
