"""Ticks on which nothing works: a strategy is shown them before the paper market has met them, and nobody can tell."""

import os
import signal
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.orders_sync import OrdersSync
from durable_orders.running import Plan
from durable_orders.running.run import Why
from durable_orders.trading.backtest.play import Played
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order, Status
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext
from durable_orders.workers.home import Home
from tests.conftest import MakeHome
from tests.durable_orders.program import OWN_PORTS, Program
from tests.durable_orders.running.stage import OPENS, SYMBOL, Script, backtest, home_with_ticks, orders_of, run_on

COUNT = 1500


def write(path: Path, count: int = COUNT) -> Path:
    """A tick every ten seconds, each at a price of its own."""
    rows = (f"{OPENS + timedelta(seconds=10 * n)},{1500 + Decimal(n % 97) / 10},{SYMBOL}" for n in range(count))
    path.write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    return path


class Rarely(Strategy):
    """Trades at the market and with a limit now and then, keeps a count, and has a timer."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.prices: list[Decimal] = []
        self.called: list[str] = []
        self.fails_at = fails_at

    def on_start(self, desk: StrategyContext) -> None:
        desk.every(timedelta(minutes=31), lambda desk: self.called.append(f"{desk.now:%H:%M:%S} {len(self.prices)}"))
        desk.at("11:11:11", lambda desk: desk.buy(SYMBOL, 7))

    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        self.prices.append(tick.last_price)
        number = len(self.prices)
        if number == self.fails_at:
            raise RuntimeError("enough")
        if number % 400 == 100:
            desk.buy(SYMBOL, 10)
            desk.state["bought"] = int(desk.state.get("bought", 0)) + 1
        if number % 400 == 300:
            desk.sell(SYMBOL, 10, order_type="LIMIT", price=str(tick.last_price + 1))

    def on_order(self, desk: StrategyContext, order: Order) -> None:
        return

    def on_stop(self, desk: StrategyContext) -> None:
        return


def fills(orders: list[Order]) -> list[tuple[str, str, list[tuple[int, Decimal]]]]:
    return sorted((o.client_order_id, o.status, [(each.quantity, each.price) for each in o.fills]) for o in orders)


def of(played: Played) -> list[Order]:
    return [each.order() for each in played.orders]


@pytest.fixture
def home(make_home: MakeHome, tmp_path: Path) -> Home:
    return home_with_ticks(make_home, write(tmp_path / "ticks.csv"), market={"speed": 100_000})


async def test_it_sees_all_ticks_in_few_round_trips_and_trades_as_in_a_backtest(home: Home) -> None:
    shown: list[Tick] = []
    strategy, tested = Rarely(), Rarely()

    summary = await run_on(home, strategy, Plan(shown=lambda _run, tick: shown.append(tick)))

    expected = backtest(home, tested)
    assert (summary.ended, summary.ticks, expected.ticks) == (Why.CLOSED, COUNT, COUNT)
    assert (strategy.prices, strategy.called) == (tested.prices, tested.called)
    assert fills(await orders_of(home)) == fills(of(expected))
    assert sum(bool(order.fills) for order in of(expected)) > 5
    assert len(shown) < COUNT / 3


class Brackets(Rarely):
    """Enters by plans that stay open for a while: some end by their time, some by a target, some by a trailing stop."""

    def on_start(self, desk: StrategyContext) -> None:
        self.plans: list[str] = []

    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        self.prices.append(tick.last_price)
        ends: dict[int, dict[str, Any]] = {
            100: {"stop": "1480", "target": "1520", "exit_at": desk.now + timedelta(minutes=35)},
            400: {"stop": "1480", "target": str(tick.last_price + 6)},
            600: {"stop": "1480", "trail": "9.2", "exit_at": desk.now + timedelta(minutes=90)},
        }
        if (terms := ends.get(len(self.prices) % 700)) and len(self.prices) < COUNT:  # and none at the very end
            desk.bracket("BUY", SYMBOL, 10, **terms)

    def on_plan(self, desk: StrategyContext, plan: PlanView) -> None:
        self.plans.append(f"{len(self.prices)} {plan.plan_id} {plan.status} {plan.held} {plan.stop}")


async def test_a_plan_that_no_tick_concerns_costs_no_round_trip(home: Home) -> None:
    shown: list[Tick] = []
    strategy, tested = Brackets(), Brackets()

    summary = await run_on(home, strategy, Plan(shown=lambda _run, tick: shown.append(tick)))

    expected = backtest(home, tested)
    assert (summary.ended, summary.ticks, expected.ticks) == (Why.CLOSED, COUNT, COUNT)
    assert (strategy.prices, strategy.plans) == (tested.prices, tested.plans)
    assert fills(await orders_of(home)) == fills(of(expected))
    assert sum(bool(order.fills) for order in of(expected)) >= 8
    assert len(shown) < COUNT / 3


async def test_one_that_raises_has_done_what_it_did_before(home: Home) -> None:
    strategy, tested = Rarely(fails_at=450), Rarely(fails_at=450)

    summary = await run_on(home, strategy)

    expected = backtest(home, tested)
    assert summary.failure == expected.failure
    assert (summary.ended, summary.ticks) == (Why.FAILED, 450)
    assert fills(await orders_of(home)) == fills(of(expected))


async def test_a_square_off_by_time_comes_with_its_tick(home: Home) -> None:
    script = Script({20: lambda desk: desk.buy(SYMBOL, 10)})

    summary = await run_on(home, script, Plan(square_off=(OPENS + timedelta(minutes=90)).time()))

    assert (summary.ended, script.ticks) == (Why.SQUARED_OFF, 540)
    assert [order.filled_quantity for order in await orders_of(home)] == [10, 10]


KEEPER = """
from durable_orders import Strategy

