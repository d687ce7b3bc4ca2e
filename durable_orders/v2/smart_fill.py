"""Fills paper orders at once, at the last price that the caller's market data has."""

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, section
from durable_orders.callers.market import Quote, last_quote
from durable_orders.trading.exchange.fill_models import moved
from durable_orders.trading.orders.order import Order, OrderType, Side
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.terms import checked

TIMEFRAME = "5m"
SLIPPAGE_BPS = 5.0

log = logging.getLogger(__name__)


class SmartFillSimulator:
    """Thread-safe. An order fills whole or is rejected; what is not marketable does not rest."""

    def __init__(self, mde: Any, logger_instance: logging.Logger | None = None, config: Any = None) -> None:
        """`mde` has one of the methods of `callers.market.last_quote`."""
        execution = section(config, "execution")
        self.mde = mde
        self.logger = logger_instance or log
        self.config = config
        self.timeframe = str(section(config, "data").get("timeframe") or TIMEFRAME)
        self.slippage_bps = float(exact(execution.get("slippage_bps", SLIPPAGE_BPS), "execution.slippage_bps"))
        self.use_bid_ask = bool(execution.get("use_bid_ask_spread", False))
        """Meet the bid or the ask where the market data shows them, instead of the last price."""
        self.fill_counter = 0
        self._lock = threading.Lock()

    def execute(self, intent: OrderIntent) -> ExecutionResult:
        """The intent's fill, or why there is none. Never raises."""
        result = ExecutionResult(None, "REJECTED", intent.symbol, intent.side, intent.qty)
        result.timestamp = datetime.now(UTC).isoformat()
        try:
            order = checked(intent)
            quote = last_quote(self.mde, intent.symbol, self.timeframe)
            if quote is None:
                return replace(result, message=f"No market data available for {intent.symbol}")
            if quote.price <= 0:
                return replace(result, message=f"Invalid price data for {intent.symbol}")
            return self._met(order, intent, quote, result)
        except ValueError as error:
            return replace(result, message=f"Invalid order: {error}")
        except Exception as error:
            self.logger.exception("a paper order could not be simulated")
            return replace(result, message=f"Simulation error: {error}")

    def _met(self, order: Order, intent: OrderIntent, quote: Quote, result: ExecutionResult) -> ExecutionResult:
        if order.order_type.has_trigger:
            return replace(result, message=f"{order.order_type} orders wait for a trigger, which is not simulated")
        result.order_id = self._next_id()
        touch = self._touch(order.side, quote)
        ltp = float(quote.price)
        if order.price is not None and (order.price - touch) * order.side.sign < 0:
            words = f"LIMIT price {intent.price} not marketable (LTP={ltp})"
            return replace(result, message=words, raw={"ltp": ltp, "limit_price": intent.price})
        market = order.order_type is OrderType.MARKET
        price = moved(order.side, touch, exact(self.slippage_bps, "slippage_bps")) if market else order.price
        fill_price = float(price or touch)
        raw = {"ltp": ltp, "fill_price": fill_price, "slippage_bps": self.slippage_bps, "candle": quote.shown}
        words = "Paper order filled successfully"
        return replace(result, status="FILLED", avg_price=fill_price, message=words, raw=raw)

    def _touch(self, side: Side, quote: Quote) -> Decimal:
        other = quote.ask if side is Side.BUY else quote.bid
        return other if self.use_bid_ask and other is not None else quote.price

    def _next_id(self) -> str:
        with self._lock:
            self.fill_counter += 1
            return f"PAPER-{datetime.now(UTC):%Y%m%d%H%M%S}-{self.fill_counter:04d}"
