"""What plans cost in a backtest, beside the same orders without one: `python -m bench.plans`.

One strategy asks for brackets; the other for the same entries, and places the same stop when it hears of each fill.
Both are played in turn, in one process, over the same ticks. Then trailing stops over a hundred shares, beside the same
ticks without a plan; both in memory already, so reading them is not in it. Times are CPU seconds; the median of the
ratios counts.
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from statistics import median

from rich.console import Console

from bench.core_case import LOT, OPENS, SESSION
from durable_orders.trading.backtest.play import Player
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.market.feeds import Timed
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext

console = Console(highlight=False)
UP, DOWN = Decimal(24_000), Decimal(23_980)
STOP = Decimal(23_990)


class ByPlan(Strategy):
    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        if tick.last_price == UP:
            desk.bracket("BUY", tick.symbol, LOT, stop=STOP)


class ByItself(Strategy):
    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        if tick.last_price == UP:
            desk.buy(tick.symbol, LOT)

    def on_order(self, desk: StrategyContext, order: Order) -> None:
        if order.side == "BUY" and order.status == "FILLED":
            desk.sell(order.symbol, order.filled_quantity, order_type="SL-M", trigger_price=STOP)


SHARES = [f"NSE:S{number}" for number in range(100)]
TRAIL = Decimal(20)
"""Points, of some 1,500 rupees."""


class Trails(Strategy):
    def on_start(self, desk: StrategyContext) -> None:
        self.begun: set[str] = set()

    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        if tick.symbol not in self.begun:
            self.begun.add(tick.symbol)
            desk.bracket("BUY", tick.symbol, 1, stop=tick.last_price - TRAIL, trail=TRAIL)


class Looks(Strategy):
    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        return


def walked(each: int) -> list[Timed]:
    """So many ticks of each share, which walk at random."""
    random, feed = Random(18), []  # noqa: S311
    prices = dict.fromkeys(SHARES, Decimal(1_500))
    for step in range(each):
        for number, symbol in enumerate(SHARES):
            prices[symbol] += Decimal(random.choice((-10, -5, -5, 0, 0, 0, 5, 5, 10))) / 100
            at = OPENS + timedelta(milliseconds=250 * step, microseconds=number)
            feed.append(Timed(Tick(symbol, prices[symbol], at), 0.0, SESSION))
    return feed


def watched(strategy: Callable[[], Strategy], feed: Sequence[Timed]) -> float:
    """CPU seconds, the plans' beginning included."""
    instruments = Instruments.shipped()
    alike = instruments.get("NSE:INFY")
    assert alike is not None
    for symbol in SHARES:
        instruments.add(replace(alike, symbol=symbol, instrument_token=0, tick_size=Decimal("0.05")))
    playing = Player(Loaded(strategy(), "bench"), Settings(), instruments, OPENS)
    gc.collect()
    began = time.process_time()
    played = playing.play(feed)
    spent = time.process_time() - began
    assert played.failure is None
    return spent


def seconds(strategy: Callable[[], Strategy], plans: int) -> float:
    """CPU, for so many entries and their stops."""
    feed = [
        Timed(Tick(SHIPPED_SYMBOL, price, OPENS + timedelta(milliseconds=100 * (2 * number + later))), 0.0, SESSION)
        for number in range(plans)
        for later, price in enumerate((UP, DOWN))
    ]
    playing = Player(Loaded(strategy(), "bench"), Settings(), Instruments.shipped(), OPENS)
    gc.collect()
    began = time.process_time()
    played = playing.play(feed)
    spent = time.process_time() - began
    assert played.failure is None
    assert len(played.orders) == 2 * plans
    assert all(order.status == "FILLED" for order in played.orders)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plans", description=__doc__)
    parser.add_argument("--plans", type=int, default=2_000, help="brackets of a round")
    parser.add_argument("--ticks", type=int, default=2_000, help="of each of the hundred shares")
    parser.add_argument("--rounds", type=int, default=5, help="of each, in turn")
    chosen = parser.parse_args()
    if min(chosen.plans, chosen.rounds, chosen.ticks) < 1:
        parser.error("--plans, --rounds, --ticks: at least 1")
    pairs = [(seconds(ByPlan, chosen.plans), seconds(ByItself, chosen.plans)) for _ in range(chosen.rounds)]
    planned, alone = (median(each) / chosen.plans * 1e6 for each in zip(*pairs, strict=True))
    ratio = median(one / other for one, other in pairs)
    console.print(f"a bracket, with its two orders   {planned:7.1f} us")
    console.print(f"the same two orders              {alone:7.1f} us")
    console.print(f"ratio                            {ratio:7.2f}")
    feed = walked(chosen.ticks)
    pairs = [(watched(Trails, feed), watched(Looks, feed)) for _ in range(chosen.rounds)]
    trailing, plain = (median(each) / len(feed) * 1e6 for each in zip(*pairs, strict=True))
    console.print(f"a tick, a trailing stop open     {trailing:7.1f} us")
    console.print(f"a tick without a plan            {plain:7.1f} us")
    console.print(f"ratio                            {median(one / other for one, other in pairs):7.2f}")


if __name__ == "__main__":
    main()