class Keeper(Strategy):
    name = "keeper"

    def on_start(self, desk):
        print("from", desk.state.get("half-hours", 0), flush=True)

    def on_tick(self, desk, tick):
        passed = (tick.at.hour * 60 + tick.at.minute - 555) // 30
        if passed > desk.state.get("half-hours", 0):
            desk.state["half-hours"] = passed
            desk.buy(tick.symbol, 1, client_order_id=f"half-hour-{passed}")
            print("bought", passed, flush=True)
"""


def test_killed_in_the_middle_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    program, file = Program(tmp_path / "home"), tmp_path / "keeper.py"
    file.write_text(KEEPER)
    words = ("run", str(file), "--ticks", str(write(tmp_path / "ticks.csv", 2000)), *OWN_PORTS, "--speed", "2000")
    with program.started(*words) as running:
        assert running.line("bought 3")
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()

    again = program(*words[:-1], "100000", "--json")

    assert (again.code, again.json["ended"]) == (0, "the market has closed")
    with Database(f"sqlite:///{tmp_path}/home/ledger.db") as database, database.read() as connection:
        found = list_orders(connection, newest_first=False)
    assert [order.client_order_id for order in found] == [f"half-hour-{n}" for n in range(1, 12)]
    assert {order.status for order in found} == {"FILLED"}


class Grid(Strategy):
    """Keeps thirty limits and a stop around the price: some are reached now and then, most never are."""

    def __init__(self) -> None:
        self.prices: list[Decimal] = []
        self.told: list[tuple[str, str, int]] = []

    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        self.prices.append(tick.last_price)
        if len(self.prices) == 5:
            for step in range(15):
                desk.buy(SYMBOL, 1, order_type="LIMIT", price=str(1497 + Decimal(step) / 4))
                desk.sell(SYMBOL, 1, order_type="LIMIT", price=str(1506 + Decimal(step) / 4))
            desk.buy(SYMBOL, 5, order_type="SL", trigger_price="1509.10", price="1511")
        if len(self.prices) == 700:
            desk.cancel_all()
            desk.target(SYMBOL, 3)

    def on_start(self, desk: StrategyContext) -> None:
        return

    def on_stop(self, desk: StrategyContext) -> None:
        return

    def on_order(self, desk: StrategyContext, order: Order) -> None:
        self.told.append((order.client_order_id, order.status.value, len(self.prices)))


@pytest.mark.parametrize(
    "paper",
    [
        {},
        {"partial_fill_enabled": True, "partial_fill_probability": 1.0},
        {"spread_enabled": True, "spread_bps": 9},
        {"queue_enabled": True, "depth_enabled": True},
    ],
    ids=["plain", "parts", "spread", "queue"],
)
async def test_ticks_between_the_prices_of_resting_orders_take_no_round_trip(
    make_home: MakeHome, tmp_path: Path, paper: dict[str, Any]
) -> None:
    """The strategy hears of each fill with the tick of it, as in a backtest, to the paisa."""
    home = home_with_ticks(make_home, write(tmp_path / "ticks.csv"), market={"speed": 100_000}, **paper)
    shown: list[Tick] = []
    strategy, tested = Grid(), Grid()

    summary = await run_on(home, strategy, Plan(shown=lambda _run, tick: shown.append(tick)))

    expected = backtest(home, tested)
    assert (summary.failure, summary.ended, strategy.prices) == (None, Why.CLOSED, tested.prices)
    assert fills(await orders_of(home)) == fills(of(expected))
    told, as_tested = (sorted(each for each in one.told if each[1] == "FILLED") for one in (strategy, tested))
    assert told == as_tested
    assert {order.status.value for order in of(expected)} >= {"FILLED", "CANCELLED"}
    assert len(shown) < COUNT / 3


class Undone(Rarely):
    """Somebody else cancels its limit while it looks ahead; it puts another into the market for it, a step away."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home = home
        self.placed_at = 0
        self.held: dict[int, int] = {}

    def on_start(self, desk: StrategyContext) -> None:
        return

    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        self.prices.append(tick.last_price)
        self.held[len(self.prices)] = desk.position(SYMBOL).quantity
        if len(self.prices) == 5:
            desk.buy(SYMBOL, 10, order_type="LIMIT", price="1490", client_order_id="undone")
        if len(self.prices) == 20:
            with OrdersSync(self.home) as orders:
                assert orders.cancel("undone", "by hand").status is Status.CANCELLED
            desk.state["undone"] = True  # with what it keeps a look ends

    def on_order(self, desk: StrategyContext, order: Order) -> None:
        if order.status is Status.CANCELLED:
            self.placed_at = len(self.prices)
            desk.sell(SYMBOL, 10, order_type="LIMIT", price=str(self.prices[-1] + Decimal("0.1")))


async def test_what_it_asks_for_before_a_look_is_met_by_the_very_next_tick(home: Home) -> None:
    strategy = Undone(home.path)

    summary = await run_on(home, strategy)

    assert (summary.failure, summary.ticks) == (None, COUNT)
    assert strategy.placed_at == 20
    assert [strategy.held[number] for number in (20, 21)] == [0, -10]
