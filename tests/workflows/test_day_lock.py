"""Day locks on the real server, over a scripted broker: the day ends at its target, its loss, or what it gives back."""

from decimal import Decimal

import pytest

from durable_orders import halting
from durable_orders.trading.config.settings import DayLock
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.guardian.catalogue import day_locks
from durable_orders.trading.guardian.day_lock import reached
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Side
from durable_orders.workers.supervision import ensure_watch
from tests.conftest import eventually
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk, now
from tests.workflows.scripted_broker import PRICE, fills_at
from tests.workflows.test_flatten import held, said, state, traded


def priced(desk: Desk, price: Decimal) -> None:
    with desk.parts.database.write() as connection:
        save_ticks(connection, desk.account, [Tick(INFY, price, now())], now())


def looks(desk: Desk, price: Decimal) -> list[bool]:
    """What two looks at that price come to."""
    priced(desk, price)
    return [desk.parts.watch.day_lock.look(), desk.parts.watch.day_lock.look()]


@pytest.mark.parametrize(
    ("lock", "profit", "best", "code"),
    [
        ({"target": 500}, "499.99", "600", None),
        ({"target": 500}, "500", "500", "DAY_TARGET"),
        ({"loss": 500}, "-499.99", "0", None),
        ({"loss": 500}, "-500", "0", "DAY_LOSS"),
        ({"trail": 200}, "-300", "199", None),
        ({"trail": 200}, "150", "350", "DAY_TRAIL"),
        ({"trail": 200, "trail_from": 1000}, "150", "350", None),
        ({"trail": 200, "trail_from": 1000}, "900", "1100", "DAY_TRAIL"),
        ({"target": 500, "loss": 100}, "0", "0", None),
    ],
)
def test_what_ends_a_day(lock: dict[str, int], profit: str, best: str, code: str | None) -> None:
    found = reached(DayLock.model_validate(lock), Decimal(profit), Decimal(best))
    assert (found.code if found is not None else None) == code


async def test_a_day_that_reaches_its_target_is_closed_and_takes_no_new_risk(desks: Desks) -> None:
    desk = await desks(guardian={"day_lock": {"target": 1000}})
    await traded(desk, Side.BUY, 10)
    priced(desk, PRICE + 50)
    desk.broker.on_place.append(fills_at(PRICE + 120))
    await ensure_watch(desk.client, desk.account)
    assert await state(desk) is AccountState.ACTIVE
    priced(desk, PRICE + 120)

    async def is_flat() -> bool:
        return not await held(desk)

    assert await eventually(is_flat, "a day that is closed")
    [words] = await said(desk, EventType.BREAKER_TRIPPED)
    assert words == "DAY_TARGET: the day has earned 1200.00 rupees, and its target is 1000 (open orders: flatten)"
    assert await state(desk) is AccountState.REDUCING
    refused = await (await desk.start()).result()
    assert refused.reasons[0].startswith("REDUCING")


async def test_one_odd_price_ends_no_day_and_the_best_of_the_day_is_kept(desks: Desks) -> None:
    desk = await desks(guardian={"day_lock": {"loss": 500, "trail": 300}}, staffed=True)
    await traded(desk, Side.BUY, 10)
    watch = desk.parts.watch.day_lock
    priced(desk, PRICE - 100)
    assert not watch.look()
    priced(desk, PRICE)
    assert not watch.look()
    assert looks(desk, PRICE + 40) == [False, False]
    desk.parts.watch.day_lock = type(watch)(
        *(desk.account, desk.parts.database, desk.parts.executor, day_locks(desk.parts.settings)),
        lambda: None,
    )
    assert looks(desk, PRICE + 10) == [False, True]
    assert looks(desk, PRICE - 100) == [False, False], "once a day"


async def test_without_a_price_of_now_no_day_is_ended(desks: Desks) -> None:
    desk = await desks(guardian={"day_lock": {"loss": 1}})
    await traded(desk, Side.BUY, 10)
    assert [desk.parts.watch.day_lock.look(), desk.parts.watch.day_lock.look()] == [False, False]
    assert not await said(desk, EventType.BREAKER_TRIPPED)


async def test_the_day_of_one_strategy_is_closed_and_the_others_go_on(desks: Desks) -> None:
    """Two strategies hold the same; the one that may lose less is closed, and what it asks for then is refused."""
    lock = {"strategies": {"weekly": {"day_lock": {"loss": 500}}}}
    desk = await desks(guardian=lock)
    await traded(desk, Side.BUY, 10, strategy="weekly")
    await traded(desk, Side.BUY, 20, strategy="daily")
    desk.broker.on_place.append(fills_at(PRICE - 60))
    priced(desk, PRICE - 60)
    await ensure_watch(desk.client, desk.account)

    async def is_closed() -> bool:
        return await held(desk) == {INFY: 20}

    assert await eventually(is_closed, "a strategy's day that is closed")
    [words] = await said(desk, EventType.BREAKER_TRIPPED)
    reason = "the day of weekly has lost 600.00 rupees, and may lose 500"
    assert words == f"DAY_LOSS: {reason} (open orders: flatten)"
    assert await state(desk) is AccountState.ACTIVE
    refused = await (await desk.start(strategy="weekly")).result()
    assert refused.reasons == (f"STRATEGY_DAY_OVER: weekly only takes orders that reduce what it holds: {reason}",)
    await traded(desk, Side.BUY, 5, strategy="daily")
    assert await held(desk) == {INFY: 25}


async def test_what_a_flatten_of_the_account_has_closed_is_not_the_strategys_any_more(desks: Desks) -> None:
    """Its books still have it: it moves no lock, and what is over does not sell it again."""
    desk = await desks(guardian={"strategies": {"weekly": {"day_lock": {"loss": 500}}}})
    await traded(desk, Side.BUY, 10, strategy="weekly")
    priced(desk, PRICE)
    await ensure_watch(desk.client, desk.account)
    desk.broker.on_place.append(fills_at(PRICE))
    out = FlattenRequest(account=desk.account, reason="x", who="by a test", flatten=True, until_resumed=False)
    await halting.flatten(desk.client, out)
    assert await held(desk) == {}
    assert [*looks(desk, PRICE - 60), *looks(desk, PRICE - 60)] == [False] * 4
    priced(desk, PRICE)
    await traded(desk, Side.BUY, 10, strategy="weekly")
    desk.broker.on_place.append(fills_at(PRICE - 60))
    priced(desk, PRICE - 60)

    async def is_closed() -> bool:
        return bool(await said(desk, EventType.BREAKER_TRIPPED)) and not await held(desk)

    await eventually(is_closed, "a strategy's day that is closed")
    [words] = await said(desk, EventType.BREAKER_TRIPPED)
    assert words.startswith("DAY_LOSS: the day of weekly has lost 600.00 rupees")
    refused = await (await desk.start(side=Side.SELL, strategy="weekly")).result()
    assert refused.reasons[0].startswith("STRATEGY_DAY_OVER")
