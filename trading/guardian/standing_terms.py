"""Orders that are out already, against a master that came after them: lots, steps of price and expiries change."""

from datetime import datetime

from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.guardian.checks import terms as checks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Order

FOLLOWED = (checks.SymbolKnown(), checks.Tradable(), checks.LotMultiple(), checks.PricesOnTick())


def broken_terms(order: Order, instruments: Instruments, now: datetime) -> list[str]:
    """What of an open order an exchange would not take today, each in a sentence."""
    instrument = instruments.get(order.symbol)
    if instrument is not None and instrument.expiry is not None and instrument.expiry < now.astimezone(IST).date():
        return [f"{order.symbol} expired on {instrument.expiry:%d %b %Y}, and the order is still open"]
    unreadable = instruments.left_out.get(order.symbol)
    situation = CheckContext(order, now, now, now, instrument, unreadable=unreadable)
    failures = [failure for check in FOLLOWED if (failure := check(order, situation)) is not None]
    return [f"by the new instrument master the open order does not hold: {failure.message}" for failure in failures]
