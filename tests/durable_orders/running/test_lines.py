"""Baskets and schedules on a strategy's desk: on paper the same as in a backtest, at the market's time."""

import re
import runpy
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.orders import Orders
from durable_orders.running.desk import StartPlan
from durable_orders.running.run import Run
from durable_orders.trading.backtest.play import Played, Player
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, InvalidStrategy
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL, shipped_day
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.strategies.files import Loaded, load_strategy
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext
from durable_orders.workers.home import Home
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import NAME, OPENS, Script, home_with_ticks, orders_of, run_on, staffed

EXAMPLES = Path(__file__).parents[3] / "examples"
INFY, SBIN = "NSE:INFY", "NSE:SBIN"
Step = Callable[[StrategyContext], Any]


class Planned(Script):
    """Notes how its plans were told, too."""

    def __init__(self, steps: dict[int, Step], more: Step = lambda _desk: None) -> None:
        super().__init__(steps)
        self.more = more
        self.plans: list[tuple[Any, ...]] = []
        self.last: dict[str, PlanView] = {}
        self.open_at_start: list[str] = []

    def on_start(self, desk: StrategyContext) -> None:
        super().on_start(desk)
        self.open_at_start = [f"{plan.plan_id} {plan.status} {plan.held}" for plan in desk.plans()]
        self.more(desk)

    def on_plan(self, desk: StrategyContext, plan: PlanView) -> None:
        self.last[plan.plan_id] = plan
        self.plans.append((plan.plan_id, plan.status.value, plan.holdings, plan.reasons))


def written(path: Path, infy: list[str], sbin: list[str] | None = None) -> Path:
    """A file with a tick of each every ten seconds, SBIN's a second after."""
    rows = ["timestamp,last_price,symbol"]
    for number, price in enumerate(infy):
        at = OPENS + timedelta(seconds=10 * number)
        rows.append(f"{at.isoformat()},{price},{INFY}")
        other = (sbin or ["800"] * len(infy))[number]
        rows.append(f"{(at + timedelta(seconds=1)).isoformat()},{other},{SBIN}")
    path.write_text("\n".join(rows) + "\n")
    return path


def played(home: Home, strategy: Strategy, known: Instruments | None = None) -> Played:
    settings, instruments = home.settings(), known or Instruments.shipped()
    assert settings.market.ticks is not None
    ticks = list(read_ticks(settings.market.ticks, settings.market.symbol, Decimal("0.05")))
    feed = ReplayFeed(ticks, 1.0, InstrumentSessions(settings.market, instruments), rounds=1)
    done = Player(Loaded(strategy, NAME), settings, instruments, OPENS).play(feed)
    assert done.failure is None
    return done


def told(orders: list[Order]) -> dict[str, Any]:
    """By the orders' names; that of a flatten is another each time."""
    return {
        f"{re.sub('^flatten-[0-9a-f]{12}', 'flatten', order.client_order_id)} {order.symbol}": (
            *(order.symbol, order.side.value, order.status.value, order.quantity, order.price),
            [(fill.quantity, fill.price) for fill in order.fills],
        )
        for order in orders
    }


def leg(symbol: str, side: str, quantity: int, price: str | None = None) -> Mapping[str, Any]:
    limit = {"order_type": "LIMIT", "price": price} if price else {}
    return {"symbol": symbol, "side": side, "quantity": quantity, "product": "MIS"} | limit


def basket(*legs: Mapping[str, Any], **terms: Any) -> Step:
    return lambda desk: desk.basket(*(legs or (leg(SBIN, "SELL", 20), leg(INFY, "BUY", 10))), **terms)


def twap(side: str = "BUY", quantity: int = 40, **terms: Any) -> Step:
    wanted: dict[str, Any] = {"ends_at": "9:15:51", "slices": 4} | terms
    return lambda desk: desk.twap(side, INFY, quantity, **wanted)


