"""Whether a reading of the broker's book is whole: only then does what it does not show prove an absence.

A whole book shows every order of today that the ledger knows by its broker's id, each with the tag with which it was
sent. One that lacks any of them is an old copy, or somebody else's book: it tells nothing of what it does not show.
Left out are orders that a human has settled, since no book showed them any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from durable_orders.trading.errors import BookNotWhole
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.tables import events, orders
from durable_orders.trading.orders.book import BrokerOrder, OddRow
from durable_orders.trading.orders.order import BrokerOrderId, Status, is_adopted
from durable_orders.trading.orders.settlement import BY_HAND

CLEARED = timedelta(hours=7, minutes=30)
"""After midnight in IST: by then Kite has cleared its book of what had ended before (Kite staff, of access tokens,
which go at the same time)."""


@dataclass(frozen=True, slots=True)
class Received:
    """An order that the broker has received, as far as the ledger knows."""

    broker_order_id: BrokerOrderId
    tag: str | None
    """`None` for one whose tag is not ours to know."""
    order_id: str
    status: Status
    created_at: datetime

    def is_in_the_book(self, now: datetime) -> bool:
        """Whether the book of that moment must show it."""
        day = start_of_day(now)
        if self.created_at < day:
            return False
        cleared = day + CLEARED
        return not self.status.terminal or now < cleared or self.created_at >= cleared


_O = orders.c
_RECEIVED = sa.select(_O.broker_order_id, _O.tag, _O.order_id, _O.status, _O.created_at, _O.reasons).where(
    _O.account == sa.bindparam("account"),
    _O.broker_order_id.is_not(None),
    _O.created_at >= sa.bindparam("since", type_=_O.created_at.type),
)
_CHANGED = sa.select(events.c.order_id).where(
    events.c.account == sa.bindparam("account"), events.c.feed_id > sa.bindparam("after")
)


class ReceivedToday:
    """Those of one account. It asks the ledger only for what has changed since it was last asked. Not thread-safe."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._orders: dict[BrokerOrderId, Received] = {}
        self._day: datetime | None = None
        self._seen = 0

    def read(self, connection: sa.Connection, now: datetime) -> list[Received]:
        newest, day = newest_id(connection, self._account), start_of_day(now)
        asked = _RECEIVED
        if day != self._day or newest < self._seen:
            self._orders = {}
        elif newest == self._seen:
            return self._in_the_book(now)
        else:
            asked = asked.where(_O.order_id.in_(_CHANGED))
        found = connection.execute(asked, {"account": self._account, "since": day, "after": self._seen})
        for own_id, tag, order_id, status, created_at, reasons in found:
            self._orders.pop(own_id, None)
            if not any(reason.startswith(BY_HAND) for reason in reasons):
                known = None if is_adopted(order_id) else tag
                self._orders[own_id] = Received(own_id, known, order_id, Status(status), created_at)
        self._day, self._seen = day, newest
        return self._in_the_book(now)

    def _in_the_book(self, now: datetime) -> list[Received]:
        return [received for received in self._orders.values() if received.is_in_the_book(now)]


@dataclass(frozen=True, slots=True)
class Reading:
    """The broker's book as it was read, and what it lacks."""

    rows: Sequence[BrokerOrder]
    missing: Sequence[Received]
    odd: Sequence[OddRow] = ()
    """Rows that are not understood: they are not among the others."""

    def must_be_whole(self) -> None:
        """Raises `BookNotWhole`."""
        if self.missing:
            raise self.what_is_missing

    @property
    def what_is_missing(self) -> BookNotWhole:
        one, *others = self.missing
        more = f", and {len(others)} more" if others else ""
        words = f"it does not show {one.broker_order_id} ({one.order_id}, {one.status}){more}"
        return BookNotWhole(f"{words}: it is an old copy, or another user's")


def missing_from(rows: Iterable[BrokerOrder], received: Sequence[Received]) -> list[Received]:
    """What a book with these rows lacks. `received` must be of before it was read."""
    tags = {row.broker_order_id: row.tag for row in rows}
    return [
        each
        for each in received
        if each.broker_order_id not in tags or each.tag not in (None, tags[each.broker_order_id])
    ]
