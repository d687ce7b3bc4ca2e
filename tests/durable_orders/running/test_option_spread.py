"""The example of a spread by strike is the same in a backtest and on paper, its hedge first."""

import runpy
from decimal import Decimal
from pathlib import Path

from durable_orders.trading.backtest.play import Player
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.orders.order import Order
from durable_orders.trading.strategies.files import Loaded, load_strategy
from durable_orders.trading.strategies.strategy import Strategy
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import NAME, OPENS, home_with_ticks, orders_of, run_on

EXAMPLES = Path(__file__).parents[3] / "examples"
OVER = "2025-04-29T10:00"


def spread() -> Strategy:
    return load_strategy(EXAMPLES / "option_spread.py").strategy


def told(orders: list[Order]) -> list[str]:
    return sorted(
        f"{each.symbol} {each.side} {each.status} {each.filled_quantity} {each.average_price}" for each in orders
    )


async def test_a_spread_is_the_same_in_a_backtest_and_on_paper(make_home: MakeHome, tmp_path: Path) -> None:
    made, master = tmp_path / "day.csv", tmp_path / "master.csv"
    day = runpy.run_path(str(EXAMPLES / "option_day.py"))
    day["write"](str(made), day["STRIKES"])
    day["write_master"](str(master))
    head, *rows = made.read_text().splitlines()
    wanted = ("NIFTY 50", "24400CE", "24500CE")
    made.write_text("\n".join([head, *(row for row in rows if row < OVER and row.endswith(wanted))]) + "\n")
    home = home_with_ticks(make_home, made, market={"instruments": [str(master)]})
    settings, instruments = home.settings(), Instruments.read(master)
    ticks = list(read_ticks(made, None, Decimal("0.05")))
    feed = ReplayFeed(ticks, 1.0, InstrumentSessions(settings.market, instruments), rounds=1)
    played = Player(Loaded(spread(), NAME), settings, instruments, OPENS).play(feed)
    assert played.failure is None
    in_memory = [order.order() for order in played.orders]
    first, second, *closing = sorted(in_memory, key=lambda each: each.updated_at)
    assert (first.side.value, first.symbol) == ("BUY", "NFO:NIFTY25MAY24400CE")
    assert (second.side.value, second.symbol) == ("SELL", "NFO:NIFTY25MAY24500CE")
    assert len(closing) == 2
    assert (await run_on(home, spread())).failure is None
    assert told(await orders_of(home)) == told(in_memory)
