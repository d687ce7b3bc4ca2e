"""The caller's own guardian, asked before anything is sent."""

from types import SimpleNamespace
from typing import Any

from durable_orders.callers.market import snapshot_of
from durable_orders.callers.risk import guarded
from durable_orders.engines.terms import tradingsymbol
from durable_orders.trading.orders.order import Order


def refusal_of(guardian: Any, market_data: Any, order: Order) -> str | None:
    """Why the order may not go out; `None` if it may. A check that fails refuses it: what cannot be checked is not
    sent. The guardian sees the order, and the last price where there is market data.
    """
    if guardian is None:
        return None
    try:
        snapshot = snapshot_of(market_data, tradingsymbol(order)) if market_data is not None else None
        reason = guarded(guardian, as_intent(order), snapshot)
    except Exception as error:
        reason = f"Guardian exception: {error}"
    return None if reason is None else f"Guardian blocked: {reason}"


def as_intent(order: Order) -> SimpleNamespace:
    """The order under every name that guardians have read. Rupees are floats: older code computes with those."""
    return SimpleNamespace(
        order_id=order.order_id,
        symbol=tradingsymbol(order),
        strategy=order.strategy,
        strategy_code=order.strategy,
        side=order.side.value,
        qty=order.quantity,
        quantity=order.quantity,
        order_type=order.order_type.value,
        product=order.product.value,
        validity=order.validity.value,
        price=float(order.price) if order.price is not None else None,
        trigger_price=float(order.trigger_price) if order.trigger_price is not None else None,
        reason=order.reason,
        tags=dict(order.tags),
        metadata=dict(order.tags),
    )
