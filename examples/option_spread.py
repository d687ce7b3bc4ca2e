"""A spread by strike: the call at the money is bought, and one some strikes above it sold against it.

    python examples/option_day.py day.csv master.csv
    durable-orders backtest examples/option_spread.py --ticks day.csv --instruments master.csv
    durable-orders backtest examples/option_spread.py --ticks day.csv --instruments master.csv --set width=1

The bought leg comes first, and what it was filled with is sold of the other: the sold one is never without its hedge.
Both are closed when the spread has lost or earned so much of its cost, and at 15:10.
"""

from datetime import time
from decimal import Decimal

from durable_orders import Order, Parameter, Status, Strategy, StrategyContext, Tick


class OptionSpread(Strategy):
    symbols = ("NSE:NIFTY 50",)
    """What a live run subscribes to; the legs are added when they are known."""
    underlying = Parameter("NIFTY")
    expiry = Parameter("monthly")
    enter_at = Parameter(time(9, 20))
    flat_at = Parameter(time(15, 10))
    lots = Parameter(1, least=1)
    width = Parameter(2, least=1)
    """Listed strikes between the two."""
    stop_percent = Parameter(Decimal(30), least=Decimal(1))
    target_percent = Parameter(Decimal(60), least=Decimal(1))
    """Of what the spread has cost."""

    def on_start(self, context: StrategyContext) -> None:
        context.at(self.enter_at, self.enter)
        context.square_off_at(self.flat_at)
        context.subscribe(*(context.state[leg] for leg in ("bought", "sold") if leg in context.state))

    def enter(self, context: StrategyContext) -> None:
        bought = context.instruments.find(self.underlying, self.expiry, "ATM", "CE")
        sold = context.instruments.find(self.underlying, self.expiry, f"ATM+{self.width}", "CE")
        context.subscribe(bought.symbol, sold.symbol)
        context.buy(bought.symbol, bought.lot * self.lots, client_order_id=f"spread-{context.now:%Y%m%d}-bought")
        context.state.update(bought=bought.symbol, sold=sold.symbol)

    def on_order(self, context: StrategyContext, order: Order) -> None:
        name, _, leg = order.client_order_id.rpartition("-")
        if order.status is Status.FILLED and name.startswith("spread-"):
            context.state[f"{leg} at"] = str(order.average_price)
            if leg == "bought":
                context.sell(context.state["sold"], order.filled_quantity, client_order_id=f"{name}-sold")

    def on_tick(self, context: StrategyContext, tick: Tick) -> None:
        if tick.symbol != context.state.get("sold") or "sold at" not in context.state or "over" in context.state:
            return
        bought, sold = (context.last_price(context.state[leg]) for leg in ("bought", "sold"))
        if bought is None or sold is None:
            return
        cost = Decimal(context.state["bought at"]) - Decimal(context.state["sold at"])
        earned = (bought - sold - cost) / cost * 100
        if not -self.stop_percent < earned < self.target_percent:
            context.state["over"] = f"{earned:.1f} % at {context.now:%H:%M:%S}"
            context.close(context.state["sold"])
            context.close(context.state["bought"])
