"""Exits against Kite's own interface: MARKET orders that rest or are refused, and a broker that somebody else uses."""

import asyncio
import sys
from decimal import Decimal
from typing import Any

import pytest

from chaos.venue import INFY
from durable_orders import halting
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.trading.flatten.closing import FLATTEN
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.orders.order import Order, OrderType, Side, Status, Terms
from durable_orders.verify import verify_home
from tests.conftest import MAX_WAIT
from tests.crashes.processes import killed_itself, running
from tests.live.conftest import Desks
from tests.live.crashing_worker import Point
from tests.live.desk import Desk, at_work
from tests.live.test_external_orders import position

QUICK: dict[str, Any] = {"live": {"positions_window": 0.5}, "exits": {"interval": 1.0}}


async def flattened(desk: Desk, **more: Any) -> FlattenResult:
    account = desk.settings.account
    asked = FlattenRequest(account=account, reason="enough", who="by a test", flatten=True, until_resumed=False, **more)
    result = await halting.flatten(desk.orders.client, asked, MAX_WAIT)
    assert result is not None
    return result


async def while_the_market_goes_on(desk: Desk, *work: "asyncio.Task[Any]") -> None:
    """Until all of it is done. A limit needs a recent price."""
    while not all(each.done() for each in work):
        await desk.venue.tick(Decimal(1500))
        await asyncio.wait(work, timeout=0.5)


async def closing_orders(desk: Desk) -> list[Order]:
    account = desk.settings.account
    return await desk.orders.read(lambda ledger: list_orders(ledger, account, strategy=FLATTEN))


async def test_market_with_protection_becomes_a_limit_and_rests(desks: Desks) -> None:
    """The price moved on while the order came: it stands above the market, and is repriced until it fills."""
    desk = await desks(**QUICK)
    assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
    await desk.venue.fault(FaultKind.MARKET_RESTS)
    out = asyncio.create_task(flattened(desk))
    await while_the_market_goes_on(desk, out)
    result = await out
    assert result.is_flat
    assert [(order.status, order.filled_quantity) for order in result.closed] == [(Status.FILLED, 10)]
    assert await position(desk) == 0
    [closing] = await closing_orders(desk)
    assert closing.order_type is OrderType.LIMIT
    assert closing.price is not None
    assert closing.price < Decimal(1500), "it stood at 1545 when it came"
    assert await desk.venue.struck(FaultKind.MARKET_RESTS) == 1
    (cost,) = result.costs
    assert (cost.quantity, cost.start_price) == (-10, Decimal(1500))
    assert (await verify_home(desk.orders, desk.home)).differences == ()


async def test_market_in_an_option_that_takes_none_is_refused_and_a_limit_gets_out(desks: Desks) -> None:
    """Kite refuses MARKET deep in an index option, which no rule here can know."""
    desk = await desks(**QUICK)
    assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
    await desk.venue.fault(FaultKind.MARKET_REFUSED)
    out = asyncio.create_task(flattened(desk))
    await while_the_market_goes_on(desk, out)
    closed = [(order.status, order.summary.split()[3]) for order in (await out).closed]
    assert closed == [(Status.REJECTED, "MARKET"), (Status.FILLED, "LIMIT")]
    assert await position(desk) == 0


async def test_run_square_off_after_somebody_else_closed_sells_nothing(desks: Desks) -> None:
    """While the home was down. What a run asks for at its square-off is what its own trades have come to."""
    desk = await desks(staffed=False, **QUICK)
    async with at_work(desk):
        held = await desk.place(OrderType.MARKET, strategy="breakout")
        assert (await held.result()).status is Status.FILLED
    await desk.venue.place_foreign(Terms(symbol=INFY, side=Side.SELL, quantity=10))
    async with at_work(desk):
        result = await flattened(desk, strategy="breakout")
    assert result.closed == ()
    assert await position(desk) == 0


@pytest.mark.parametrize("point", [Point.BEFORE_MODIFY, Point.AFTER_MODIFY])
async def test_an_exit_goes_on_where_its_worker_was_killed(desks: Desks, point: Point) -> None:
    """In the middle of giving the order another limit."""
    desk = await desks(staffed=False, **QUICK)
    words = (sys.executable, "-m", "tests.live.crashing_worker", str(desk.home.path), point)
    with running(desk.home, *words) as process:
        assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
        await desk.venue.fault(FaultKind.MARKET_RESTS)
        out = asyncio.create_task(flattened(desk))
        await while_the_market_goes_on(desk, asyncio.create_task(killed_itself(process, desk.home)))
    async with at_work(desk):
        await while_the_market_goes_on(desk, out)
    result = await out
    assert result.is_flat
    *given_up, last = [(order.status, order.filled_quantity) for order in result.closed]
    assert last == (Status.FILLED, 10)
    # An exit that rests for long is cancelled and placed anew: on a busy machine the worker's start takes so long.
    assert given_up == [(Status.CANCELLED, 0)] * len(given_up)
    assert await position(desk) == 0
