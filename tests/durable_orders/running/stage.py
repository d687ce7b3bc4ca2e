"""Runs a strategy on the shared server, with a market of its own that waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from durable_orders.engines import EngineStrategy, SessionEngine
from durable_orders.orders import Orders
from durable_orders.running import Plan, Summary
from durable_orders.running.gate import Gate
from durable_orders.running.session import Market, perform, run_of
from durable_orders.trading.backtest.play import Played, Player
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_bars import earlier_ticks
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext
from durable_orders.workers import worker
from durable_orders.workers.components import build
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home
from tests.conftest import MakeHome

SYMBOL = "NSE:INFY"
OPENS = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
PRICES = ("1500", "1501.5", "1499", "1502", "1503.5", "1498", "1501")
NAME = "few"

Call = Callable[[StrategyContext], object]


def _nothing(_desk: StrategyContext) -> None:
    return None


class Script(Strategy):
    """Does what it is told to do at each tick, counted from 0, and notes what it hears."""

    def __init__(self, steps: dict[int, Any]) -> None:
        self.steps = steps
        self.ticks = 0
        self.found: list[str] = []
        self.heard: list[tuple[str, str, int]] = []
        self.stopped = False

    def on_start(self, desk: StrategyContext) -> None:
        self.found = [order.client_order_id for order in desk.open_orders()]

    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        try:
            self.steps.get(self.ticks, _nothing)(desk)
        finally:
            self.ticks += 1

    def on_order(self, desk: StrategyContext, order: Order) -> None:
        self.heard.append((order.client_order_id, order.status.value, desk.position(order.symbol).quantity))

    def on_stop(self, desk: StrategyContext) -> None:
        self.stopped = True


class EngineScript(EngineStrategy):
    """The same, written against an engine. A step is a coroutine function."""

    def __init__(self, steps: dict[int, Any]) -> None:
        self.steps = steps
        self.ticks = 0
        self.began_at: datetime | None = None
        self.found: list[str] = []
        self.heard: list[tuple[str, str]] = []
        self.answers: list[Order] = []
        self.last_answer: Order | None = None

    async def on_start(self, engine: SessionEngine) -> None:
        self.began_at = engine.now
        self.found = [order.client_order_id for order in await engine.poll_orders()]

    async def on_tick(self, engine: SessionEngine, tick: Tick) -> None:
        if step := self.steps.get(self.ticks):
            self.answers.append(await step(engine))
        self.ticks += 1

    async def on_order(self, engine: SessionEngine, order: Order) -> None:
        self.heard.append((order.client_order_id, order.status.value))

    async def on_stop(self, engine: SessionEngine) -> None:
        self.last_answer = await engine.place_order(wanted("too-late"))


def wanted(own_id: str, side: str = "BUY", **terms: Any) -> Order:
    """An order for 10 at the market, or whatever the terms say, as an engine takes it."""
    content: dict[str, Any] = {
        "order_id": own_id,
        "symbol": SYMBOL,
        "side": side,
        "qty": 10,
        "order_type": "MARKET",
        "strategy": NAME,
    }
    return Order(**content | terms)


def write_ticks(path: Path, prices: Sequence[str] = PRICES) -> Path:
    """A file with a tick every ten seconds."""
    moments = (OPENS + timedelta(seconds=10 * number) for number in range(len(prices)))
    rows = (f"{at.isoformat()},{price},{SYMBOL}" for at, price in zip(moments, prices, strict=True))
    path.write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    return path


def home_with_ticks(
    make_home: MakeHome,
    ticks: Path,
    *,
    guardian: dict[str, Any] | None = None,
    market: dict[str, Any] | None = None,
    **paper: Any,
) -> Home:
    """Its market plays the file as fast as it can. Nothing is added to or taken from the price."""
    plain = {"slippage_bps": 0, "reconciliation_interval": 0.5}
    market = {"ticks": str(ticks), "speed": 100_000} | (market or {})
    return make_home({"market": market, "execution": {"paper": plain | paper}, "guardian": guardian or {}})


async def run_on(home: Home, strategy: Any, plan: Plan | None = None, stop: asyncio.Event | None = None) -> Summary:
    """One run, with a worker of its own."""
    async with staffed(home) as market, Orders(home.path) as orders:
        plan = plan or Plan()
        run = run_of(plan, orders, Orders(home.path), Loaded(strategy, NAME), waits=True)
        try:
            return await perform(run, market, plan, stop or asyncio.Event())
        finally:
            await run.close()


@asynccontextmanager
async def staffed(home: Home) -> AsyncIterator[Market]:
    client, gate = await connect(home, home.settings()), Gate()
    parts = build(home, home.settings(), client, audience=gate)
    async with worker.running(client, parts):
        yield Market(gate.ticks, gate)


async def orders_of(home: Home) -> list[Order]:
    """All orders of the account, oldest first."""
    async with Orders(home.path) as orders:
        account = orders.settings.account
        return await orders.read(lambda connection: list_orders(connection, account, newest_first=False))


class Timed(Script):
    """Asks for timers as it starts, and notes when each was called."""

    def __init__(self, asks: Callable[["Timed", StrategyContext], object], steps: dict[int, Any] | None = None) -> None:
        super().__init__(steps or {})
        self.asks = asks
        self.calls: list[str] = []

    def on_start(self, desk: StrategyContext) -> None:
        super().on_start(desk)
        self.asks(self, desk)

    def noting(self, name: str, then: Call = lambda _desk: None) -> Call:
        def call(desk: StrategyContext) -> None:
            self.calls.append(f"{name} {desk.now:%H:%M:%S}")
            then(desk)

        return call


def backtest(home: Home, strategy: Strategy) -> Played:
    """The same on the home's ticks."""
    settings, instruments = home.settings(), Instruments.shipped()
    assert settings.market.ticks is not None
    sessions = InstrumentSessions(settings.market, instruments)
    ticks = read_ticks(settings.market.ticks, SYMBOL, Decimal("0.05"))
    earlier = earlier_ticks(settings.market, instruments, sessions, ticks[0].at, ReadingReport())
    feed = ReplayFeed(ticks, 1.0, sessions, rounds=1)
    return Player(Loaded(strategy, NAME), settings, instruments, OPENS, earlier).play(feed)
