"""What happened to an order, in sentences that a trader understands."""

from durable_orders.trading.orders.order import Order, Status

LOST = "sent, but the answer was lost: looking it up in the order book"
GONE = "not in the broker's order book any more"


def sentence(before: Order, after: Order) -> str:
    """What changed between two standings of one order."""
    said = [*_new_status(before, after), *_sign_off(before, after), *_new_terms(before, after)]
    said += [reason for reason in after.reasons if reason not in before.reasons]
    return "; ".join(said) or "updated"


def _new_status(before: Order, after: Order) -> list[str]:
    fills = [_fills(before, after)] if after.filled_quantity > before.filled_quantity else []
    if after.status is before.status or (fills and after.status in (Status.PARTIAL, Status.FILLED)):
        return fills
    words = {
        Status.PENDING: "proved not to be at the broker",
        Status.UNKNOWN: LOST if before.status is Status.PENDING else GONE,
        Status.PLACED: f"working at the broker as {after.broker_order_id}",
        Status.PARTIAL: f"working at the broker as {after.broker_order_id}, {_part(after)} filled",
        Status.FILLED: f"filled, {_part(after)} in all",
        Status.CANCELLED: f"cancelled with {_part(after)} filled",
        Status.REJECTED: "rejected",
        Status.EXPIRED: f"expired with {_part(after)} filled",
    }
    return [*fills, words[after.status]]


def _sign_off(before: Order, after: Order) -> list[str]:
    approval = after.approval
    is_new = approval is not None and approval.approved_by is not None and approval != before.approval
    return [f"approved {approval.approved_by}"] if approval is not None and is_new else []


def _fills(before: Order, after: Order) -> str:
    new = after.filled_quantity - before.filled_quantity
    value = after.filled_value - before.filled_value
    price = f"{value / new:.4f}".rstrip("0").rstrip(".")
    late = ", reported after its end" if before.status.terminal else ""
    return f"{new} filled at {price}, {_part(after)} in all{late}"


def _part(order: Order) -> str:
    return f"{order.filled_quantity} of {order.quantity}"


def _new_terms(before: Order, after: Order) -> list[str]:
    fields = ("order_type", "quantity", "price", "trigger_price")
    return [
        f"{field} is now {getattr(after, field)}" for field in fields if getattr(before, field) != getattr(after, field)
    ]
