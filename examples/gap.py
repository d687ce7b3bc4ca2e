"""Gap: what opens far from yesterday's close is traded on in that direction, with a stop at the close it left.

    python examples/share_days.py days.csv
    durable-orders backtest examples/gap.py --ticks days.csv --set percent=1

The size is what `risk` rupees allow between the price and the stop. Flat at 15:10.
"""

from datetime import time
from decimal import Decimal

from durable_orders import Order, Parameter, Status, Strategy, StrategyContext


class Gap(Strategy):
    symbols = ("NSE:INFY", "NSE:TCS", "NSE:HDFCBANK")
    percent = Parameter(Decimal("0.5"), least=Decimal("0.1"))
    risk = Parameter(5000, least=1)
    enter_at = Parameter(time(9, 20, 5))
    """Live, Kite has a candle some seconds after its end."""
    flat_at = Parameter(time(15, 10))

    def on_start(self, context: StrategyContext) -> None:
        context.at(self.enter_at, self.enter)
        context.square_off_at(self.flat_at)

    def enter(self, context: StrategyContext) -> None:
        stops = {}
        for symbol in self.symbols:
            yesterday, first = context.history(symbol, "day", 1), context.history(symbol, "5minute", 1)
            price = context.last_price(symbol)
            if not (yesterday and first and price) or first[0].at.date() != context.now.date():
                print(f"{symbol}: not traded on {context.now:%Y-%m-%d}, its first candle or a price is missing")
                continue
            close = yesterday[0].close
            up = first[0].open > close
            if abs(first[0].open / close - 1) * 100 < self.percent or (price > close) is not up:
                continue
            quantity = context.quantity_for(symbol, risk=self.risk, stop=close)
            if quantity:
                name = f"gap-{context.now:%Y%m%d}-{symbol.partition(':')[2]}"
                stops[name] = str(close)
                (context.buy if up else context.sell)(symbol, quantity, client_order_id=name)
        context.state["stops"] = stops

    def on_order(self, context: StrategyContext, order: Order) -> None:
        stop = context.state.get("stops", {}).get(order.client_order_id)
        if stop is not None and order.status is Status.FILLED:
            leave = context.sell if order.side == "BUY" else context.buy
            name = f"{order.client_order_id}-stop"
            leave(order.symbol, order.filled_quantity, order_type="SL-M", trigger_price=stop, client_order_id=name)
