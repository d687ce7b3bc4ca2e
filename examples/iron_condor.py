"""Iron condor at 9:20: a call and a put are sold, and one of each further out is bought, as one basket or not at all.

    python examples/option_day.py day.csv master.csv
    durable-orders backtest examples/iron_condor.py --ticks day.csv --instruments master.csv
    durable-orders backtest examples/iron_condor.py --ticks day.csv --instruments master.csv --set target_percent=20

The bought legs come first, so the sold ones are never without their hedge. Once it has earned or lost a part of what it
brought in, and at 15:10, it is closed. The basket is named after its day: one that is asked for again, after a restart
too, is the same basket.
"""

from datetime import time, timedelta
from decimal import Decimal

from durable_orders import BasketLeg, Parameter, PlanStatus, PlanView, Product, Side, Strategy, StrategyContext


class IronCondor(Strategy):
    symbols = ("NSE:NIFTY 50",)
    """What a live run subscribes to; the legs are added when they are known."""
    underlying = Parameter("NIFTY")
    expiry = Parameter("monthly")
    enter_at = Parameter(time(9, 20))
    flat_at = Parameter(time(15, 10))
    lots = Parameter(1, least=1)
    sold, bought = Parameter(1, least=1), Parameter(2, least=2)
    """Listed strikes from the one at the money."""
    target_percent = Parameter(Decimal(40), least=Decimal(1))
    stop_percent = Parameter(Decimal(60), least=Decimal(1))
    """Of what the condor has brought in."""

    def on_start(self, context: StrategyContext) -> None:
        context.at(self.enter_at, self.enter)
        context.every(timedelta(minutes=5), self.look)
        context.square_off_at(self.flat_at)
        context.subscribe(*context.state.get("legs", {}))

    def enter(self, context: StrategyContext) -> None:
        legs = []
        for kind, out in (("CE", "+"), ("PE", "-")):
            for side, strikes in ((Side.BUY, self.bought), (Side.SELL, self.sold)):
                option = context.instruments.find(self.underlying, self.expiry, f"ATM{out}{strikes}", kind)
                quantity = option.lot * self.lots
                legs.append(BasketLeg(symbol=option.symbol, side=side, quantity=quantity, product=Product.MIS))
        context.subscribe(*(leg.symbol for leg in legs))
        name = f"condor-{context.now:%Y%m%d}"
        context.state.update(name=name, legs={leg.symbol: leg.side.value for leg in legs})
        context.basket(*legs, hedged=True, within=20, plan_id=name)

    def on_plan(self, context: StrategyContext, plan: PlanView) -> None:
        if plan.plan_id == context.state.get("name") and plan.status is PlanStatus.FILLED:
            sides = context.state["legs"]
            prices = [(order.average_price or Decimal(0)) * -Side(sides[order.symbol]).sign for order in plan.orders]
            context.state["credit"] = str(sum(prices))

    def look(self, context: StrategyContext) -> None:
        """Every five minutes: in between some legs have the prices of now, and others those of before."""
        state = context.state
        prices = {symbol: context.last_price(symbol) for symbol in state.get("legs", {})}
        if "credit" not in state or "over" in state or None in prices.values():
            return
        credit = Decimal(state["credit"])
        worth = sum((price or 0) * Side(state["legs"][symbol]).sign for symbol, price in prices.items())
        earned = (credit + worth) / credit * 100
        if not -self.stop_percent < earned < self.target_percent:
            state["over"] = f"{earned:.1f} % at {context.now:%H:%M:%S}"
            for side in (Side.SELL, Side.BUY):  # the sold ones first
                for symbol in (symbol for symbol, of in state["legs"].items() if of == side):
                    context.close(symbol, reason=state["over"])
