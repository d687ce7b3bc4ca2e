"""Opening-range breakout: out of the first fifteen minutes' range, up or down, as a bracket.

    durable-orders backtest examples/opening_range_breakout.py
    durable-orders run examples/opening_range_breakout.py --mode paper --speed 2000

The stop is the other end of the range, the target as far beyond it as the range is wide, and what is left at 15:10 is
closed. All of that is the plan's: it goes on whatever becomes of this program. A plan is named after its day and side,
so that one that is asked for again, after a restart too, is the same plan. Started after the range, it opens nothing.
"""

from datetime import date, time
from decimal import Decimal

from durable_orders import Side, Strategy, StrategyContext, Tick

LOT = 75
RANGE_UNTIL, FLAT_FROM = time(9, 30), time(15, 10)
"""IST."""


class OpeningRangeBreakout(Strategy):
    symbols = ("NFO:NIFTY25MAYFUT",)
    """Whose ticks a live run subscribes to."""

    def __init__(self) -> None:
        self.day: date | None = None
        self.low = self.high = Decimal(0)

    def on_tick(self, context: StrategyContext, tick: Tick) -> None:
        if tick.at.date() != self.day:
            self.day, self.low, self.high = tick.at.date(), Decimal(0), Decimal("Infinity")
            if tick.at.time() < RANGE_UNTIL:
                self.low = self.high = tick.last_price
        if tick.at.time() < RANGE_UNTIL:
            self.low, self.high = min(self.low, tick.last_price), max(self.high, tick.last_price)
        elif tick.at.time() < FLAT_FROM and tick.last_price > self.high:
            self.enter(context, tick.symbol, Side.BUY, stop=self.low, beyond=self.high)
        elif tick.at.time() < FLAT_FROM and tick.last_price < self.low:
            self.enter(context, tick.symbol, Side.SELL, stop=self.high, beyond=self.low)

    def enter(self, context: StrategyContext, symbol: str, side: Side, *, stop: Decimal, beyond: Decimal) -> None:
        target = beyond + (beyond - stop)
        name = f"breakout-{self.day}-{side}"
        context.bracket(side, symbol, LOT, stop=stop, target=target, exit_at=FLAT_FROM, plan_id=name)
