"""Durable orders for Zerodha Kite: every order is a Temporal workflow, and no outcome is ever guessed."""

from durable_orders.orders import OrderHandle, Orders
from durable_orders.orders_sync import OrderHandleSync, OrdersSync
from trading.bus import Event, EventBus
from trading.errors import DurableOrdersError
from trading.events import EventType
from trading.order import (
    Amendment,
    Fill,
    Instructions,
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
    "Event",
    "EventBus",
    "EventType",
    "Fill",
    "Instructions",
    "Mode",
    "Order",
    "OrderHandle",
    "OrderHandleSync",
    "OrderIntent",
    "OrderType",
    "Orders",
    "OrdersSync",
    "Product",
    "Side",
    "Status",
    "Validity",
]
