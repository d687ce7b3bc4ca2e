"""The journal's events: everything that happened to every order, and to the account, in the order of its time."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Literal, TextIO

import sqlalchemy as sa

from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.journal import STREAMED, Chosen, are_few
from durable_orders.trading.ledger.tables import events, orders
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Status


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event. Of one of the whole account, what belongs to an order is empty."""

    at: datetime
    account: str
    order_id: str
    sequence: int
    strategy: str
    symbol: str
    type: EventType
    status: Status | Literal[""]
    """The order's after it."""
    message: str


_OF_ORDER = {"strategy": orders.c.strategy, "symbol": orders.c.symbol}
_COLUMNS = [
    (sa.func.coalesce(_OF_ORDER[name], "") if name in _OF_ORDER else events.c[name]).label(name)
    for name in EventLine.__dataclass_fields__
]


def journal_events(connection: sa.Connection, chosen: Chosen) -> Iterator[EventLine]:
    """The events to which everything given applies, oldest first, read as far as they are taken. A status is that of
    the order as it stands, as in the journal."""
    asked = sa.select(*_COLUMNS).select_from(events.outerjoin(orders, orders.c.order_id == events.c.order_id))
    if are_few(connection, chosen):
        asked = sa.select(*_COLUMNS).select_from(orders.join(events, orders.c.order_id == events.c.order_id))
        asked = asked.where(orders.c.account == chosen.account)
    else:
        asked = asked.where(events.c.account == chosen.account)
    if chosen.since is not None:
        asked = asked.where(events.c.at >= chosen.since)
    if chosen.until is not None:
        asked = asked.where(events.c.at < chosen.until)
    asked = asked.where(*chosen.of_orders())
    asked = asked.order_by(events.c.at, events.c.feed_id)
    for row in connection.execute(asked, execution_options=STREAMED).mappings():
        yield EventLine(**{**row, "type": EventType(row["type"]), "status": row["status"] and Status(row["status"])})


def write_events_csv(lines: Iterable[EventLine], file: TextIO) -> int:
    """Header and lines, in the order of the fields; times are ISO 8601 in IST. Returns how many lines there were."""
    names = [field.name for field in fields(EventLine)]
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007  (counted for the caller)
        at = line.at.astimezone(IST).isoformat(timespec="milliseconds")
        writer.writerow(asdict(line) | {"at": at, "type": line.type.value, "message": " ".join(line.message.split())})
    return count
