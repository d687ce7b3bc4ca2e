"""The backtest of `bench.ticks` in nautilus_trader, by a Python that has it: `python ticks_with_nautilus.py FILE.csv`.

The same rule on the same file: reads it whole, as that engine has it done, and prints how many orders filled. Who calls
it measures the process.
"""

import json
import sys
from collections import deque
from decimal import Decimal
from importlib.metadata import version

import pandas
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, OrderStatus
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

EVERY, SLOW, FAST = 80, 60, 12


class Cross(Strategy):  # type: ignore[misc]
    """Long while the fast average of every 80th price is above the slow one, else short."""

    def __init__(self, instrument: Equity) -> None:
        super().__init__()
        self.instrument = instrument
        self.prices: deque[float] = deque(maxlen=SLOW)
        self.seen = 0
        self.is_long: bool | None = None

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.instrument.id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.seen += 1
        if self.seen % EVERY:
            return
        self.prices.append((float(tick.bid_price) + float(tick.ask_price)) / 2)  # where the last price lies
        if len(self.prices) < SLOW:
            return
        is_long = sum(list(self.prices)[-FAST:]) / FAST > sum(self.prices) / SLOW
        if is_long is not self.is_long:
            quantity = Quantity.from_int(10 if self.is_long is None else 20)
            side = OrderSide.BUY if is_long else OrderSide.SELL
            self.submit_order(self.order_factory.market(self.instrument.id, side, quantity))
            self.is_long = is_long


def main() -> None:
    instrument = TestInstrumentProvider.equity(symbol="AAPL", venue="XNAS")
    rows = pandas.read_csv(sys.argv[1], usecols=["timestamp", "bid", "ask"])
    rows["timestamp"] = pandas.to_datetime(rows["timestamp"], format="ISO8601", utc=True)
    quotes = rows.rename(columns={"bid": "bid_price", "ask": "ask_price"}).set_index("timestamp")
    risk = RiskEngineConfig(bypass=False)
    logging = LoggingConfig(log_level="ERROR")
    engine = BacktestEngine(BacktestEngineConfig(logging=logging, risk_engine=risk, run_analysis=False))
    engine.add_venue(
        Venue("XNAS"),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000_000, USD)],
        base_currency=USD,
        default_leverage=Decimal(1),
    )
    engine.add_instrument(instrument)
    engine.add_data(QuoteTickDataWrangler(instrument).process(quotes))
    engine.add_strategy(Cross(instrument))
    engine.run()
    filled = sum(order.status == OrderStatus.FILLED for order in engine.cache.orders())
    print(json.dumps({"filled": filled, "version": version("nautilus_trader")}))
    engine.dispose()


if __name__ == "__main__":
    main()
