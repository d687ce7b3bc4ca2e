"""The examples with shares trade over some days, and what holds over night is the same on paper, to the paisa."""

import runpy
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

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
from tests.durable_orders.running.stage import NAME, home_with_ticks, orders_of, run_on

EXAMPLES = Path(__file__).parents[3] / "examples"


def strategy_of(name: str) -> Strategy:
    given = {"pair": ("length=12", "enter=1.2"), "turtle": ("length=8",)}
    return load_strategy(EXAMPLES / f"{name}.py", given=given.get(name, ())).strategy


def home_of(name: str, make_home: MakeHome, tmp_path: Path) -> Home:
    """Six days of those shares that it looks at, and the next Monday's morning."""
    made = tmp_path / "days.csv"
    runpy.run_path(str(EXAMPLES / "share_days.py"))["write"](str(made), days=6)
    head, *rows = made.read_text().splitlines()
    own: tuple[str, ...] = strategy_of(name).symbols  # type: ignore[attr-defined]
    made.write_text("\n".join([head, *(row for row in rows if row.endswith(own))]) + "\n")
    return home_with_ticks(make_home, made)


def in_memory(name: str, home: Home) -> list[Order]:
    settings, instruments = home.settings(), Instruments.shipped()
    assert settings.market.ticks is not None
    ticks = read_ticks(settings.market.ticks, None, Decimal("0.05"))
    feed = ReplayFeed(ticks, 1.0, InstrumentSessions(settings.market, instruments), rounds=1)
    played = Player(Loaded(strategy_of(name), NAME), settings, instruments, ticks[0].at).play(feed)
    assert played.failure is None
    return [each.order() for each in sorted(played.orders, key=lambda each: each.number)]


def told(orders: list[Order]) -> list[Any]:
    return [
        (each.symbol, each.side, each.quantity, each.status, each.trigger_price, each.average_price) for each in orders
    ]


@pytest.mark.parametrize("name", ["gap", "pair"])
def test_days_are_traded_and_end_flat(name: str, make_home: MakeHome, tmp_path: Path) -> None:
    held: dict[str, int] = {}
    for order in in_memory(name, home_of(name, make_home, tmp_path)):
        held[order.symbol] = held.get(order.symbol, 0) + order.side.sign * order.filled_quantity
    assert held
    assert set(held.values()) == {0}


@pytest.mark.parametrize("name", ["rebalance", "turtle"])
async def test_days_are_the_same_in_a_backtest_and_on_paper(name: str, make_home: MakeHome, tmp_path: Path) -> None:
    home = home_of(name, make_home, tmp_path)
    summary = await run_on(home, strategy_of(name))
    assert summary.failure is None
    on_paper = told(await orders_of(home))
    assert on_paper == told(in_memory(name, home))
    assert any(status == "FILLED" for _, _, _, status, _, _ in on_paper)


def test_a_turtle_that_wakes_below_its_stop_sells_at_the_market(make_home: MakeHome, tmp_path: Path) -> None:
    """Kite refuses a stop above the price, at each bar again."""
    calm = [3400 + number % 2 for number in range(25)]
    days = [calm, calm, [*calm[:12], *(3400 + 2 * number for number in range(13))], [3200] * 25]
    rows = [
        f"2025-06-{2 + day:02} {time(9 + (15 + 15 * number) // 60, (15 + 15 * number) % 60)}+05:30,{price},NSE:TCS"
        for day, of_day in enumerate(days)
        for number, price in enumerate(of_day)
    ]
    (tmp_path / "days.csv").write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    orders = in_memory("turtle", home_with_ticks(make_home, tmp_path / "days.csv"))
    assert "REJECTED" not in {order.status for order in orders}
    assert [(order.side, order.order_type, order.status) for order in orders] == [
        ("BUY", "MARKET", "FILLED"),
        ("SELL", "SL-M", "EXPIRED"),
        ("SELL", "MARKET", "FILLED"),
    ]
