"""Opening-range breakout: what the first fifteen minutes leave behind, up or down, with a stop at the other end.

    durable-orders backtest examples/opening_range_breakout.py
    durable-orders run examples/opening_range_breakout.py --mode paper --speed 2000

Its orders are named after their reason, so that one that is asked for again, after a restart too, is the same order.
Started after the range, it has none: it opens nothing, its stop rests at the exchange, and it is flat at 15:10.
"""

from datetime import date, time
from decimal import Decimal

from durable_orders import Desk, Order, Side, Status, Strategy, Tick

LOT = 75
RANGE_UNTIL, FLAT_FROM = time(9, 30), time(15, 10)
"""IST."""


class OpeningRangeBreakout(Strategy):
    symbols = ("NFO:NIFTY25MAYFUT",)
    """Whose ticks a live run subscribes to."""

    def __init__(self) -> None:
        self.day: date | None = None
        self.low = self.high = Decimal(0)

    def on_tick(self, desk: Desk, tick: Tick) -> None:
        if tick.at.date() != self.day:
            self.day, self.low, self.high = tick.at.date(), Decimal(0), Decimal("Infinity")
            if tick.at.time() < RANGE_UNTIL:
                self.low = self.high = tick.last_price
        if tick.at.time() < RANGE_UNTIL:
            self.low, self.high = min(self.low, tick.last_price), max(self.high, tick.last_price)
        elif tick.at.time() >= FLAT_FROM:
            self.get_out(desk, tick.symbol)
        elif tick.last_price > self.high:
            desk.buy(tick.symbol, LOT, client_order_id=self.named("entry"))
        elif tick.last_price < self.low:
            desk.sell(tick.symbol, LOT, client_order_id=self.named("short"))

    def on_order(self, desk: Desk, order: Order) -> None:
        """An entry that is filled gets its stop, at the other end of the range."""
        if order.status is Status.FILLED and order.client_order_id in (self.named("entry"), self.named("short")):
            is_long = order.side is Side.BUY
            place, trigger = (desk.sell, self.low) if is_long else (desk.buy, self.high)
            name = self.named("stop-long" if is_long else "stop-short")
            place(order.symbol, LOT, order_type="SL-M", trigger_price=trigger, client_order_id=name)

    def get_out(self, desk: Desk, symbol: str) -> None:
        for order in desk.open_orders():
            desk.cancel(order.client_order_id)
        held = desk.position(symbol).quantity
        if held and not desk.open_orders():
            place = desk.sell if held > 0 else desk.buy
            place(symbol, abs(held), client_order_id=self.named("exit"))

    def named(self, reason: str) -> str:
        return f"breakout-{self.day}-{reason}"
