"""What workflows write about their orders. Each write is one transaction, and changes nothing the second time.

A run of an order's workflow may be behind the ledger: somebody has reset it to an earlier moment, or the server's file
is older than the ledger's. What such a run says is not written (`record_of_run`): it is given what the ledger has, and
goes on from there.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger import reservations
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.booking import Fresh, book, fresh_fills
from durable_orders.trading.ledger.database import Database, writes
from durable_orders.trading.ledger.forgotten_orders import FOUND, adopted_with_tag, is_as_asked, take_over
from durable_orders.trading.ledger.last_ticks import last_tick
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.reading import find_order, last_sequence
from durable_orders.trading.ledger.rows import FIXED, order_row
from durable_orders.trading.ledger.tables import events, orders
from durable_orders.trading.ledger.tables import reservations as reserved
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import Order, Status, is_adopted
from durable_orders.trading.orders.record import OnRecord


class Known(NamedTuple):
    """What the ledger has of an order, as far as a recording compares itself with it."""

    sequence: int
    quantity: int
    price: Decimal | None
    trigger_price: Decimal | None
    status: str
    broker_order_id: str | None
    filled_quantity: int
    cancel_requested: bool
    attempt: int
    not_sent: int


WITHOUT_FILLS = frozenset({Status.PENDING, Status.UNKNOWN, Status.PLACED})
"""A recording may carry several entries: those of the time before the first trade knew of none."""
_OF_ORDER = orders.c.order_id == sa.bindparam("own")
_OF_TAG = (orders.c.account == sa.bindparam("account")) & (orders.c.tag == sa.bindparam("tag"))
_RUN_OF = prepared(
    sa.select(orders.c.order_id, orders.c.run_id, orders.c.status, orders.c.approval).where(_OF_ORDER | _OF_TAG)
)
_OF_ATTEMPTS = [sa.func.coalesce(reserved.c[name], 0).label(name) for name in ("attempt", "not_sent")]
_KNOWN = prepared(
    sa.select(*(orders.c[name] for name in Known._fields if name in orders.c), *_OF_ATTEMPTS)
    .select_from(orders.outerjoin(reserved, reserved.c.order_id == orders.c.order_id))
    .where(_OF_ORDER)
)
_INSERT_ORDER = prepared(sa.insert(orders))
_UPDATE_ORDER = prepared(sa.update(orders).where(_OF_ORDER))
_SEQUENCES_FROM = prepared(
    sa.select(events.c.sequence).where(
        events.c.order_id == sa.bindparam("own"), events.c.sequence >= sa.bindparam("first")
    )
)
_STATUS_AT = prepared(
    sa.select(events.c.status).where(
        events.c.order_id == sa.bindparam("own"), events.c.sequence == sa.bindparam("number")
    )
)
_INSERT_EVENT = prepared(sa.insert(events))
"""Made once: to make a statement anew costs more than SQLite takes to run it."""


def receive(connection: sa.Connection, order: Order, run_id: str, fingerprint: str) -> Order | None:
    """Enter a new order, with event 0, in the guard's own transaction. Ids are kept for good.

    Returns `None` if this run now has the order, newly or from an earlier try; nothing is changed in the latter
    case. Returns the order as it stands if the id belongs to another run, if it is one of the broker's book that was
    adopted under the order's tag, or if more is known of it than a guard's own try can have left: then the run was
    reset to before it. One that was to wait for a person's approval stays so, whatever the settings say by now.
    """
    writes(connection, order.account)
    rows = connection.execute(_RUN_OF, {"own": order.order_id, "account": order.account, "tag": order.tag}).all()
    known = next((row for row in rows if row.order_id == order.order_id), None)
    own = {"run_id": run_id, "fingerprint": fingerprint, "tag": order.tag}
    received = Entry(
        sequence=0,
        type=EventType.ORDER_RECEIVED,
        at=order.created_at,
        message=order.summary(),
        status=Status.PENDING,
    )
    is_new = known is None or (known.run_id is None and known.status == Status.PENDING)
    if is_new and (adopted := next((row for row in rows if is_adopted(row.order_id)), None)) is not None:
        return _found_again(connection, adopted.order_id, order, received, fingerprint)
    if known is None:
        connection.execute(_INSERT_ORDER, order_row(order) | own | {"sequence": 0, "unsettled": False})
        connection.execute(_INSERT_EVENT, _event_row(order, received))
    elif is_new:
        # Something of it was recorded before the guard ran, such as a cancel request.
        connection.execute(_UPDATE_ORDER, own | {"own": order.order_id})
        _add_events(connection, order, [received])
    elif known.run_id != run_id or known.status != Status.PENDING or (order.approval is None and known.approval):
        return find_order(connection, order.order_id)
    return None


def claim(connection: sa.Connection, order_id: str, run_id: str) -> None:
    """From now on the order is that run's: another one that comes late is told that it exists."""
    connection.execute(_UPDATE_ORDER, {"own": order_id, "run_id": run_id})


