"""Portfolio: once a week the shares that rose most are held, each for the same money, and the others are sold.

    python examples/share_days.py days.csv
    durable-orders backtest examples/rebalance.py --ticks days.csv

It decides by daily candles, and holds for delivery (CNC). Killed between two of its orders, it goes on with the rest:
that the week's portfolio was chosen is written down together with the orders.
"""

from datetime import time

from durable_orders import Parameter, Product, Strategy, StrategyContext


class Rebalance(Strategy):
    symbols = ("NSE:INFY", "NSE:TCS", "NSE:HDFCBANK")
    days = Parameter(4, least=1)
    hold = Parameter(1, least=1)
    capital = Parameter(300_000, least=1)
    """Rupees in all."""
    at = Parameter(time(10, 0))

    def on_start(self, context: StrategyContext) -> None:
        self.aim(context)
        context.at(self.at, self.choose)

    def choose(self, context: StrategyContext) -> None:
        week = f"{context.now:%G-%V}"
        if context.state.get("week") == week:
            return
        candles = {symbol: context.history(symbol, "day", self.days + 1) for symbol in self.symbols}
        if any(len(each) <= self.days for each in candles.values()):
            return
        rose = {symbol: each[-1].close / each[0].close for symbol, each in candles.items()}
        best = sorted(rose, key=rose.__getitem__, reverse=True)[: self.hold]
        share = self.capital // self.hold
        context.state["week"] = week
        context.state["wanted"] = {
            symbol: context.quantity_for(symbol, capital=share) if symbol in best else 0 for symbol in self.symbols
        }
        self.aim(context)

    def aim(self, context: StrategyContext) -> None:
        for symbol, quantity in context.state.get("wanted", {}).items():
            context.target(symbol, quantity, Product.CNC)