FLAT, RISES = ["1500"] * 8, ["1500", "1501", "1502", "1503", "1504", "1505", "1506", "1507"]
NEVER_TRADED = (leg(INFY, "BUY", 10), leg(SBIN, "BUY", 20, "790"))
CASES: dict[str, tuple[dict[int, Step], list[str], dict[str, int], str]] = {
    "a basket, bought first": ({1: basket()}, RISES, {INFY: 10, SBIN: -20}, "FILLED"),
    "one leg is not had in time": ({1: basket(*NEVER_TRADED, within=15)}, RISES, {}, "COMPENSATED"),
    "one leg is not had before it is dear": (
        {1: basket(*NEVER_TRADED, within=60, max_loss=30)},
        ["1500", "1500", "1500", "1496", "1490", "1490", "1490", "1490"],
        {},
        "COMPENSATED",
    ),
    "a net price": (
        {1: basket(leg(INFY, "BUY", 10), leg(SBIN, "SELL", 10), net_debit=705)},
        RISES,
        {INFY: 10, SBIN: -10},
        "FILLED",
    ),
    "a net price that the market does not give": (
        {1: basket(leg(INFY, "BUY", 10), leg(SBIN, "SELL", 10), net_debit=650)},
        RISES,
        {},
        "REJECTED",
    ),
    "no hedge": ({1: basket(hedged=True)}, FLAT, {}, "REJECTED"),
    "a basket cancelled and closed": (
        {1: basket(*NEVER_TRADED, within=60), 5: lambda d: d.cancel_plan("few-p1", flatten=True)},
        RISES,
        {},
        "CLOSED",
    ),
    "a symbol of a basket is closed": (
        {1: basket(*NEVER_TRADED, within=60), 5: lambda d: d.close(INFY)},
        RISES,
        {},
        "CLOSED",
    ),
    "twap": ({1: twap()}, RISES, {INFY: 40}, "FILLED"),
    "twap asked for again under its name": (
        {1: twap(plan_id="few-p1"), 2: twap(plan_id="few-p1"), 5: twap(plan_id="few-p1"), 14: twap(plan_id="few-p1")},
        RISES,
        {INFY: 40},
        "FILLED",
    ),
    "twap of drawn sizes, later": (
        {1: twap(quantity=500, randomise=60, begins_at="9:15:20", ends_at="9:16:00")},
        RISES,
        {INFY: 500},
        "FILLED",
    ),
    "vwap": ({1: twap(profile=[1, 2, 3, 4])}, RISES, {INFY: 40}, "FILLED"),
    "twap with a limit that catches up": (
        {1: twap(price="1502.5", ends_at="9:16:05")},
        ["1500", "1501", "1504", "1505", "1504", "1502", "1502", "1504"],
        {INFY: 40},
        "FILLED",
    ),
    "twap with a limit that does not": (
        {1: twap(price="1502.5", ends_at="9:16:05", catch_up=False)},
        ["1500", "1501", "1504", "1505", "1504", "1502", "1502", "1504"],
        {INFY: 30},
        "LEFT",
    ),
    "twap cancelled and closed": (
        {1: twap(), 7: lambda d: d.cancel_plan("few-p1", flatten=True)},
        RISES,
        {},
        "CLOSED",
    ),
    "a way out by twap that is closed at once": (
        {0: lambda d: d.buy(INFY, 40), 2: twap("SELL"), 6: lambda d: d.close(INFY)},
        RISES,
        {},
        "LEFT",
    ),
    "a way out by twap that is cancelled and closed buys nothing back, nor what is sold later": (
        {0: lambda d: d.buy(INFY, 40), 2: twap("SELL"), 6: lambda d: d.cancel_plan("few-p1", flatten=True)}
        | {8: lambda d: d.sell(INFY, 50)},
        RISES,
        {INFY: -30},
        "CLOSED",
    ),
    "twap that takes a position to its other side, cancelled and closed": (
        {0: lambda d: d.buy(INFY, 15), 2: twap("SELL"), 6: lambda d: d.cancel_plan("few-p1", flatten=True)},
        RISES,
        {},
        "CLOSED",
    ),
    "twap beyond the close": ({1: twap(ends_at="15:45")}, RISES, {}, "REJECTED"),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_plan_of_several_lines_is_the_same_on_paper(name: str, make_home: MakeHome, tmp_path: Path) -> None:
    steps, prices, held, status = CASES[name]
    home = home_with_ticks(make_home, written(tmp_path / "ticks.csv", prices))
    in_memory, on_paper = Planned(steps), Planned(steps)
    done = played(home, in_memory)
    orders = [order.order() for order in sorted(done.orders, key=lambda each: each.number)]
    came_to = {
        symbol: sum(order.side.sign * order.filled_quantity for order in orders if order.symbol == symbol)
        for symbol in (INFY, SBIN)
    }
    assert {symbol: quantity for symbol, quantity in came_to.items() if quantity} == held
    assert in_memory.last["few-p1"].status == status
    summary = await run_on(home, on_paper)
    assert (summary.failure, summary.notes) == (None, ())
    assert told(await orders_of(home)) == told(orders)
    assert on_paper.plans[-1] == in_memory.plans[-1]


async def test_killed_before_it_is_started_the_next_run_starts_it(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with_ticks(make_home, written(tmp_path / "ticks.csv", FLAT))

    class Killed(Exception):
        pass

    async def killed(run: Run, asked: Any) -> None:
        assert isinstance(asked, StartPlan)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_do", killed)
        with pytest.raises(Killed):
            await run_on(home, Planned({1: lambda desk: (basket()(desk), twap(plan_id="mine")(desk))}))
    again = Planned({4: twap(plan_id="mine")})
    assert (await run_on(home, again)).failure is None
    async with Orders(home.path) as orders:
        found = {view.plan_id: view.status.value for view in await orders.plans()}
    assert found == {"few-p1": "FILLED", "mine": "FILLED"}


async def test_before_the_first_tick_a_moment_is_needed(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, written(tmp_path / "ticks.csv", RISES))
    moments: dict[str, Any] = {"begins_at": OPENS + timedelta(seconds=12), "ends_at": OPENS + timedelta(seconds=52)}

    def ask(desk: StrategyContext) -> None:
        twap(**moments)(desk)
        basket()(desk)

    in_memory = Planned({}, ask)
    orders = [order.order() for order in sorted(played(home, in_memory).orders, key=lambda each: each.number)]

    def refused_first(desk: StrategyContext) -> None:
        for ends_at in ("9:16", moments["ends_at"]):
            with pytest.raises(InvalidStrategy, match="the market's time is not known before its first tick"):
                twap(ends_at=ends_at)(desk)
        ask(desk)

    on_paper = Planned({}, refused_first)
    assert (await run_on(home, on_paper)).failure is None
    assert told(await orders_of(home)) == told(orders)
    assert on_paper.last.keys() == in_memory.last.keys() == {"few-p1", "few-p2"}


async def test_a_failed_run_ends_its_schedule_and_leaves_what_is_held(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, written(tmp_path / "ticks.csv", RISES))

    def wrong(desk: StrategyContext) -> None:
        raise ValueError("wrong")

    summary = await run_on(home, Planned({1: twap(), 5: wrong}))
    assert summary.failure is not None
    async with staffed(home), Orders(home.path) as orders:
        view = await orders.plan_result("few-p1")
    assert (view.status.value, view.held) == ("LEFT", 20)


def test_what_does_not_fit_together_is_one_line_at_once(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, written(tmp_path / "ticks.csv", FLAT))
    wrong: list[tuple[Step, str]] = [
        (basket(leg(INFY, "BUY", 1)), "legs: "),
        (basket(leg(INFY, "BUY", 1), leg(SBIN, "HOLD", 1)), "leg 2: side: "),
        (basket(leg(INFY, "BUY", 1), leg(INFY, "SELL", 1)), "legs: NSE:INFY MIS is in more than one"),
        (basket(witin=5), "witin: no term of a plan, did you mean within?"),
        (twap(slice=5), "slice: no term of a plan, did you mean slices?"),
        (twap(ends_at="9:15:00"), "to: must lie after from"),
        (twap(slices=20), "slices: 20 would be"),
    ]
    raised = list[str]()

    def ask(desk: StrategyContext) -> None:
        for step, _ in wrong:
            with pytest.raises(InvalidOrder) as error:
                step(desk)
            raised.append(str(error.value))
        twap(plan_id="mine")(desk)
        with pytest.raises(DuplicateOrder, match="plan_id: mine is the id of another plan"):
            twap(plan_id="mine", quantity=80)(desk)

    def change(desk: StrategyContext) -> None:
        with pytest.raises(InvalidOrder, match="amendment: only a bracket and an OCO can be changed"):
            desk.amend_plan("mine", stop=1)

    played(home, Planned({1: ask, 2: change}))
    for words, (_, begins) in zip(raised, wrong, strict=True):
        assert words.startswith(begins)
        assert "\n" not in words


def example(name: str) -> Strategy:
    return load_strategy(EXAMPLES / f"{name}.py").strategy


async def test_the_example_of_a_way_out_in_parts_is_the_same_on_paper(make_home: MakeHome) -> None:
    home = home_with_ticks(make_home, shipped_day(), market={"symbol": SHIPPED_SYMBOL})
    orders = [
        order.order() for order in sorted(played(home, example("twap_exit")).orders, key=lambda each: each.number)
    ]
    assert (await run_on(home, example("twap_exit"))).failure is None
    assert told(await orders_of(home)) == told(orders)
    parts = [order for order in orders if ".slice-" in order.client_order_id]
    assert len({order.filled_quantity for order in parts}) > 1
    assert sum(order.side.sign * order.filled_quantity for order in orders) == 0


async def test_the_example_of_a_condor_is_the_same_on_paper_its_hedges_first(
    make_home: MakeHome, tmp_path: Path
) -> None:
    made, master = tmp_path / "day.csv", tmp_path / "master.csv"
    day = runpy.run_path(str(EXAMPLES / "option_day.py"))
    day["write"](str(made), day["STRIKES"])
    day["write_master"](str(master))
    head, *rows = made.read_text().splitlines()
    wanted = ("NIFTY 50", "24300PE", "24350PE", "24450CE", "24500CE", "24400CE")
    made.write_text(
        "\n".join([head, *(row for row in rows if row < "2025-04-29T09:50" and row.endswith(wanted))]) + "\n"
    )
    home = home_with_ticks(make_home, made, market={"instruments": [str(master)]})
    orders = [order.order() for order in played(home, example("iron_condor"), Instruments.read(master)).orders]
    assert [order.side.value for order in orders][:4] == ["BUY", "BUY", "SELL", "SELL"]
    assert (await run_on(home, example("iron_condor"))).failure is None
    assert told(await orders_of(home)) == told(orders)
    came_to = [order.side.sign * order.filled_quantity for order in orders]
    assert (len(came_to), sum(came_to)) == (8, 0)
