"""Short straddle at 9:20: the call and the put at the money are sold, each with a stop, and it is flat at 15:10.

    python examples/option_day.py day.csv
    durable-orders backtest examples/straddle.py --ticks day.csv
    durable-orders run examples/straddle.py --ticks day.csv --mode paper --speed 2000 --set stop_percent=20

When one leg is stopped out, the stop of the other goes to what that was sold at. Orders are named after their reason,
so that one that is asked for again, after a restart too, is the same order.
"""

from datetime import time
from decimal import ROUND_UP, Decimal

from durable_orders import Order, Parameter, Status, Strategy, StrategyContext


class Straddle(Strategy):
    symbols = ("NSE:NIFTY 50",)
    """What a live run subscribes to; the legs are added when they are known."""
    underlying = Parameter("NIFTY")
    expiry = Parameter("monthly")
    enter_at = Parameter(time(9, 20))
    flat_at = Parameter(time(15, 10))
    lots = Parameter(1, least=1)
    stop_percent = Parameter(Decimal(25), least=Decimal(1))
    """How far above its price a leg is bought back."""

    def on_start(self, context: StrategyContext) -> None:
        context.at(self.enter_at, self.enter)
        context.square_off_at(self.flat_at)
        context.subscribe(*(leg["symbol"] for leg in context.state.get("legs", {}).values()))

    def enter(self, context: StrategyContext) -> None:
        legs = {}
        for kind in ("CE", "PE"):
            option = context.instruments.find(self.underlying, self.expiry, "ATM", kind)
            context.subscribe(option.symbol)
            name = f"straddle-{context.now:%Y%m%d}-{kind}"
            context.sell(option.symbol, option.lot * self.lots, client_order_id=name)
            legs[name] = {"symbol": option.symbol, "stop": f"{name}-stop"}
        context.state["legs"] = legs

    def on_order(self, context: StrategyContext, order: Order) -> None:
        legs = context.state.get("legs", {})
        if order.status is not Status.FILLED or order.average_price is None:
            return
        if leg := legs.get(order.client_order_id):
            leg["sold_at"] = str(order.average_price)
            trigger = self.priced(context, order.symbol, order.average_price * (1 + self.stop_percent / 100))
            limit = self.priced(context, order.symbol, trigger * Decimal("1.1"))
            terms = {"order_type": "SL", "trigger_price": trigger, "price": limit, "client_order_id": leg["stop"]}
            context.buy(order.symbol, order.filled_quantity, **terms)
        elif order.client_order_id in [leg["stop"] for leg in legs.values()]:
            self.other_stop_to_cost(context, order)

    def other_stop_to_cost(self, context: StrategyContext, stopped: Order) -> None:
        """Only while the other leg is below that: a stop on the wrong side of the market would be refused."""
        stops = {order.client_order_id: order for order in context.open_orders()}
        for leg in context.state["legs"].values():
            stop, last = stops.get(leg["stop"]), context.last_price(leg["symbol"])
            if stop is None or last is None or stop.client_order_id == stopped.client_order_id:
                continue
            cost = self.priced(context, stop.symbol, Decimal(leg["sold_at"]))
            if last < cost:
                limit = self.priced(context, stop.symbol, cost * Decimal("1.1"))
                context.amend(stop.client_order_id, trigger_price=cost, price=limit)

    def priced(self, context: StrategyContext, symbol: str, price: Decimal) -> Decimal:
        """On the tick."""
        tick = context.instruments.get(symbol).tick
        return (price / tick).to_integral_value(ROUND_UP) * tick
