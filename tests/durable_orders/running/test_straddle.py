"""The example of a straddle: the same in a backtest and on paper, and killed at any step no leg is without a stop."""

import runpy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.running.desk import Amend, Place
from durable_orders.running.run import Run
from durable_orders.trading.backtest.play import Player
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.orders.order import Order
from durable_orders.trading.strategies.files import Loaded, load_strategy
from durable_orders.trading.strategies.strategy import Strategy
from durable_orders.workers.home import Home
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import NAME, OPENS, home_with_ticks, orders_of, run_on

EXAMPLES = Path(__file__).parents[3] / "examples"
OVER = "2025-04-29T09:40"
"""Both legs are stopped out by then."""


class Killed(Exception):
    pass


@pytest.fixture
def home(make_home: MakeHome, tmp_path: Path) -> Home:
    made = tmp_path / "day.csv"
    runpy.run_path(str(EXAMPLES / "option_day.py"))["write"](str(made))
    head, *rows = made.read_text().splitlines()
    made.write_text("\n".join([head, *(row for row in rows if row < OVER)]) + "\n")
    return home_with_ticks(make_home, made)


def straddle() -> Strategy:
    return load_strategy(EXAMPLES / "straddle.py").strategy


def in_memory(home: Home) -> list[Order]:
    settings, instruments = home.settings(), Instruments.shipped()
    assert settings.market.ticks is not None
    sessions = InstrumentSessions(settings.market, instruments)
    ticks = read_ticks(settings.market.ticks, None, Decimal("0.05"))
    played = Player(Loaded(straddle(), NAME), settings, instruments, OPENS).play(
        ReplayFeed(ticks, 1.0, sessions, rounds=1)
    )
    assert played.failure is None
    return [order.order() for order in played.orders]


def told(orders: list[Order]) -> dict[str, Any]:
    return {
        order.client_order_id: (order.symbol, order.side, order.status, order.trigger_price, order.average_price)
        for order in orders
    }


async def test_a_day_is_the_same_in_a_backtest_and_on_paper(home: Home) -> None:
    assert (await run_on(home, straddle())).failure is None
    on_paper = told(await orders_of(home))
    assert on_paper == told(in_memory(home))
    assert list(on_paper) == [f"straddle-20250429-{name}" for name in ("CE", "PE", "CE-stop", "PE-stop")]
    assert {status.value for _, _, status, _, _ in on_paper.values()} == {"FILLED"}


@pytest.mark.parametrize("step", range(5))
async def test_killed_before_any_step_no_leg_is_without_its_stop(
    step: int, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps are both entries, both stops, and the change of the stop that is left."""
    done, do = 0, Run._do

    async def killed(run: Run, asked: Any) -> None:
        nonlocal done
        if isinstance(asked, Place | Amend):
            if done == step:
                raise Killed
            done += 1
        await do(run, asked)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_do", killed)
        with pytest.raises(Killed):
            await run_on(home, straddle())
    assert (await run_on(home, straddle())).failure is None
    found = told(await orders_of(home))
    undisturbed = told(in_memory(home))
    assert found.keys() == undisturbed.keys()
    assert [each[:4] for each in found.values()] == [undisturbed[own][:4] for own in found]
