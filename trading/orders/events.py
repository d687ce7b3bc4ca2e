"""The types of events that the ledger records, in the order's words."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from durable_orders.trading.orders.order import Frozen, Status


class Severity(StrEnum):
    """How much an event wants to be seen."""

    INFO = "info"
    WARNING = "warning"
    ALERT = "alert"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class EventType(StrEnum):
    ORDER_RECEIVED = "order_received"
    ORDER_PLACED = "order_placed"
    ORDER_PARTIALLY_FILLED = "order_partially_filled"
    ORDER_FILLED = "order_filled"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_REJECTED = "order_rejected"
    ORDER_EXPIRED = "order_expired"
    ORDER_UNKNOWN = "order_unknown"
    APPROVAL_ASKED = "approval_asked"
    """The order waits for a person's approval."""
    ORDER_APPROVED = "order_approved"
    """By a person. One who declines it has it rejected."""
    ORDER_UPDATED = "order_updated"
    """Anything about an order that is not a new status: an amendment, a cancel request, a retry."""
    POSITION_UPDATED = "position_updated"
    POSITION_DIFFERS = "position_differs"
    """The broker has something else than the ledger, and nothing explains it; or it does now."""
    POSITION_SETTLED = "position_settled"
    """A position was moved without an order: by a rule or a human, on what evidence."""
    ACCOUNT_STATE = "account_state"
    """How far the account may trade has changed: by whose word, and why."""
    BREAKER_TRIPPED = "breaker_tripped"
    RISK_FLAG = "risk_flag"
    """Raised or cleared."""
    DAY_CLOSED = "day_closed"
    """The evening found that the ledger and the broker agree on a day; where they do not, it is an alert."""
    DESK_ACTION = "desk_action"
    """What somebody did over the page or the API, and who."""
    GTT_UPDATED = "gtt_updated"
    """A GTT was placed, changed, triggered, or has ended."""
    HOOK_ALERT = "hook_alert"
    """An alert that came in from outside, and what became of it."""
    ALERT = "alert"
    """A human should look: the book cannot be read, a twin, a late arrival."""

    @property
    def severity(self) -> Severity:
        """How much it wants to be seen, for whoever tells people of it."""
        return SEVERITIES.get(self, Severity.INFO)


SEVERITIES: dict[EventType, Severity] = {
    EventType.ORDER_REJECTED: Severity.WARNING,
    EventType.APPROVAL_ASKED: Severity.WARNING,
    EventType.ACCOUNT_STATE: Severity.WARNING,
    EventType.RISK_FLAG: Severity.WARNING,
    EventType.ORDER_UNKNOWN: Severity.ALERT,
    EventType.BREAKER_TRIPPED: Severity.ALERT,
    EventType.ALERT: Severity.ALERT,
}
"""Of what is more than information."""
STATE_EVENTS = frozenset({EventType.ACCOUNT_STATE, EventType.RISK_FLAG})
"""Those with which it changes how far an account may trade."""


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
