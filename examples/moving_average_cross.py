"""Moving-average cross: long while the fast average of the minute closes is above the slow one, short while below.

    durable-orders backtest examples/moving_average_cross.py --report out.html

The same file runs on paper and live.
"""

from collections import deque
from datetime import time
from decimal import Decimal

from durable_orders import Strategy, StrategyContext, Tick

LOT = 75
FAST, SLOW = 10, 30
"""Minutes."""
FLAT_FROM = time(15, 10)
"""IST. From then on nothing is opened, and what is open is closed, before the broker does it."""


class MovingAverageCross(Strategy):
    def __init__(self) -> None:
        self.closes: deque[Decimal] = deque(maxlen=SLOW)
        self.latest: Tick | None = None

    def on_tick(self, context: StrategyContext, tick: Tick) -> None:
        before, self.latest = self.latest, tick
        if tick.at.time() >= FLAT_FROM:
            self.hold(context, tick.symbol, 0)
        elif before is not None and before.at.minute != tick.at.minute:
            self.closes.append(before.last_price)
            if len(self.closes) == SLOW:
                fast = sum(list(self.closes)[-FAST:]) / FAST
                slow = sum(self.closes) / SLOW
                self.hold(context, tick.symbol, LOT if fast > slow else -LOT)

    def hold(self, context: StrategyContext, symbol: str, wanted: int) -> None:
        """Bring the position there. What was asked for and has not ended is waited for."""
        missing = wanted - context.position(symbol).quantity
        if missing and not context.open_orders():
            place = context.buy if missing > 0 else context.sell
            place(symbol, abs(missing))
