"""What an event carries: plain values under the keys that subscribers have always read.

Money is a float here, rounded to four places: it is for screens and messages. Exact figures are in the ledger.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order

FILLS = (EventType.ORDER_FILLED, EventType.ORDER_PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class OrderAtEvent:
    """An order as an event found it."""

    type: EventType
    order_id: str
    account: str
    symbol: str
    side: str
    strategy: str
    quantity: int
    filled: int
    value: Decimal
    """Rupees of the fills."""
    status: str
    message: str


def standing(kind: EventType, order: Order, message: str) -> OrderAtEvent:
    return OrderAtEvent(
        type=kind,
        order_id=order.order_id,
        account=order.account,
        symbol=order.symbol,
        side=order.side.value,
        strategy=order.strategy,
        quantity=order.quantity,
        filled=order.filled_quantity,
        value=order.filled_value,
        status=order.status.value,
        message=message,
    )


def order_data(found: OrderAtEvent) -> dict[str, Any]:
    """`qty` is what the order is for, and in a fill's event what has been filled so far; `price` its average."""
    data: dict[str, Any] = {
        "order_id": found.order_id,
        "account": found.account,
        "symbol": found.symbol,
        "side": found.side,
        "strategy": found.strategy,
        "qty": found.quantity,
        "filled_qty": found.filled,
        "remaining_qty": max(found.quantity - found.filled, 0),
        "price": round(float(found.value / found.filled), 4) if found.filled else None,
        "status": found.status,
        "message": found.message,
    }
    if found.type in FILLS:
        data["qty"] = found.filled
    if found.type is EventType.ORDER_REJECTED:
        data["reason"] = found.message
    return data


def position_data(
    account: str, order_id: str, symbol: str, strategy: str, quantity: int, price: Decimal
) -> dict[str, Any]:
    """One trade: `qty` is what it adds to the position, negative for a sale."""
    data: dict[str, Any] = {"account": account, "order_id": order_id, "symbol": symbol, "strategy": strategy}
    return data | {"qty": quantity, "price": round(float(price), 4)}
