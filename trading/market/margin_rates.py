"""What positions and orders bind. A stand-in for VaR and SPAN: one rate by product and instrument.

| product and instrument | binds |
| --- | --- |
| CNC; options bought | all of the value |
| MTF | the value over `mtf_leverage` |
| MIS on NSE and BSE | the value over `mis_leverage` |
| futures | `derivatives` of the value |
| options sold | `derivatives` of the strike |
"""

from decimal import Decimal

from durable_orders.trading.config.margins import Margins
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.orders.order import Product, Side

WHOLE = Decimal(1)
OPTIONS = ("CE", "PE")


def rate(product: Product, instrument: Instrument | None, side: Side, margins: Margins) -> Decimal:
    """Part of the value, from 0 to 1."""
    if product is Product.CNC:
        return WHOLE
    if product is Product.MTF:
        return 1 / margins.mtf_leverage
    if instrument is not None and instrument.instrument_type != "EQ":
        bought = instrument.instrument_type in OPTIONS and side is Side.BUY
        return WHOLE if bought else margins.derivatives
    return 1 / margins.mis_leverage


def bound(
    product: Product, instrument: Instrument | None, side: Side, units: int, price: Decimal, margins: Margins
) -> Decimal:
    """Rupees for so many units, long or short as `side` says, at a price in rupees.

    What the master does not know (any more), such as a contract that has expired, counts as shares.
    """
    if instrument is not None and side is Side.SELL and instrument.instrument_type in OPTIONS and instrument.strike:
        price = instrument.strike
    return units * price * rate(product, instrument, side, margins)
