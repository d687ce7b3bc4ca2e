"""Kite's virtual contract note: what is asked for each order, and what its rows say (Kite documentation, POST
/charges/orders).

The answer has a row for each order, in the same order and without its id; so the rows are taken by their place, and
each has to repeat what was asked.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.orders.book import BilledOrder

MOST_ORDERS = 100
"""In one request; Kite names no limit."""
LINES = tuple(name for name in Charges.model_fields if name != "gst")


def asked_of(order: BilledOrder) -> dict[str, Any]:
    exchange, _, tradingsymbol = order.symbol.partition(":")
    return {
        "order_id": order.broker_order_id,
        "exchange": exchange,
        "tradingsymbol": tradingsymbol,
        "transaction_type": order.side.value,
        "variety": order.variety,
        "product": order.product.value,
        "order_type": order.order_type.value,
        "quantity": order.quantity,
        "average_price": float(order.average_price),
    }


def charges_from(row: Mapping[str, Any], order: BilledOrder) -> Charges:
    """Raises one of `rows.UNREADABLE`, also for the row of another order."""
    told = (f"{row['exchange']}:{row['tradingsymbol']}", row["transaction_type"], int(row["quantity"]))
    if told != (order.symbol, order.side.value, order.quantity):
        raise ValueError("the row of another order")
    charges = row["charges"]
    return Charges(gst=_rupees(charges["gst"]["total"]), **{name: _rupees(charges[name]) for name in LINES})


def _rupees(value: Any) -> Decimal:
    rupees = Decimal(str(value))
    if not rupees.is_finite():
        raise ValueError("rupees that are no number")
    return rupees
