"""Portfolio: once a week the shares that rose most are held, each for the same money, and the others are sold.

    python examples/share_days.py days.csv
    durable-orders backtest examples/rebalance.py --ticks days.csv

It decides by daily candles, and holds for delivery (CNC). Killed between two of its orders, it goes on with the rest:
that the week's portfolio was chosen is written down together with the orders.
"""

from datetime import time

from durable_orders import Desk, Parameter, Product, Strategy


class Rebalance(Strategy):
    symbols = ("NSE:INFY", "NSE:TCS", "NSE:HDFCBANK")
    days = Parameter(4, least=1)
    hold = Parameter(1, least=1)
    capital = Parameter(300_000, least=1)
    """Rupees in all."""
    at = Parameter(time(10, 0))

    def on_start(self, desk: Desk) -> None:
        self.aim(desk)
        desk.at(self.at, self.choose)

    def choose(self, desk: Desk) -> None:
        week = f"{desk.now:%G-%V}"
        if desk.state.get("week") == week:
            return
        candles = {symbol: desk.history(symbol, "day", self.days + 1) for symbol in self.symbols}
        if any(len(each) <= self.days for each in candles.values()):
            return
        rose = {symbol: each[-1].close / each[0].close for symbol, each in candles.items()}
        best = sorted(rose, key=rose.__getitem__, reverse=True)[: self.hold]
        share = self.capital // self.hold
        desk.state["week"] = week
        desk.state["wanted"] = {
            symbol: desk.quantity_for(symbol, capital=share) if symbol in best else 0 for symbol in self.symbols
        }
        self.aim(desk)

    def aim(self, desk: Desk) -> None:
        for symbol, quantity in desk.state.get("wanted", {}).items():
            desk.target(symbol, quantity, Product.CNC)
