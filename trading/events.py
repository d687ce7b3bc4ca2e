"""The types of events that the ledger records, in the order's words."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from trading.order import Frozen, Status


class EventType(StrEnum):
    ORDER_RECEIVED = "order_received"
    ORDER_PLACED = "order_placed"
    ORDER_PARTIALLY_FILLED = "order_partially_filled"
    ORDER_FILLED = "order_filled"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_REJECTED = "order_rejected"
    ORDER_EXPIRED = "order_expired"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_UPDATED = "order_updated"
    """Anything about an order that is not a new status: an amendment, a cancel request, a retry."""
    POSITION_UPDATED = "position_updated"
    ACCOUNT_STATE = "account_state"
    """How far the account may trade has changed: by whose word, and why."""
    BREAKER_TRIPPED = "breaker_tripped"
    RISK_FLAG = "risk_flag"
    """Raised or cleared."""
    ALERT = "alert"
    """A human should look: the book cannot be read, a twin, a late arrival."""


EVENT_OF: dict[Status, EventType] = {
    Status.PENDING: EventType.ORDER_UPDATED,
    Status.UNKNOWN: EventType.ORDER_UNKNOWN,
    Status.PLACED: EventType.ORDER_PLACED,
    Status.PARTIAL: EventType.ORDER_PARTIALLY_FILLED,
    Status.FILLED: EventType.ORDER_FILLED,
    Status.CANCELLED: EventType.ORDER_CANCELLED,
    Status.REJECTED: EventType.ORDER_REJECTED,
    Status.EXPIRED: EventType.ORDER_EXPIRED,
}
"""The event that a new status is reported as."""


class Entry(Frozen):
    """One event of one order, numbered by its workflow: `(order, sequence)` is written once, however often sent."""

    sequence: Annotated[int, Field(ge=0)]
    type: EventType
    at: AwareDatetime
    message: str
    """One sentence in words that a trader understands."""
    status: Status
    """The order's status after it."""
