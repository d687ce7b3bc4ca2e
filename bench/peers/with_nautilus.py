"""The work of `bench.core_case` in nautilus_trader, by a Python that has it: `python with_nautilus.py market 10000`.

Its risk engine is on and does not throttle: an order rate that ends the run would measure nothing. Its analysis after
the run, which ours has no part in either, is off. The quotes begin on a day of our time: with one at the epoch, the
engine (1.211 and 1.221) frees its list of time events twice and aborts.
"""

import json
import os
import sys
import time
from decimal import Decimal
from importlib.metadata import version

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, OrderStatus
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

A_TICK = 10
LOT = Quantity.from_int(75)
FAR = Price.from_str("200.00")
BEGIN = 1_745_898_300_000_000_000
"""29 April 2025, 09:15 IST, in nanoseconds."""
MILLISECOND = 1_000_000
UNLIMITED = "1000000/00:00:01"


class Bench(Strategy):  # type: ignore[misc]
    def __init__(self, instrument: Equity, kind: str) -> None:
        super().__init__()
        self.instrument, self.kind = instrument, kind

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.instrument.id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        for number in range(A_TICK):
            if self.kind == "market":
                side = OrderSide.BUY if number % 2 == 0 else OrderSide.SELL
                self.submit_order(self.order_factory.market(self.instrument.id, side, LOT))
            else:
                order = self.order_factory.limit(self.instrument.id, OrderSide.BUY, LOT, FAR)
                self.submit_order(order)
                self.cancel_order(order)


def quotes(instrument: Equity, count: int) -> list[QuoteTick]:
    size, made = Quantity.from_int(1_000_000), []
    for number in range(count):
        price = Price(240 + (number % 41) / 20, instrument.price_precision)
        at = BEGIN + number * MILLISECOND
        made.append(QuoteTick(instrument.id, price, price, size, size, at, at))
    return made


def throughput(kind: str, count: int) -> float:
    """CPU seconds."""
    risk = RiskEngineConfig(max_order_submit_rate=UNLIMITED, max_order_modify_rate=UNLIMITED)
    logging = LoggingConfig(log_level="ERROR")
    engine = BacktestEngine(BacktestEngineConfig(logging=logging, risk_engine=risk, run_analysis=False))
    instrument = TestInstrumentProvider.equity(symbol="AAPL", venue="XNAS")
    engine.add_venue(
        Venue("XNAS"),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000_000, USD)],
        base_currency=USD,
        default_leverage=Decimal(1),
    )
    engine.add_instrument(instrument)
    engine.add_data(quotes(instrument, count // A_TICK))
    engine.add_strategy(Bench(instrument, kind))
    began = time.process_time()
    engine.run()
    seconds = time.process_time() - began
    wanted = OrderStatus.FILLED if kind == "market" else OrderStatus.CANCELED
    assert sum(order.status == wanted for order in engine.cache.orders()) == count
    engine.dispose()
    return seconds


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    throughput(kind, 1_000)
    rate = round(count / throughput(kind, count), 1)
    print(json.dumps({"kind": kind, "orders": count, "orders_per_second": rate, "version": version("nautilus_trader")}))


if __name__ == "__main__":
    main()
