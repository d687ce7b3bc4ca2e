"""One case of the core's measurement, in a process of its own: `python -m bench.core_case market 10000`. Prints JSON.

A strategy is shown a tick, asks for ten orders, and so on: MARKET orders, buying and selling in turn, or LIMIT orders
far from the market, each cancelled at once. Everything else is as it is out of the box: the guardian's checks, 5 bps
of slippage, every order's record kept. Times are CPU seconds of this process, on one core.
"""

import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import quantiles
from typing import Any

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.play import Player
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderIntent, OrderType, Side
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext

A_TICK = 10
"""Orders."""
LOT = 75
FAR = Decimal(20_000)
"""Rupees: a BUY limit that no tick reaches."""
OPENS = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
SESSION = Session(OPENS.date(), OPENS, OPENS + timedelta(hours=6, minutes=15))
SAMPLES = 5_000


class AtMarket(Strategy):
    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        for _ in range(A_TICK // 2):
            desk.buy(tick.symbol, LOT)
            desk.sell(tick.symbol, LOT)


class LimitAndCancel(Strategy):
    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        for _ in range(A_TICK):
            desk.cancel(desk.buy(tick.symbol, LOT, order_type=OrderType.LIMIT, price=FAR))


STRATEGIES: dict[str, Callable[[], Strategy]] = {"market": AtMarket, "limit_and_cancel": LimitAndCancel}


def ticks(count: int) -> Iterator[Tick]:
    for number in range(count):
        price = Decimal(24_000) + Decimal(number % 41) / 20
        yield Tick(SHIPPED_SYMBOL, price, OPENS + timedelta(milliseconds=number))


def player(kind: str) -> Player:
    return Player(Loaded(STRATEGIES[kind](), "bench"), Settings(), Instruments.shipped(), OPENS)


def throughput(kind: str, count: int) -> dict[str, float]:
    """Orders a second; the ticks are made beforehand."""
    feed = [Timed(tick, 0.0, SESSION) for tick in ticks(count // A_TICK)]
    playing = player(kind)
    gc.collect()
    began = time.process_time()
    played = playing.play(feed)
    seconds = time.process_time() - began
    assert played.failure is None
    assert len(played.orders) == count
    return {"orders_per_second": round(count / seconds, 1), "us_per_order": round(seconds / count * 1e6, 2)}


def latency(kind: str) -> dict[str, float]:
    """Microseconds from the making of the intent to the order's end, on the wall's clock."""
    core = Core(Settings(), Instruments.shipped(), OPENS, {"bench"}, lambda _live: None)
    taken = []
    for number, tick in enumerate(ticks(SAMPLES // A_TICK)):
        core.on_tick(tick, SESSION)
        for each in range(A_TICK):
            began = time.perf_counter_ns()
            _one(core, kind, f"{number}-{each}", Side.BUY if each % 2 else Side.SELL)
            taken.append((time.perf_counter_ns() - began) / 1000)
    cuts = quantiles(taken, n=100)
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


def _one(core: Core, kind: str, order_id: str, side: Side) -> None:
    limit: dict[str, Any] = {} if kind == "market" else {"order_type": OrderType.LIMIT, "price": FAR}
    side = side if kind == "market" else Side.BUY
    intent = OrderIntent(
        symbol=SHIPPED_SYMBOL, side=side, quantity=LOT, client_order_id=order_id, strategy="bench", **limit
    )
    live = core.ask(intent)
    assert live is not None
    core.submit(live)
    if limit:
        core.cancel(order_id, "by the bench")


def memory(kind: str, count: int) -> int:
    """Bytes that an ended order keeps, the look-up of it included."""
    feed = [Timed(tick, 0.0, SESSION) for tick in ticks(count // A_TICK)]
    playing = player(kind)
    gc.collect()
    tracemalloc.start()
    played = playing.play(feed)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(1 for _ in played.core.ended()) == count
    return round(size / count)


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    throughput(kind, 1_000)  # the interpreter warms up
    report: dict[str, Any] = {"kind": kind, "orders": count, **throughput(kind, count)}
    if "--details" in sys.argv:
        report |= {"latency_us": latency(kind), "bytes_per_order": memory(kind, min(count, 10_000))}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
