"""What an order binds. A stand-in for SPAN and VaR: one rate by product and instrument.

| product and instrument | part of the value |
| --- | --- |
| CNC and MTF; options bought | all of it |
| MIS on NSE and BSE | a fifth |
| futures and options sold | 12 % |
"""

from decimal import Decimal

from durable_orders.trading.config.margins import Margins
from durable_orders.trading.market import margin_rates as margins
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.orders.order import Product, Side, Terms

RATES = Margins()


def rate(product: Product, instrument: Instrument | None, side: Side = Side.SELL) -> Decimal:
    """Part of the value, from 0 to 1."""
    return margins.rate(product, instrument, side, RATES)


def margin(terms: Terms, instrument: Instrument, quantity: int, last_price: Decimal | None) -> Decimal:
    """Rupees for so many shares of an order: at its limit or trigger, else at the last price."""
    price = terms.price or terms.trigger_price or last_price or Decimal(0)
    return (quantity * price * rate(terms.product, instrument, terms.side)).quantize(Decimal("0.01"))
