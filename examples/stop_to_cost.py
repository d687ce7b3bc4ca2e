"""Stop to cost: buys at the close of a rising bar, and once that has earned what it risked, it can lose no more.

    durable-orders backtest examples/stop_to_cost.py
    durable-orders run examples/stop_to_cost.py --mode paper --speed 2000 --set points=30

The entry waits at the bar's close until the next bar has ended. With its first fill a stop goes out below it; where the
price has come as far above it, the plan moves the stop to what the entry cost. One plan at a time, flat at 15:10.
"""

from collections.abc import Mapping
from datetime import time

from durable_orders import SHIPPED_SYMBOL, Bar, Parameter, PlanView, Strategy, StrategyContext

LOT = 75
NO_MORE_FROM, FLAT_FROM = time(14, 30), time(15, 10)
"""IST."""


class StopToCost(Strategy):
    symbols = (SHIPPED_SYMBOL,)
    interval = Parameter("15minute")
    points = Parameter(30, least=1)
    """Rupees between the entry and its stop."""

    def on_start(self, context: StrategyContext) -> None:
        context.bars(self.interval, self.on_bar, SHIPPED_SYMBOL)

    def on_bar(self, context: StrategyContext, bars: Mapping[str, Bar]) -> None:
        bar = bars[SHIPPED_SYMBOL]
        for plan in context.plans():
            if not plan.held:
                context.cancel_plan(plan.plan_id, reason="the price has gone on without it")
        is_free = all(not plan.held for plan in context.plans())
        if is_free and bar.close > bar.open and context.now.time() < NO_MORE_FROM:
            context.bracket(
                "BUY",
                SHIPPED_SYMBOL,
                LOT,
                price=bar.close,
                stop=bar.close - self.points,
                break_even=bar.close + self.points,
                target=bar.close + 3 * self.points,
                exit_at=FLAT_FROM,
                plan_id=f"cost-{context.now:%Y%m%d-%H%M}",
            )

    def on_plan(self, context: StrategyContext, plan: PlanView) -> None:
        if plan.status.terminal and plan.orders:
            context.state["last"] = f"{plan.plan_id} {plan.status}"
