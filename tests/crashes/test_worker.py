"""The worker is killed at each step of an order's life. It ends as it would have without that, every time.

The scenarios wait most of their time, for the server to notice the crash, so they run side by side.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.ledger.accounts import set_halt
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.orders.order import Order, Status
from durable_orders.workers.home import Home, ServerAddress
from tests.conftest import write_home
from tests.crashes.agreement import assert_agreement
from tests.crashes.conftest import IN_HALVES, LAST, NEXT_TICK, buy, market, market_shows
from tests.crashes.crashing_worker import Point
from tests.crashes.processes import crashing_worker, killed_itself, worker

AT_ONCE = 4
MARKETABLE, FAR = Decimal("1510.0"), Decimal("1400.0")


@dataclass(frozen=True)
class Site:
    home: Home
    orders: Orders

    async def place(self, price: Decimal | None, quantity: int = 10) -> OrderHandle:
        return await self.orders.place(buy(self.orders, price, quantity=quantity, client_order_id="mine"))


Act = Callable[[Site], Awaitable[object]]


@dataclass(frozen=True)
class Scenario:
    """What is done with the order `mine`, and how that must end."""

    name: str
    points: tuple[Point, ...]
    act: Act
    status: Status
    filled: int = 0
    at_the_exchange: int = 1
    meanwhile: Act | None = None
    """What happens while no worker is there."""
    paper: dict[str, Any] | None = None


async def limit(site: Site) -> None:
    await site.place(MARKETABLE)


async def market_order(site: Site) -> None:
    await site.place(None)


async def a_hundred(site: Site) -> None:
    await site.place(MARKETABLE, quantity=100)


async def resting(site: Site) -> None:
    await site.place(FAR)


async def cancel(site: Site) -> None:
    await site.orders.client.get_workflow_handle(site.orders.handle("mine").order_id).signal("cancel")


async def cancel_resting(site: Site) -> None:
    order = await site.place(FAR)
    assert (await order.placed(60)).status is Status.PLACED
    await cancel(site)


async def halt(site: Site, reason: str | None) -> None:
    with open_database(site.home.ledger_url(site.orders.settings)) as database:
        set_halt(database, site.orders.settings.account, reason, datetime.now(UTC))


async def limit_while_halted(site: Site) -> None:
    await halt(site, "for lunch")
    await site.place(MARKETABLE)


resume = partial(halt, reason=None)
GUARD, PLACE = (Point.BEFORE_GUARD, Point.AFTER_GUARD), (Point.BEFORE_PLACE, Point.AFTER_PLACE)
RECORD, CANCEL = (Point.BEFORE_RECORD, Point.AFTER_RECORD), (Point.BEFORE_CANCEL, Point.AFTER_CANCEL)
WATCH = (Point.BETWEEN_BOOK_AND_TRADES, Point.BEFORE_REPORT, Point.AFTER_REPORT)
SCENARIOS = (
    Scenario("limit", (*GUARD, *PLACE, *RECORD), limit, Status.FILLED, 10),
    Scenario("market", (Point.AFTER_PLACE,), market_order, Status.FILLED, 10),
    Scenario("market never sent", (Point.BEFORE_PLACE,), market_order, Status.REJECTED, at_the_exchange=0),
    Scenario("cancel", CANCEL, cancel_resting, Status.CANCELLED),
    Scenario("cancelled meanwhile", RECORD, resting, Status.CANCELLED, meanwhile=cancel),
    Scenario(
        "refused, then resumed",
        (Point.AFTER_RECORD,),
        limit_while_halted,
        Status.REJECTED,
        at_the_exchange=0,
        meanwhile=resume,
    ),
    Scenario("filled by ticks", WATCH, a_hundred, Status.FILLED, 100, paper=NEXT_TICK | IN_HALVES),
)
CRASHES = [(scenario, point) for scenario in SCENARIOS for point in scenario.points]
Ends = dict[tuple[str, Point], "asyncio.Task[tuple[Home, Order]]"]


async def crashed(scenario: Scenario, point: Point, home: Home) -> Order:
    """The order's end, after a crash at that point and a restart with the plain worker."""
    async with await Orders.connect(home.path) as orders:
        site = Site(home, orders)
        with crashing_worker(home, point) as process:
            await market_shows(orders, process)
            await scenario.act(site)
            await killed_itself(process, home)
        if scenario.meanwhile:
            await scenario.meanwhile(site)
        with worker(home):
            return await orders.handle("mine").result()


@pytest.fixture(scope="module")
async def ends(
    temporal_server: ServerAddress, steady_ticks: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ends]:
    """The end of each scenario, under way."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(scenario: Scenario, point: Point) -> tuple[Home, Order]:
        async with turn:
            home = write_home(tmp_path_factory.mktemp("crash"), market(steady_ticks, **scenario.paper or {}))
            home.save_address(temporal_server)
            return home, await crashed(scenario, point, home)

    tasks = {(scenario.name, point): asyncio.create_task(run(scenario, point)) for scenario, point in CRASHES}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize(("scenario", "point"), CRASHES, ids=[f"{each.name}: {point}" for each, point in CRASHES])
async def test_ends_as_without_the_crash(ends: Ends, scenario: Scenario, point: Point) -> None:
    home, ended = await ends[scenario.name, point]
    assert (ended.status, ended.filled_quantity) == (scenario.status, scenario.filled), ended.reasons
    assert ended.average_price == (LAST if scenario.filled else None)
    assert_agreement(home.ledger_url(home.settings()), ended, at_the_exchange=scenario.at_the_exchange)
