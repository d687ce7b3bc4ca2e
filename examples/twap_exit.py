"""A position that goes out in parts: bought or sold with the first quarter of an hour's move, out by a TWAP from 14:00.

    durable-orders backtest examples/twap_exit.py
    durable-orders backtest examples/twap_exit.py --set slices=10 --set randomise=0
    durable-orders run examples/twap_exit.py --mode paper --speed 2000

The parts are of sizes that are drawn once. The schedule is a plan: it goes on whatever becomes of this program, and one
that is asked for again under its name, after a restart too, is the same one. What is left at 15:10 is closed at once.
"""

from datetime import time

from durable_orders import SHIPPED_SYMBOL, Parameter, Side, Strategy, StrategyContext


class TwapExit(Strategy):
    symbols = (SHIPPED_SYMBOL,)
    """Whose ticks a live run subscribes to."""
    enter_at = Parameter(time(9, 30))
    leave_from, leave_until = Parameter(time(14, 0)), Parameter(time(15, 0))
    flat_at = Parameter(time(15, 10))
    lots = Parameter(10, least=2)
    slices = Parameter(6, least=2)
    randomise = Parameter(40, least=0)
    """Percent."""

    def on_start(self, context: StrategyContext) -> None:
        context.at(self.enter_at, self.enter)
        context.at(self.leave_from, self.leave)
        context.square_off_at(self.flat_at)

    def enter(self, context: StrategyContext) -> None:
        first, *_, last = context.history(SHIPPED_SYMBOL, "5minute", since=context.now.date())
        quantity = context.instruments.get(SHIPPED_SYMBOL).lot * self.lots
        ask = context.buy if last.close > first.open else context.sell
        ask(SHIPPED_SYMBOL, quantity, client_order_id=f"in-{context.now:%Y%m%d}")

    def leave(self, context: StrategyContext) -> None:
        held = context.position(SHIPPED_SYMBOL).quantity
        if held:
            side = Side.SELL if held > 0 else Side.BUY
            context.twap(
                *(side, SHIPPED_SYMBOL, abs(held)),
                ends_at=self.leave_until,
                slices=self.slices,
                randomise=self.randomise,
                plan_id=f"out-{context.now:%Y%m%d}",
            )
