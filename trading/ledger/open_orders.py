"""The orders that a workflow has to follow, and the hold on new risk while one of them is followed by nobody."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import find_order, last_sequence
from durable_orders.trading.ledger.recording import record_within
from durable_orders.trading.ledger.rows import OPEN, OVER, chunks
from durable_orders.trading.ledger.tables import orders
from durable_orders.trading.orders.events import EVENT_OF, Entry, EventType
from durable_orders.trading.orders.order import Order, Status, is_adopted

AfterFills = Callable[[sa.Connection, str, datetime], object]
"""What is done in a transaction that has booked fills of that account: the day's breakers trip with them."""


class Holder(StrEnum):
    """Who holds new risk over an order of which its workflow says nothing."""

    SUPERVISOR = "supervisor"
    """Its workflow does not go on."""
    WATCH = "watch"
    """It cannot be told what the broker's book shows."""


class OpenOrder(NamedTuple):
    order_id: str
    status: Status
    is_held: bool
    """Whether new risk waits for it."""


_OPEN = sa.select(orders.c.order_id, orders.c.status, orders.c.unsettled).where(
    orders.c.account == sa.bindparam("account"), orders.c.status.in_(OPEN)
)
_OF_ORDER = (orders.c.order_id == sa.bindparam("own")) & orders.c.status.in_(OPEN)
_HOLD = (
    sa.update(orders)
    .where(_OF_ORDER, orders.c.unsettled == sa.false())
    .values(unsettled=True, held_by=sa.bindparam("holder"))
)
_RELEASE = (
    sa.update(orders)
    .where(_OF_ORDER, orders.c.unsettled == sa.true(), orders.c.status != Status.UNKNOWN)
    .where(sa.or_(orders.c.held_by.is_(None), orders.c.held_by == Holder.SUPERVISOR))
    .values(unsettled=False)
)


def open_orders(connection: sa.Connection, account: str) -> list[OpenOrder]:
    """The account's open orders that have a workflow of their own, in one query."""
    found = connection.execute(_OPEN, {"account": account})
    return [OpenOrder(own, Status(status), held) for own, status, held in found if not is_adopted(own)]


def ended_of(connection: sa.Connection, order_ids: Sequence[str]) -> set[str]:
    """Those of these orders that have ended."""
    found: set[str] = set()
    for chunk in chunks(order_ids):
        over = orders.c.order_id.in_(chunk) & orders.c.status.in_(OVER)
        found |= set(connection.execute(sa.select(orders.c.order_id).where(over)).scalars())
    return found


def unrecorded(connection: sa.Connection, order_ids: Sequence[str]) -> set[str]:
    """Those of these orders that the ledger does not have."""
    found: set[str] = set(order_ids)
    for chunk in chunks(order_ids):
        known = sa.select(orders.c.order_id).where(orders.c.order_id.in_(chunk))
        found -= set(connection.execute(known).scalars())
    return found


def hold(
    database: Database, account: str, order_id: str, words: str, at: datetime, by: Holder = Holder.SUPERVISOR
) -> bool:
    """No new risk from now on, as nobody follows that order; said in an alert. Whether that was news."""
    with database.write(account) as connection:
        if not connection.execute(_HOLD, {"own": order_id, "holder": by.value}).rowcount:
            return False
        add_event(connection, account, EventType.ALERT, words, at)
        return True


def release(database: Database, account: str, order_ids: Collection[str], at: datetime) -> None:
    """Their workflows go on again. An order that is UNKNOWN holds new risk for a reason of its own."""
    with database.write(account) as connection:
        for own in order_ids:
            if connection.execute(_RELEASE, {"own": own}).rowcount:
                add_event(connection, account, EventType.ALERT, f"{own}: its workflow goes on again", at)


def record_standing(database: Database, order: Order, at: datetime, after_fills: AfterFills | None) -> bool:
    """Where an order stands by its workflow, if the ledger has not come so far: it is the older of the two. Whether
    that was news."""
    with database.write(order.account) as connection:
        known = find_order(connection, order.order_id)
        if known is not None and not _is_ahead(order, known):
            return False
        words = f"{order.status} by the history of its workflow, which the ledger did not have"
        entry = Entry(
            sequence=last_sequence(connection, order.order_id) + 1,
            type=EVENT_OF[order.status],
            at=at,
            message=words,
            status=order.status,
        )
        booked = record_within(connection, order, [entry], unsettled=order.status is Status.UNKNOWN)
        if booked and after_fills is not None:
            after_fills(connection, order.account, at)
        add_event(connection, order.account, EventType.ALERT, f"{order.order_id}: {words}", at)
        return True


def _is_ahead(order: Order, known: Order) -> bool:
    if known.status.terminal:
        return False
    is_shown = order.broker_order_id is not None and known.broker_order_id is None
    return order.status.terminal or is_shown or order.filled_quantity > known.filled_quantity
