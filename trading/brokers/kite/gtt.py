"""GTT in Kite's words (Kite documentation, GTT). Only what its client sends is asked for: the rest it drops."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from durable_orders.trading.brokers.kite.rows import UNREADABLE, moment
from durable_orders.trading.gtt.gtt import BrokerGtt, BrokerLeg, GttStatus, LegResult, TriggerId
from durable_orders.trading.gtt.outcome import ApprovedGtt, GttAccepted
from durable_orders.trading.orders.order import BrokerOrderId, OrderType

Row = Mapping[str, Any]
FAILED = "failed"
"""Of an order that was refused when the trigger placed it."""
STATUSES = {status.value.lower(): status for status in GttStatus if status.value not in ("PENDING", "UNKNOWN")}


def parameters_of(approved: ApprovedGtt) -> dict[str, Any]:
    """Of `place_gtt`, and but for the id of `modify_gtt`. The client wants numbers: fifteen digits of a float are
    exact, and a price has fourteen."""
    intent = approved.intent
    exchange, _, tradingsymbol = intent.symbol.partition(":")
    return {
        "trigger_type": intent.type.value,
        "exchange": exchange,
        "tradingsymbol": tradingsymbol,
        "trigger_values": [float(leg.trigger_price) for leg in intent.legs],
        "last_price": float(approved.last_price),
        "orders": [
            {
                "transaction_type": intent.side.value,
                "quantity": leg.quantity,
                "order_type": OrderType.LIMIT.value,
                "product": intent.product.value,
                "price": float(leg.price),
            }
            for leg in intent.legs
        ],
    }


def accepted_by(receipt: Any) -> GttAccepted | None:
    """`None` for what is no trigger id: nobody can say what was taken."""
    number = receipt.get("trigger_id") if isinstance(receipt, Mapping) else None
    if isinstance(number, bool) or not isinstance(number, int | str) or not str(number).isdecimal():
        return None
    return GttAccepted(trigger_id=TriggerId(str(number)))


def gtt_from(row: Row) -> BrokerGtt:
    """A row of the list. Raises one of `UNREADABLE` for one without an id; what else is not understood is left out."""
    condition = row["condition"] if isinstance(row.get("condition"), Mapping) else {}
    symbol = f"{condition['exchange']}:{condition['tradingsymbol']}" if "tradingsymbol" in condition else ""
    return BrokerGtt(
        trigger_id=TriggerId(str(int(row["id"]))),
        symbol=symbol,
        status=STATUSES.get(str(row.get("status"))),
        legs=_legs(condition, row.get("orders")),
        created_at=moment(row.get("created_at")),
        expires_at=moment(row.get("expires_at")),
    )


def _legs(condition: Row, orders: Any) -> tuple[BrokerLeg, ...]:
    try:
        pairs = zip(condition["trigger_values"], orders, strict=True)
        return tuple(_leg(trigger, order) for trigger, order in pairs)
    except UNREADABLE:
        return ()


def _leg(trigger: Any, order: Row) -> BrokerLeg:
    return BrokerLeg(
        trigger_price=_rupees(trigger),
        side=str(order["transaction_type"]),
        quantity=int(order["quantity"]),
        product=str(order["product"]),
        order_type=str(order["order_type"]),
        price=_rupees(order["price"]),
        result=_result(order.get("result")),
    )


def _result(result: Any) -> LegResult | None:
    """Which order was placed, or that it failed; what says neither is no result yet."""
    told = (result or {}).get("order_result") or {}
    own, at = told.get("order_id"), (result or {}).get("triggered_at")
    if not own and str(told.get("status")).lower() != FAILED:
        return None
    return LegResult(
        triggered_at=_rupees(at) if at else None,
        order_id=BrokerOrderId(str(own)) if own else None,
        rejection_reason=str(told.get("rejection_reason") or ""),
        at=moment((result or {}).get("timestamp")),
    )


def _rupees(value: Any) -> Decimal:
    """Without the zeros that a float has behind the point."""
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError("rupees that are no number")
    return amount.to_integral_value() if amount == amount.to_integral_value() else amount
