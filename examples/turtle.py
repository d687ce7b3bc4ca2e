"""Breakout, sized by risk: above the highest price of the last bars it buys what `risk` rupees allow down to a stop of
two average ranges, and the stop follows.

    pip install 'durable-orders[indicators]'
    python examples/share_days.py days.csv
    durable-orders backtest examples/turtle.py --ticks days.csv

It holds over night (NRML on futures, CNC on shares). A stop is of one day: each morning it is placed again.
"""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from talipp.indicators import ATR, DonchianChannels

from durable_orders import Bar, Order, Parameter, Product, Status, Strategy, StrategyContext


class Turtle(Strategy):
    symbols = ("NSE:TCS",)
    interval = Parameter("15minute")
    length = Parameter(20, least=2)
    ranges = Parameter(2, least=1)
    risk = Parameter(5000, least=1)

    def on_start(self, context: StrategyContext) -> None:
        (self.symbol,) = self.symbols
        self.high, self.range = DonchianChannels(self.length), ATR(self.length)
        for bar in context.history(self.symbol, self.interval, 5 * self.length):
            self.add(bar)
        context.bars(self.interval, self.on_bar, self.symbol)

    def add(self, bar: Bar) -> None:
        self.high.add(bar.floats)
        self.range.add(bar.floats)

    def on_bar(self, context: StrategyContext, bars: Mapping[str, Bar]) -> None:
        bar, before = bars[self.symbol], self.high[-1] if self.high else None
        self.add(bar)
        if before is None or self.range[-1] is None:
            return
        stop = self.stop_below(context, bar.close)
        if held := context.position(self.symbol, Product.CNC).quantity:
            self.follow(context, stop, held, bar.close)
        elif bar.floats.close > before.ub and not context.open_orders():
            size = context.quantity_for(self.symbol, risk=self.risk, stop=stop, price=bar.close)
            if size:
                context.state["stop"] = str(stop)
                context.buy(self.symbol, size, product=Product.CNC, reason="breakout")

    def on_order(self, context: StrategyContext, order: Order) -> None:
        if order.side == "BUY" and order.status is Status.FILLED:
            held = context.position(self.symbol, Product.CNC).quantity
            self.follow(context, Decimal(context.state["stop"]), held, context.last_price(self.symbol))

    def follow(self, context: StrategyContext, stop: Decimal, held: int, price: Decimal | None) -> None:
        """Never down. Where the price is below the stop already, as after a gap, it sells at the market: Kite takes no
        SL-M sell whose trigger is above the last price."""
        if not held:
            return
        stop = max(stop, Decimal(context.state["stop"]))
        context.state["stop"] = str(stop)
        sells = [order for order in context.open_orders() if order.side == "SELL"]
        if sells:
            whole = sells[0].filled_quantity + held
            if sells[0].order_type == "SL-M" and (sells[0].trigger_price, sells[0].quantity) != (stop, whole):
                context.amend(sells[0].client_order_id, trigger_price=stop, quantity=whole)
        elif price is not None and price <= stop:
            context.sell(self.symbol, held, product=Product.CNC, reason="stop")
        else:
            context.sell(self.symbol, held, order_type="SL-M", trigger_price=stop, product=Product.CNC, reason="stop")

    def stop_below(self, context: StrategyContext, price: Decimal) -> Decimal:
        tick = context.instruments.get(self.symbol).tick
        away = price - self.ranges * Decimal(self.range[-1])
        return (away / tick).to_integral_value(ROUND_FLOOR) * tick
