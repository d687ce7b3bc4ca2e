"""What workflows write about their orders. Each write is one transaction, and changes nothing the second time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trading.events import Entry, EventType
from trading.ledger.database import Database
from trading.ledger.positions import Position, booked
from trading.ledger.reading import find_order
from trading.ledger.reservations import release
from trading.ledger.rows import FIXED, OVER, fill_row, order_row, position_of, upsert
from trading.ledger.tables import events, fills, orders, positions
from trading.order import Order, Status

_OF_ORDER = orders.c.order_id == sa.bindparam("own")
_RUN_OF = sa.select(orders.c.run_id, orders.c.status).where(_OF_ORDER)
_SEQUENCE_OF = sa.select(orders.c.sequence).where(_OF_ORDER)
_INSERT_ORDER = sa.insert(orders)
_UPDATE_ORDER = sa.update(orders).where(_OF_ORDER)
_SEQUENCES_FROM = sa.select(events.c.sequence).where(
    events.c.order_id == sa.bindparam("own"), events.c.sequence >= sa.bindparam("first")
)
_INSERT_EVENT = sa.insert(events)
_TRADES_OF = sa.select(fills.c.trade_id).where(fills.c.order_id == sa.bindparam("own"))
_INSERT_FILL = sa.insert(fills)
_POSITION = sa.select(positions).where(*(column == sa.bindparam(column.name) for column in positions.primary_key))
"""Made once: to make a statement anew costs more than SQLite takes to run it."""


def receive(connection: sa.Connection, order: Order, run_id: str, fingerprint: str) -> Order | None:
    """Enter a new order, with event 0, in the guard's own transaction. Ids are kept for good.

    Returns `None` if this run now has the order, newly or from an earlier try; nothing is changed in the latter
    case. Returns the order as it stands if the id belongs to another run, or is already over.
    """
    known = connection.execute(_RUN_OF, {"own": order.order_id}).one_or_none()
    own = {"run_id": run_id, "fingerprint": fingerprint}
    if known is None:
        connection.execute(_INSERT_ORDER, order_row(order) | own | {"sequence": 0, "unsettled": False})
    elif known.run_id is None and known.status == Status.PENDING:
        # Something of it was recorded before the guard ran, such as a cancel request.
        connection.execute(_UPDATE_ORDER, own | {"own": order.order_id})
    elif known.run_id == run_id and known.status not in OVER:
        return None
    else:
        return find_order(connection, order.order_id)
    received = Entry(
        sequence=0,
        type=EventType.ORDER_RECEIVED,
        at=order.created_at,
        message=order.summary(),
        status=Status.PENDING,
    )
    _add_events(connection, order, [received])
    return None


def record(database: Database, order: Order, entries: Sequence[Entry], *, unsettled: bool = False) -> None:
    """Record the order as it stands and what happened to it, in one transaction of its own.

    Raises SQLAlchemy's errors as they are; nothing is recorded then, and the same call may be made again.
    """
    with database.write() as connection:
        record_within(connection, order, entries, unsettled=unsettled)


def record_within(
    connection: sa.Connection, order: Order, entries: Sequence[Entry], *, unsettled: bool = False
) -> None:
    """The same within the caller's transaction.

    Entries and fills that are there already are left alone. The order's row changes only if the recording is
    newer than it: by its sequence, or because it has a fill that the ledger lacks (fills never become fewer). An
    order that no guard has received is entered as it is.
    """
    _add_events(connection, order, entries)
    fresh = _add_fills(connection, order)
    newest = max((entry.sequence for entry in entries), default=0)
    _update_row(connection, order, newest, unsettled=unsettled, has_fresh_fills=bool(fresh))
    if fresh:
        _book(connection, order, fresh)
    if order.status.terminal:
        release(connection, order.order_id, order.updated_at)


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
        "message": entry.message,
        "at": entry.at,
    }


def _add_fills(connection: sa.Connection, order: Order) -> list[dict[str, Any]]:
    """Insert the fills that are not there yet; returns them."""
    if not order.fills:
        return []
    known = set(connection.execute(_TRADES_OF, {"own": order.order_id}).scalars())
    fresh = [fill_row(order, number) for number, fill in enumerate(order.fills) if fill.trade_id not in known]
    if fresh:
        connection.execute(_INSERT_FILL, fresh)
    return fresh


def _update_row(
    connection: sa.Connection, order: Order, newest: int, *, unsettled: bool, has_fresh_fills: bool
) -> None:
    known = connection.execute(_SEQUENCE_OF, {"own": order.order_id}).scalar_one_or_none()
    row = order_row(order) | {"unsettled": unsettled, "sequence": max(newest, known or 0)}
    if known is None:
        connection.execute(_INSERT_ORDER, row)
    elif newest > known or has_fresh_fills:
        changes = {name: value for name, value in row.items() if name not in FIXED}
        connection.execute(_UPDATE_ORDER, changes | {"own": order.order_id})


def _book(connection: sa.Connection, order: Order, fresh: Sequence[Mapping[str, Any]]) -> None:
    """Put newly inserted fills into the net position."""
    key = {"account": order.account, "symbol": order.symbol, "product": order.product}
    row = connection.execute(_POSITION, key).mappings().one_or_none()
    position = position_of(row) if row is not None else Position(order.account, order.symbol, order.product)
    for fill in fresh:
        position = booked(position, order.side, fill["quantity"], fill["price"])
    upsert(connection, positions, [_position_row(position, order.updated_at)])


def _position_row(position: Position, at: datetime) -> dict[str, Any]:
    return {
        "account": position.account,
        "symbol": position.symbol,
        "product": position.product.value,
        "quantity": position.quantity,
        "open_value": position.open_value,
        "realized_pnl": position.realized_pnl,
        "updated_at": at,
    }
