"""What workflows write about their orders. Each write is one transaction, and changes nothing the second time."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from trading.events import Entry, EventType
from trading.ledger import reservations
from trading.ledger.booking import book, fresh_fills
from trading.ledger.database import Database
from trading.ledger.last_ticks import last_tick
from trading.ledger.reading import find_order
from trading.ledger.rows import FIXED, OVER, order_row
from trading.ledger.tables import events, orders
from trading.order import Order, Status


class Known(NamedTuple):
    """What the ledger has of an order, as far as a recording compares itself with it."""

    sequence: int
    quantity: int
    price: Decimal | None
    trigger_price: Decimal | None


WITHOUT_FILLS = frozenset({Status.PENDING, Status.UNKNOWN, Status.PLACED})
"""A recording may carry several entries: those of the time before the first trade knew of none."""
_OF_ORDER = orders.c.order_id == sa.bindparam("own")
_RUN_OF = sa.select(orders.c.run_id, orders.c.status).where(_OF_ORDER)
_KNOWN = sa.select(*(orders.c[name] for name in Known._fields)).where(_OF_ORDER)
_INSERT_ORDER = sa.insert(orders)
_UPDATE_ORDER = sa.update(orders).where(_OF_ORDER)
_SEQUENCES_FROM = sa.select(events.c.sequence).where(
    events.c.order_id == sa.bindparam("own"), events.c.sequence >= sa.bindparam("first")
)
_INSERT_EVENT = sa.insert(events)
"""Made once: to make a statement anew costs more than SQLite takes to run it."""


def receive(connection: sa.Connection, order: Order, run_id: str, fingerprint: str) -> Order | None:
    """Enter a new order, with event 0, in the guard's own transaction. Ids are kept for good.

    Returns `None` if this run now has the order, newly or from an earlier try; nothing is changed in the latter
    case. Returns the order as it stands if the id belongs to another run, or is already over.
    """
    known = connection.execute(_RUN_OF, {"own": order.order_id}).one_or_none()
    own = {"run_id": run_id, "fingerprint": fingerprint}
    received = Entry(
        sequence=0,
        type=EventType.ORDER_RECEIVED,
        at=order.created_at,
        message=order.summary(),
        status=Status.PENDING,
    )
    if known is None:
        connection.execute(_INSERT_ORDER, order_row(order) | own | {"sequence": 0, "unsettled": False})
        connection.execute(_INSERT_EVENT, _event_row(order, received))
    elif known.run_id is None and known.status == Status.PENDING:
        # Something of it was recorded before the guard ran, such as a cancel request.
        connection.execute(_UPDATE_ORDER, own | {"own": order.order_id})
        _add_events(connection, order, [received])
    elif known.run_id != run_id or known.status in OVER:
        return find_order(connection, order.order_id)
    return None


def record(database: Database, order: Order, entries: Sequence[Entry], *, unsettled: bool = False) -> bool:
    """Record the order as it stands and what happened to it, in one transaction of its own. Whether fills were new.

    Raises SQLAlchemy's errors as they are; nothing is recorded then, and the same call may be made again.
    """
    with database.write() as connection:
        return record_within(connection, order, entries, unsettled=unsettled)


def record_within(
    connection: sa.Connection, order: Order, entries: Sequence[Entry], *, unsettled: bool = False
) -> bool:
    """The same within the caller's transaction.

    Entries and fills that are there already are left alone. The order's row changes only if the recording is
    newer than it: by its sequence, or because it has a fill that the ledger lacks (fills never become fewer). An
    order that no guard has received is entered as it is.
    """
    _add_events(connection, order, entries)
    fresh = fresh_fills(connection, order)
    newest = max((entry.sequence for entry in entries), default=0)
    row = connection.execute(_KNOWN, {"own": order.order_id}).one_or_none()
    known = None if row is None else Known(*row)
    _update_row(connection, order, known, newest, unsettled=unsettled, has_fresh_fills=bool(fresh.fills))
    if fresh.fills:
        book(connection, order, fresh)
    _keep_reserved(connection, order, known, newest, fresh.quantity)
    return bool(fresh.fills)


def _add_events(connection: sa.Connection, order: Order, entries: Sequence[Entry]) -> None:
    wanted = {entry.sequence: entry for entry in entries}
    first = min(wanted, default=0)
    for known in connection.execute(_SEQUENCES_FROM, {"own": order.order_id, "first": first}).scalars():
        wanted.pop(known, None)
    if wanted:
        connection.execute(_INSERT_EVENT, [_event_row(order, wanted[sequence]) for sequence in sorted(wanted)])


def _event_row(order: Order, entry: Entry) -> dict[str, Any]:
    return {
        "account": order.account,
        "order_id": order.order_id,
        "sequence": entry.sequence,
        "type": entry.type.value,
        "status": entry.status.value,
        "dry_run": order.dry_run,
        "message": entry.message,
        "at": entry.at,
        "fills": 0 if entry.status in WITHOUT_FILLS else len(order.fills),
    }


def _update_row(
    connection: sa.Connection,
    order: Order,
    known: Known | None,
    newest: int,
    *,
    unsettled: bool,
    has_fresh_fills: bool,
) -> None:
    sequence = max(newest, known.sequence if known is not None else 0)
    row = order_row(order) | {"unsettled": unsettled, "sequence": sequence}
    if known is None:
        connection.execute(_INSERT_ORDER, row)
    elif newest > known.sequence or has_fresh_fills:
        changes = {name: value for name, value in row.items() if name not in FIXED}
        connection.execute(_UPDATE_ORDER, changes | {"own": order.order_id})


def _keep_reserved(connection: sa.Connection, order: Order, known: Known | None, newest: int, traded: int) -> None:
    """What is reserved for the order is what it may still trade. An order found at the broker reserves, too."""
    if known is None:
        if order.broker_order_id is not None and not order.status.terminal:
            reservations.reserve(connection, order, _price_of(connection, order), order.updated_at)
    elif order.status.terminal:
        reservations.end(connection, order.order_id, traded, order.updated_at)
    else:
        terms = (known.quantity, known.price, known.trigger_price)
        is_amended = newest > known.sequence and terms != (order.quantity, order.price, order.trigger_price)
        if traded or is_amended:
            reservations.follow(connection, order, traded)


def _price_of(connection: sa.Connection, order: Order) -> Decimal:
    """Rupees a unit; 0 where nobody knows."""
    price = reservations.own_price(order)
    if price is None and (tick := last_tick(connection, order.account, order.symbol)):
        price = tick.last_price
    return price or Decimal(0)
