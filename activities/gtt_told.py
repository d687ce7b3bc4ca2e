"""What a reading of the broker's list has newly shown of a GTT, told in the feed by whoever has read it first."""

import sqlalchemy as sa

from durable_orders.activities.gtt_account import is_disproved, say
from durable_orders.trading.gtt.gtt import UNRESOLVED, GttStatus
from durable_orders.trading.gtt.state import GttState, Result
from durable_orders.trading.ledger.gtt_orders import give_order_to
from durable_orders.trading.orders.events import EventType

ENDED_BY_BROKER = (GttStatus.DISABLED, GttStatus.CANCELLED, GttStatus.REJECTED, GttStatus.EXPIRED)
"""Ends that nobody asked for: what the GTT was to protect is not protected any more."""


def tell_shown(connection: sa.Connection, before: GttState, after: GttState) -> None:
    """How it stands now, and what came of its order."""
    if is_disproved(before, after):
        say(connection, after, after.reasons[0], EventType.ALERT)
    elif before.status is GttStatus.REJECTED and after.status is not before.status:
        _tell_return(connection, before, after)
    elif after.status is not before.status and after.status not in UNRESOLVED:
        _tell_status(connection, before, after)
    tell_results(connection, before, after)


def _tell_return(connection: sa.Connection, before: GttState, after: GttState) -> None:
    """Of one that was not placed, as it was said."""
    words = f"{after.status} at the broker as {after.trigger_id} after all; it had been {before.status}"
    say(connection, after, ": ".join([words, *before.reasons]), EventType.ALERT)


def _tell_status(connection: sa.Connection, before: GttState, after: GttState) -> None:
    kind = EventType.ALERT if after.status in ENDED_BY_BROKER else EventType.GTT_UPDATED
    is_deleted_here = before.change is not None and before.change.legs is None
    is_asked_for = after.status is GttStatus.DELETED and is_deleted_here
    if before.status in UNRESOLVED:
        found = "" if before.status is GttStatus.PENDING else ", as its list shows"
        say(connection, after, f"{after.status} at the broker as {after.trigger_id}{found}", kind)
    elif not is_asked_for and after.status is not GttStatus.TRIGGERED:
        say(connection, after, f"{after.status} at the broker", kind)


def tell_results(connection: sa.Connection, before: GttState, after: GttState) -> None:
    """What came of its order, which is the GTT's own from now on."""
    known = [_came_to(result) for result in before.results]
    if after.status is not GttStatus.TRIGGERED or [_came_to(result) for result in after.results] == known:
        return
    for result in after.results:
        if result is None:
            continue
        at = f"TRIGGERED at {result.triggered_at}"
        if result.order_id is not None:
            say(connection, after, f"{at}: order {result.order_id} was placed")
            give_order_to(connection, after, result.order_id)
        else:
            said = f"{at}, and its order was refused, so that nothing was placed: {result.rejection_reason}"
            say(connection, after, said, EventType.ALERT)


def _came_to(result: Result | None) -> Result | None:
    """When that was is no news: an older ledger does not have it."""
    return None if result is None else result.model_copy(update={"at": None})
