"""Pair: two shares whose prices go together; when their ratio is far from its mean, the dear one is sold short and the
other bought, for the same money, until the ratio is back.

    python examples/share_days.py days.csv
    durable-orders backtest examples/pair.py --ticks days.csv

Both are seen in step: a bar of one without a bar of the other decides nothing. Flat at 15:10.
"""

from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from statistics import mean, stdev

from durable_orders import Bar, Parameter, Strategy, StrategyContext


class Pair(Strategy):
    symbols = ("NSE:INFY", "NSE:TCS")
    interval = Parameter("15minute")
    length = Parameter(20, least=3)
    enter = Parameter(Decimal("1.5"))
    """Standard deviations from the mean."""
    leave = Parameter(Decimal("0.3"))
    capital = Parameter(200_000, least=1)
    """Rupees a side."""
    flat_at = Parameter(time(15, 10))

    def on_start(self, context: StrategyContext) -> None:
        bars = [context.history(symbol, self.interval, self.length) for symbol in self.symbols]
        first, second = ({bar.at: bar.close for bar in each} for each in bars)
        self.ratios = [float(first[at] / second[at]) for at in first if at in second]
        context.bars(self.interval, self.on_bars, *self.symbols)
        context.square_off_at(self.flat_at)

    def on_bars(self, context: StrategyContext, bars: Mapping[str, Bar]) -> None:
        first, second = (bars.get(symbol) for symbol in self.symbols)
        if first is None or second is None:
            return
        self.ratios = [*self.ratios[-self.length :], float(first.close / second.close)]
        if len(self.ratios) <= self.length or first.at.date() != context.now.date():
            return  # what it has not heard yesterday, as it was flat by then, comes as this day opens
        away = (self.ratios[-1] - mean(self.ratios)) / stdev(self.ratios)
        is_held = context.position(first.symbol).quantity != 0
        if abs(away) > self.enter and not is_held:
            for bar, sign in ((first, -1), (second, 1)):
                size = context.quantity_for(bar.symbol, capital=self.capital, price=bar.close)
                context.target(bar.symbol, size * (sign if away > 0 else -sign))
        elif abs(away) < self.leave and is_held:
            for symbol in self.symbols:
                context.target(symbol, 0)
