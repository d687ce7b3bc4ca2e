"""The work of `bench.core_case` in basana, run by a Python that has it: `python with_basana.py market 10000`."""

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version

import basana as bs
from basana.backtesting import exchange as backtesting
from basana.backtesting import liquidity

A_BAR = 10
LOT = Decimal(75)
FAR = Decimal(20_000)
PAIR = bs.Pair("NIFTY", "INR")
BEGIN = datetime(2025, 4, 29, 3, 45, tzinfo=UTC)
ENOUGH = Decimal(10) ** 15


def bars(count: int) -> list[bs.BarEvent]:
    """A tick is a bar of one price; one more lets the last orders meet the market."""
    made = []
    for number in range(count):
        price = Decimal(24_000) + Decimal(number % 41) / 20
        begin = BEGIN + timedelta(seconds=number)
        bar = bs.Bar(begin, PAIR, price, price, price, price, ENOUGH, timedelta(seconds=1))
        made.append(bs.BarEvent(begin + timedelta(seconds=1), bar))
    return made


class Strategy:
    def __init__(self, exchange: backtesting.Exchange, kind: str, count: int) -> None:
        self.exchange, self.kind, self.left = exchange, kind, count

    async def on_bar(self, event: bs.BarEvent) -> None:
        if not self.left:
            return
        self.left -= A_BAR
        for number in range(A_BAR):
            if self.kind == "market":
                side = bs.OrderOperation.BUY if number % 2 == 0 else bs.OrderOperation.SELL
                await self.exchange.create_market_order(side, PAIR, LOT)
            else:
                order = await self.exchange.create_limit_order(bs.OrderOperation.BUY, PAIR, LOT, FAR)
                await self.exchange.cancel_order(order.id)


def throughput(kind: str, count: int) -> float:
    """CPU seconds."""
    dispatcher = bs.backtesting_dispatcher()
    exchange = backtesting.Exchange(
        dispatcher,
        {"NIFTY": ENOUGH, "INR": ENOUGH},
        liquidity_strategy_factory=liquidity.InfiniteLiquidity,
        immediate_order_processing=True,
    )
    strategy = Strategy(exchange, kind, count)
    exchange.add_bar_source(bs.FifoQueueEventSource(events=bars(count // A_BAR + 1)))
    exchange.subscribe_to_bar_events(PAIR, strategy.on_bar)
    began = time.process_time()
    asyncio.run(dispatcher.run())
    seconds = time.process_time() - began
    done = asyncio.run(exchange.get_orders(PAIR))
    filled = sum(order.amount_filled == LOT for order in done)
    assert len(done) == count
    assert filled == (count if kind == "market" else 0)
    return seconds


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    throughput(kind, 1_000)
    rate = round(count / throughput(kind, count), 1)
    print(json.dumps({"kind": kind, "orders": count, "orders_per_second": rate, "version": version("basana")}))


if __name__ == "__main__":
    main()
