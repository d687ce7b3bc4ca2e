"""What is decided alike wherever an order is executed: whether it is sent, and whether its cancel is. Pure.

A driver whose broker loses no answer, and does nothing unseen, needs no more (`backtest/core.py`). What comes on top
where it may, `process.py` decides.
"""

from datetime import datetime, timedelta
from typing import Protocol

from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.actions import ADMIT, CANCEL, DONE, PLACE, WAIT, Admit, Cancel, Done, Place, Wait
from durable_orders.trading.orders.order import Status
from durable_orders.trading.orders.outcome import Evidence

BACKOFF_LIMIT = timedelta(seconds=30)
OWN_REFUSALS = ("NotApproved", "DryRun")
"""Types of refusals that come from this side: nothing was sent."""
PENDING = Status.PENDING
Unsent = lifecycle.Withdrawn | lifecycle.Refused
"""What happens to an order that is not to be sent any more."""


class OrderState(Protocol):
    """What is read of an order."""

    @property
    def status(self) -> Status: ...
    @property
    def cancel_requested(self) -> bool: ...


def next_step(
    order: OrderState, place_by: datetime | None, now: datetime, next_cancel: datetime | None = None
) -> Admit | Place | Cancel | Wait | Done | Unsent:
    """What is to be done now, or what happens to an order that is not sent any more.

    `place_by` is the deadline of an order that the guardian has admitted; a cancel is asked for again from
    `next_cancel` on.
    """
    status = order.status
    if status is PENDING:
        if place_by is None:
            return ADMIT
        if order.cancel_requested:
            return lifecycle.Withdrawn("cancelled before it was sent")
        if now >= place_by:
            return lifecycle.Refused((f"TOO_LATE: not sent before {place_by.isoformat()}",))
        return PLACE
    if status.terminal:
        return DONE
    is_due = order.cancel_requested and (next_cancel is None or now >= next_cancel)
    return CANCEL if is_due else WAIT


REFUSED_BY_BROKER = "refused by the broker: "
"""How the reason begins that is the broker's own."""


def refused(evidence: Evidence) -> lifecycle.Refused:
    """In the broker's words, unless the placement never came so far."""
    is_own = evidence.error_type in OWN_REFUSALS
    return lifecycle.Refused((evidence.message if is_own else f"{REFUSED_BY_BROKER}{evidence}",))


def cancel_not_taken(evidence: Evidence) -> lifecycle.Noted:
    return lifecycle.Noted(f"the cancel was not taken: {evidence}")


def backoff(first: float, tries: int, limit: timedelta = BACKOFF_LIMIT) -> timedelta:
    """`first` is in seconds, and doubles with every try."""
    return min(timedelta(seconds=first * 2.0 ** min(tries - 1, 10)), limit)
