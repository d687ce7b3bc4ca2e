"""What a person says of an order that waits for an approval."""

from typing import Annotated

from pydantic import Field

from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import Frozen, Order, SignOff


class Decision(Frozen):
    """Whose word it is, and why."""

    who: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    """As in `by user asha`."""
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""


def sign_off_words(approval: SignOff) -> str:
    """How it stands, in a few words."""
    if approval.approved_by is not None:
        return f"approved {approval.approved_by}"
    until = "" if approval.needed_by is None else f" until {approval.needed_by.astimezone(IST):%H:%M:%S} IST"
    return f"waits for a person's approval{until}"


def problem_with(order: Order, approved_by: str | None = None) -> str | None:
    """Why nobody can approve or decline the order; `None` for one that waits for it, or was `approved_by` that one."""
    if order.awaits_approval or (approved_by and order.approval and order.approval.approved_by == approved_by):
        return None
    if order.approval is not None and order.approval.approved_by is not None:
        return f"it was approved {order.approval.approved_by}, and is {order.status}"
    return f"it waits for nobody's approval: it is {order.status}"
