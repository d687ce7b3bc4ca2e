"""Plans on a strategy's desk: on paper the same as in a backtest, and nothing unprotected whenever a run is killed."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.orders import Orders
from durable_orders.running.desk import CancelPlan, ChangePlan, RunDesk, StartPlan
from durable_orders.running.plans import RunPlans
from durable_orders.running.run import Run
from durable_orders.trading.backtest.play import Played, Player
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL, shipped_day
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.strategies.files import Loaded, load_strategy
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import (
    NAME,
    OPENS,
    SYMBOL,
    Script,
    backtest,
    home_with_ticks,
    orders_of,
    run_on,
    write_ticks,
)

EXAMPLES = Path(__file__).parents[3] / "examples"
Call = Callable[[StrategyContext], Any]


class Killed(Exception):
    pass


class Planned(Script):
    """Notes how its plans were told, too."""

    def __init__(
        self, steps: dict[int, Any], answers: Callable[[StrategyContext, PlanView], Any] = lambda _desk, _plan: None
    ) -> None:
        super().__init__(steps)
        self.answers = answers
        self.plans: list[str] = []
        self.open_at_start: list[str] = []

    def on_start(self, desk: StrategyContext) -> None:
        super().on_start(desk)
        self.open_at_start = [f"{plan.plan_id} {plan.status} {plan.held}" for plan in desk.plans()]

    def on_plan(self, desk: StrategyContext, plan: PlanView) -> None:
        self.plans.append(f"{plan.plan_id} {plan.status} {plan.held} {plan.stop and f'{plan.stop:f}'}")
        self.answers(desk, plan)


def told(orders: list[Order]) -> dict[str, Any]:
    return {
        order.client_order_id: (
            order.status,
            order.order_type,
            order.price,
            order.trigger_price,
            [(fill.quantity, fill.price) for fill in order.fills],
        )
        for order in orders
    }


def of(played: Played) -> dict[str, Any]:
    assert played.failure is None
    return told([order.order() for order in sorted(played.orders, key=lambda each: each.number)])


def bracket(**terms: Any) -> Call:
    return lambda desk: desk.bracket("BUY", SYMBOL, 10, **terms)


CASES: dict[str, tuple[dict[int, Call], list[str]]] = {
    "target": ({0: bracket(stop="1490", target="1510")}, ["1500", "1505", "1511", "1512"]),
    "stop": ({1: bracket(price="1500", stop="1490", target="1510")}, ["1505", "1503", "1499", "1495", "1488"]),
    "trail": (
        {0: bracket(stop="1490", trail="6")},
        ["1500", "1501", "1504", "1510", "1506", "1512", "1509", "1505", "1500"],
    ),
    "break-even, amended": (
        {0: bracket(stop="1490", break_even="1506", plan_id="mine"), 3: lambda d: d.amend_plan("mine", stop="1503")},
        ["1500", "1506", "1505", "1508", "1504", "1502"],
    ),
    "time": ({0: bracket(stop="1490", target="1530", exit_at="9:15:25")}, ["1500", "1501", "1503", "1505"]),
    "cancelled": (
        {0: bracket(stop="1490", plan_id="mine"), 2: lambda d: d.cancel_plan("mine", flatten=True)},
        ["1500", "1501", "1503", "1505"],
    ),
    "sold beside, closed": (
        {0: bracket(stop="1490", target="1530"), 1: lambda d: d.sell(SYMBOL, 4), 3: lambda d: d.close(SYMBOL)},
        ["1500", "1501", "1503", "1505", "1506"],
    ),
    "an oco, and one too many": (
        {
            0: lambda d: d.buy(SYMBOL, 10),
            1: lambda d: d.oco("SELL", SYMBOL, 10, stop="1490", target="1510"),
            2: lambda d: d.oco("SELL", SYMBOL, 10, stop="1491", target="1511"),
        },
        ["1500", "1501", "1503", "1505", "1510", "1512"],
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_plan_is_the_same_on_paper(name: str, make_home: MakeHome, tmp_path: Path) -> None:
    steps, prices = CASES[name]
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", prices))
    on_paper, in_memory = Planned(steps), Planned(steps)
    summary = await run_on(home, on_paper)
    assert (summary.failure, summary.notes) == (None, ())
    assert told(await orders_of(home)) == of(backtest(home, in_memory))
    assert on_paper.plans[:-1] == in_memory.plans[: len(on_paper.plans) - 1]
    assert on_paper.plans[0] == in_memory.plans[0]


@pytest.mark.parametrize("name", ["opening_range_breakout", "stop_to_cost"])
async def test_an_example_is_the_same_on_paper(name: str, make_home: MakeHome) -> None:
    home = home_with_ticks(make_home, shipped_day(), market={"symbol": SHIPPED_SYMBOL})

    def example() -> Strategy:
        return load_strategy(EXAMPLES / f"{name}.py").strategy

    assert (await run_on(home, example())).failure is None
    settings, instruments = home.settings(), Instruments.shipped()
    assert settings.market.ticks is not None
    sessions = InstrumentSessions(settings.market, instruments)
    ticks = list(read_ticks(settings.market.ticks, SHIPPED_SYMBOL, Decimal("0.05")))
    player = Player(Loaded(example(), NAME), settings, instruments, OPENS)
    in_memory = of(player.play(ReplayFeed(ticks, 1.0, sessions, rounds=1)))
    assert told(await orders_of(home)) == in_memory
    assert any(fills for *_, fills in in_memory.values())


STEPS: dict[int, Call] = {
    0: bracket(stop="1490", target="1520", plan_id="mine"),
    2: lambda desk: desk.amend_plan("mine", stop="1495"),
    4: lambda desk: desk.cancel_plan("mine", flatten=True),
}


@pytest.mark.parametrize("step", range(3))
async def test_killed_before_any_step_the_next_run_does_it_first(
    step: int, make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", ["1500"] * 8))
    done, do = 0, Run._do

    async def killed(run: Run, asked: Any) -> None:
        nonlocal done
        if isinstance(asked, StartPlan | ChangePlan | CancelPlan):
            if done == step:
                raise Killed
            done += 1
        await do(run, asked)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_do", killed)
        with pytest.raises(Killed):
            await run_on(home, Planned(STEPS))
    again = Planned({})
    assert (await run_on(home, again)).failure is None
    assert again.open_at_start == [["mine OPEN 10"], ["mine OPEN 10"], []][step]
    async with Orders(home.path) as orders:
        plan = await orders.plan("mine")
    stop = {0: "OPEN 10 1490", 1: "OPEN 10 1495", 2: "CLOSED 0 1495"}[step]
    assert f"{plan.status} {plan.held} {plan.stop}" == stop
    if plan.held:
        assert plan.protected or plan.orders[-1].status.terminal


async def test_a_plan_without_a_name_that_was_asked_for_before_a_kill_keeps_its_number(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", ["1500"] * 8))

    async def killed(run: Run, asked: Any) -> None:
        assert isinstance(asked, StartPlan)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_do", killed)
        with pytest.raises(Killed):
            await run_on(home, Planned({0: bracket(stop="1490")}))
    again = Planned({0: bracket(stop="1480")})
    assert (await run_on(home, again)).failure is None
    async with Orders(home.path) as orders:
        stops = {view.plan_id.rpartition("-")[2]: view.stop for view in await orders.plans()}
    assert stops == {"p1": Decimal(1490), "p2": Decimal(1480)}


async def test_killed_once_its_entry_was_asked_for_the_stop_is_there_all_the_same(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run is told of it, though nothing of it was told before."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", ["1500"] * 4))
    do = Run._do

    async def killed(run: Run, asked: Any) -> None:
        await do(run, asked)
        if isinstance(asked, StartPlan):
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_do", killed)
        with pytest.raises(Killed):
            await run_on(home, Planned({0: bracket(stop="1490", plan_id="mine")}))
    found = {order.client_order_id: order.status.value for order in await orders_of(home)}
    assert found == {"mine.entry": "FILLED", "mine.exit-1-1": "PLACED"}
    again = Planned({})
    await run_on(home, again)
    assert again.open_at_start == ["mine OPEN 10"]
    assert again.plans[0] == "mine OPEN 10 1490"


async def test_an_answer_to_a_plan_that_is_over_begins_the_next_at_the_same_moment(
    make_home: MakeHome, tmp_path: Path
) -> None:
    def again(desk: StrategyContext, plan: PlanView) -> None:
        if plan.status == "CLOSED" and plan.plan_id == "few-p1":
            desk.bracket("BUY", SYMBOL, 10, stop="1480")

    prices = ["1500", "1495", "1489", "1487", "1479", "1478"]
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", prices))
    steps = {0: bracket(stop="1490")}
    assert (await run_on(home, Planned(steps, again))).failure is None
    on_paper = told(await orders_of(home))
    assert on_paper == of(backtest(home, Planned(steps, again)))
    assert [str(fills[0][1]) for *_, fills in on_paper.values()] == ["1500", "1489", "1489", "1479"]


async def test_bad_input_is_one_line_and_a_failed_run_leaves_what_is_held_its_stop(
    make_home: MakeHome, tmp_path: Path
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", ["1500"] * 4))

    def wrong(desk: StrategyContext) -> None:
        desk.bracket("BUY", SYMBOL, 10, stop="1510", price="1500")

    summary = await run_on(home, Planned({0: bracket(stop="1490", plan_id="mine"), 2: wrong}))
    assert summary.failure is not None
    assert summary.failure.endswith("InvalidOrder: stop: must lie below the entry's 1500, was 1510")
    assert summary.notes == ("plan mine goes on: 10 of NSE:INFY held, stop at 1490",)
    assert {order.client_order_id: order.status.value for order in await orders_of(home)} == {
        "mine.entry": "FILLED",
        "mine.exit-1-1": "PLACED",
    }


class FromTheStart(Planned):
    """Asks for its plans before the market has shown anything."""

    def __init__(self, *asks: Call) -> None:
        super().__init__({})
        self.asks = asks

    def on_start(self, desk: StrategyContext) -> None:
        super().on_start(desk)
        for ask in self.asks:
            ask(desk)


@pytest.mark.parametrize(
    "asks",
    [
        (bracket(stop="1490", target="1530", exit_at=OPENS + timedelta(seconds=25)),),
        (bracket(stop="1490", trail="6", plan_id="mine"), lambda desk: desk.amend_plan("mine", stop="1496")),
        (bracket(stop="1490", plan_id="mine"), lambda desk: desk.cancel_plan("mine"), bracket(stop="1497")),
    ],
    ids=["time", "amended", "cancelled"],
)
async def test_a_plan_that_is_asked_for_before_the_first_tick_goes_by_the_markets_time(
    asks: tuple[Call, ...], make_home: MakeHome, tmp_path: Path
) -> None:
    """A day of last year, on a market that has shown nothing yet."""
    prices = ["1500", "1501", "1503", "1505", "1498", "1497", "1495"]
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", prices))
    played = backtest(home, FromTheStart(*asks))

    summary = await run_on(home, on_paper := FromTheStart(*asks))

    assert (summary.failure, summary.notes) == (None, ())
    assert told(await orders_of(home)) == of(played)
    assert on_paper.plans[-1].split()[1] == "CLOSED"


async def test_what_is_recorded_while_plans_are_brought_to_a_moment_is_not_missed(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strategy's position is sold in part by hand while its plan is told the time: the plan lets go of that before
    the market goes on, and its stop never sells what is not held."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv", ["1500", "1501", "1502", "1488", "1487"]))
    bring, bring_one, sold = RunPlans.bring, RunPlans._bring, list[str]()

    async def brought(plans: RunPlans, desk: RunDesk) -> bool:
        is_due = desk.market_time == OPENS + timedelta(seconds=20) and not sold
        sold.extend(["is being brought"] if is_due else [])
        return await bring(plans, desk)

    async def brought_one(plans: RunPlans, desk: RunDesk, plan_id: str) -> None:
        await bring_one(plans, desk, plan_id)
        if sold == ["is being brought"]:
            sold.append("sold")
            order = await plans._orders.sell(SYMBOL, 4, strategy=NAME, client_order_id="by-hand")
            await order.result()

    monkeypatch.setattr(RunPlans, "bring", brought)
    monkeypatch.setattr(RunPlans, "_bring", brought_one)
    steps = {0: bracket(stop="1490", plan_id="mine"), 2: lambda desk: desk.amend_plan("mine", stop="1491")}

    summary = await run_on(home, Planned(steps))

    assert (summary.failure, summary.holdings) == (None, ())
    assert sold == ["is being brought", "sold"]
    assert sorted(order.side.sign * order.filled_quantity for order in await orders_of(home)) == [-6, -4, 10]
