"""Supertrend: long while five-minute closes are above it, short while below, flat at 15:10.

    pip install 'durable-orders[indicators]'
    durable-orders backtest examples/supertrend.py
    durable-orders run examples/supertrend.py --mode paper --speed 2000 --set length=7

The indicator is talipp's. It begins with the bars of before, as far as there are any.
"""

from collections.abc import Mapping
from datetime import time
from decimal import Decimal

from talipp.indicators import SuperTrend
from talipp.indicators.SuperTrend import Trend

from durable_orders import SHIPPED_SYMBOL, Bar, Parameter, Strategy, StrategyContext


class Follows(Strategy):
    symbols = (SHIPPED_SYMBOL,)
    interval = Parameter("5minute")
    length = Parameter(10, least=2)
    multiplier = Parameter(Decimal(3), least=Decimal(1))
    lots = Parameter(1, least=1)
    flat_at = Parameter(time(15, 10))

    def on_start(self, context: StrategyContext) -> None:
        (self.symbol,) = self.symbols
        self.trend = SuperTrend(self.length, float(self.multiplier))
        for bar in context.history(self.symbol, self.interval, 5 * self.length):
            self.trend.add(bar.floats)
        context.bars(self.interval, self.on_bar, self.symbol)
        context.square_off_at(self.flat_at)

    def on_bar(self, context: StrategyContext, bars: Mapping[str, Bar]) -> None:
        bar = bars[self.symbol]
        if not bar.is_whole:  # the run began within it: it is in the history of the next start
            return
        self.trend.add(bar.floats)
        if self.trend[-1] is not None and bar.at.date() == context.now.date():
            size = context.instruments.get(self.symbol).lot * self.lots
            context.target(self.symbol, size if self.trend[-1].trend is Trend.UP else -size)