def _found_again(
    connection: sa.Connection, adopted: str, order: Order, received: Entry, fingerprint: str
) -> Order | None:
    """The order that was adopted under the tag of the one that is asked for: from now on it is that one, unless their
    terms show that it is not. It is of no run, so that each is told that it exists."""
    if not is_as_asked(connection, adopted, order):
        return find_order(connection, adopted)
    before = find_order(connection, order.order_id)
    is_unwanted = before is not None and before.cancel_requested
    connection.execute(sa.delete(orders).where(orders.c.order_id == order.order_id))
    take_over(connection, adopted, order, cancel_requested=is_unwanted, fingerprint=fingerprint)
    found = find_order(connection, order.order_id)
    if found is not None:
        number = max(last_sequence(connection, order.order_id), 0) + 1
        words = FOUND.format(row=found.broker_order_id)
        told = Entry(sequence=number, type=EventType.ALERT, at=found.updated_at, message=words, status=found.status)
        _add_events(connection, found, [received, told])
        connection.execute(_UPDATE_ORDER, {"own": order.order_id, "sequence": number})
    return found


def record(database: Database, order: Order, entries: Sequence[Entry], *, unsettled: bool = False) -> bool:
    """Record the order as it stands and what happened to it, in one transaction of its own. Whether fills were new.

    Raises SQLAlchemy's errors as they are; nothing is recorded then, and the same call may be made again.
    """
    with database.write(order.account) as connection:
        return record_within(connection, order, entries, unsettled=unsettled)


def record_within(
    connection: sa.Connection, order: Order, entries: Sequence[Entry], *, unsettled: bool = False
) -> bool:
    """The same within the caller's transaction.

    Entries and fills that are there already are left alone. The order's row changes only if the recording is
    newer than it: by its sequence, or because it has a fill that the ledger lacks (fills never become fewer). An
    order that no guard has received is entered as it is.
    """
    known = _known_or_found(connection, order)
    return _write(connection, order, entries, known, fresh_fills(connection, order), unsettled=unsettled)


def record_of_run(
    connection: sa.Connection, order: Order, entries: Sequence[Entry], *, unsettled: bool, attempt: int | None
) -> tuple[OnRecord | None, bool]:
    """The same for a run of the order's own workflow; `attempt` is the last one to send it that it knows of, `None` if
    it cannot know. Gives what the ledger has where the run is behind that, and nothing was written; and whether fills
    were new.
    """
    known, fresh = _known_or_found(connection, order), fresh_fills(connection, order)
    if known is not None and (
        len(fresh.fills) + len(fresh.known) > len(order.fills) or _is_behind(connection, order, entries, known, attempt)
    ):
        return on_record(connection, order.order_id), False
    return None, _write(connection, order, entries, known, fresh, unsettled=unsettled)


def on_record(connection: sa.Connection, order_id: str) -> OnRecord | None:
    """What the ledger has of the order; `None` for one that it does not know."""
    order, known = find_order(connection, order_id), _known(connection, order_id)
    if order is None or known is None:
        return None
    return OnRecord(order=order, sequence=known.sequence, attempt=known.attempt, not_sent=known.not_sent)


def _known(connection: sa.Connection, order_id: str) -> Known | None:
    row = connection.execute(_KNOWN, {"own": order_id}).one_or_none()
    return None if row is None else Known(**row._mapping)


def _known_or_found(connection: sa.Connection, order: Order) -> Known | None:
    """What the ledger knows of it, or had adopted under its tag."""
    known = _known(connection, order.order_id)
    if known is None and (adopted := adopted_with_tag(connection, order)) is not None:
        take_over(connection, adopted, order)
        words = f"{order.order_id}: {FOUND.format(row=order.broker_order_id)}"
        add_event(connection, order.account, EventType.ALERT, words, order.updated_at)
        known = _known(connection, order.order_id)
    return known


def _is_behind(
    connection: sa.Connection, order: Order, entries: Sequence[Entry], known: Known, attempt: int | None
) -> bool:
    """Whether the ledger has what the run does not know: a broker's id, a trade, an end, a cancel that was asked for,
    an attempt to send it; or another status under the number of its newest entry. That the same entries come again,
    after others, is no sign of it: a worker that died has its task done again by another.
    """
    status = Status(known.status)
    if known.broker_order_id not in (None, order.broker_order_id) or known.filled_quantity > order.filled_quantity:
        return True
    if status.terminal and order.status is not status:
        return True
    if not order.status.terminal and known.cancel_requested and not order.cancel_requested:
        return True
    if attempt is not None and known.attempt > attempt:
        return True
    newest = max(entries, key=lambda entry: entry.sequence, default=None)
    if newest is None or newest.sequence > known.sequence:
        return False
    written = connection.execute(_STATUS_AT, {"own": order.order_id, "number": newest.sequence}).scalar_one_or_none()
    return written not in (None, newest.status)


def _write(
    connection: sa.Connection,
    order: Order,
    entries: Sequence[Entry],
    known: Known | None,
    fresh: Fresh,
    *,
    unsettled: bool,
) -> bool:
    writes(connection, order.account)
    _add_events(connection, order, entries)
    newest = max((entry.sequence for entry in entries), default=0)
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
        if was_let_pass(order) and not reservations.was_ever_made(connection, order.order_id):
            reservations.reserve(connection, order, _price_of(connection, order), order.updated_at)
        elif traded or is_amended:
            reservations.follow(connection, order, traded)


def was_let_pass(order: Order) -> bool:
    """Whether it is at the broker by a person's approval: a restored ledger may have had it waiting for that, with
    nothing reserved."""
    return order.approval is not None and order.broker_order_id is not None


def _price_of(connection: sa.Connection, order: Order) -> Decimal:
    """Rupees a unit; 0 where nobody knows."""
    price = reservations.own_price(order)
    if price is None and (tick := last_tick(connection, order.account, order.symbol)):
        price = tick.last_price
    return price or Decimal(0)
