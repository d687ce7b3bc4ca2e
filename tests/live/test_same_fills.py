"""The same strategy on the same ticks: in a backtest, on paper over durable orders, and live against the sandbox."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from chaos.venue import Row
from durable_orders.backtest.figures import figures_of
from durable_orders.running import Plan, Run, Why
from durable_orders.running.kite_market import KiteMarket
from durable_orders.running.session import Market, perform
from durable_orders.trading.backtest.play import Player
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Order, Status
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import StrategyContext
from durable_orders.workers.home import Home
from tests.conftest import MakeHome, eventually, until
from tests.durable_orders.running.stage import (
    NAME,
    OPENS,
    PRICES,
    SYMBOL,
    Script,
    home_with_ticks,
    orders_of,
    run_on,
    write_ticks,
)
from tests.live.desk import Desk as LiveDesk

Outcome = dict[str, tuple[Status, list[tuple[int, Decimal]]]]
"""Of each order, by its client order id: how it ended, and its fills."""


def script() -> Script:
    """Market, limit and stop orders, one of which is cancelled; nothing is open at the end."""

    def two(desk: StrategyContext) -> None:
        desk.sell(SYMBOL, 10, order_type="LIMIT", price="1503")
        desk.buy(SYMBOL, 5, order_type="LIMIT", price="1450")

    def stop(desk: StrategyContext) -> None:
        desk.sell(SYMBOL, 20, order_type="SL", trigger_price="1499", price="1490")

    steps: dict[int, Any] = {
        0: lambda desk: desk.buy(SYMBOL, 30),
        1: two,
        2: stop,
        3: lambda desk: desk.cancel(f"{NAME}-3"),
        5: lambda desk: desk.buy(SYMBOL, 7, order_type="LIMIT", price="1500"),
        6: lambda desk: desk.sell(SYMBOL, 7),
    }
    return Script(steps)


def outcomes(orders: Iterable[Order]) -> Outcome:
    return {
        order.client_order_id: (order.status, [(fill.quantity, fill.price) for fill in order.fills]) for order in orders
    }


def backtested(home: Home, ticks: Path) -> tuple[Outcome, Decimal]:
    """And rupees of charges."""
    settings, instruments = home.settings(), Instruments.shipped()
    feed = ReplayFeed(read_ticks(ticks, None, Decimal("0.05")), 1.0, InstrumentSessions(settings.market), rounds=1)
    played = Player(Loaded(script(), NAME), settings, instruments, OPENS).play(feed)
    return outcomes(ended.order() for ended in played.orders), figures_of(played).charges.total


async def on_paper(home: Home) -> tuple[Outcome, Decimal]:
    found = await run_on(home, script())
    assert found.ended == Why.CLOSED
    return outcomes(await orders_of(home)), found.charges


async def against_the_sandbox(desk: LiveDesk) -> Outcome:
    own, stop = script(), asyncio.Event()
    market = Market(source=KiteMarket(desk.home, desk.settings, (SYMBOL,)).follow)
    run = Run(desk.orders, Loaded(own, NAME))
    running = asyncio.create_task(perform(run, market, Plan(live=True), stop))
    for number, price in enumerate(PRICES):
        if number:  # a new subscription repeats the first
            await desk.venue.tick(Decimal(price))
        await until(lambda number=number: own.ticks == number + 1, f"tick {number}")  # type: ignore[misc]
        await eventually(lambda: all_is_told(desk, run), f"the orders of tick {number}")
    await eventually(lambda: all_has_ended(desk), "the last ends")
    stop.set()
    assert (await running).ended == Why.INTERRUPTED
    return outcomes(await live_orders(desk))


async def all_is_told(desk: LiveDesk, run: Run) -> bool:
    """Whether all that was asked for is at the exchange, and the ledger has what the exchange has."""
    orders = await live_orders(desk)
    rows = {row.tag: row for row in desk.venue.rows()}
    known = {order.client_order_id for order in orders}
    asked = {order.client_order_id for order in run.desk.open_orders()}
    return asked <= known and all(order.tag in rows and agree(order, rows[order.tag]) for order in orders)


def agree(order: Order, row: Row) -> bool:
    return (order.filled_quantity, order.status.terminal) == (row.filled_quantity, row.state is not BookState.WORKING)


async def all_has_ended(desk: LiveDesk) -> bool:
    return all(order.status.terminal for order in await live_orders(desk))


async def live_orders(desk: LiveDesk) -> list[Order]:
    account = desk.settings.account
    return await desk.orders.read(lambda connection: list_orders(connection, account, newest_first=False))


async def test_the_fills_are_the_same(desk: LiveDesk, make_home: MakeHome, tmp_path: Path) -> None:
    ticks = write_ticks(tmp_path / "ticks.csv")
    home = home_with_ticks(make_home, ticks)
    expected, charges = backtested(home, ticks)
    assert [status for status, _ in expected.values()].count(Status.FILLED) == 5
    assert await on_paper(home) == (expected, charges)
    assert await against_the_sandbox(desk) == expected
