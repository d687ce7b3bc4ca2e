"""Durable orders for Zerodha Kite: every order is a Temporal workflow, and no outcome is ever guessed."""

from durable_orders.orders import OrderHandle, Orders
from trading.errors import DurableOrdersError
from trading.order import (
    Amendment,
    Fill,
    Mode,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Status,
    Validity,
)

__all__ = [
    "Amendment",
    "DurableOrdersError",
    "Fill",
    "Mode",
    "Order",
    "OrderHandle",
    "OrderIntent",
    "OrderType",
    "Orders",
    "Product",
    "Side",
    "Status",
    "Validity",
]
