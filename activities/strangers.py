"""Deals with rows of the book that no workflow follows: adopts them, cancels what nobody asked for, books it all."""

import logging
from datetime import UTC, datetime

from trading.adoption import Stranger, adopted, kind_of
from trading.brokers.book import BrokerOrder
from trading.brokers.broker import Broker
from trading.events import EVENT_OF, Entry, EventType
from trading.ledger.alerts import alert
from trading.ledger.database import Database
from trading.ledger.reading import OpenView, find_order
from trading.ledger.recording import record
from trading.lifecycle import Reported, step
from trading.narration import sentence
from trading.order import Account, Mode, Order
from trading.outcome import Accepted, Refused
from trading.sighting import Sighting

ALERTS = {
    Stranger.EXTERNAL: "found at the broker, not placed by this system",
    Stranger.TWIN: "a second order with the tag of {of}: it is cancelled, and booked if it filled",
}

log = logging.getLogger(__name__)


class Strangers:
    """One account's. Its methods block, and may be repeated."""

    def __init__(self, account: Account, mode: Mode, broker: Broker, database: Database) -> None:
        self._account = account
        self._mode = mode
        self._broker = broker
        self._database = database
        self._unreadable: set[str] = set()

    def adopt(self, sighting: Sighting, same_tag: OpenView | None) -> None:
        """Take the row into the ledger as an order of its own; from then on it is followed there."""
        kind = kind_of(sighting.row, same_tag)
        if kind is None:
            return
        try:
            order = adopted(sighting.row, kind, self._account, self._mode)
        except ValueError as error:
            self._report_once(sighting.row, error)
            return
        words = ALERTS[kind].format(of=same_tag.order_id if same_tag else "")
        self._record(order, step(order, Reported(sighting.report), datetime.now(UTC)), 1, f"{words}; ", EventType.ALERT)

    def dismiss(self, row: BrokerOrder, view: OpenView) -> bool:
        """Ask the broker to cancel a row that nobody wants. Whether it gave an answer; the book tells the rest."""
        answer = self._broker.cancel(row.broker_order_id)
        log.warning("%s works at the broker though its order has ended: cancelled (%s)", view.order_id, answer.kind)
        return isinstance(answer, Accepted | Refused)

    def book(self, view: OpenView, sighting: Sighting) -> None:
        """A change of an order that has no workflow, or none any more, is still booked (lifecycle, rule 3)."""
        with self._database.read() as connection:
            order = find_order(connection, view.order_id)
        if order is None:
            return
        after = step(order, Reported(sighting.report), datetime.now(UTC))
        if after is not order:
            late = order.status.terminal
            kind = EventType.ALERT if late else EVENT_OF[after.status]
            self._record(
                order, after, view.sequence + 1, "reported by the broker after its end: " if late else "", kind
            )

    def _record(self, before: Order, after: Order, sequence: int, words: str, kind: EventType) -> None:
        said = words + sentence(before, after)
        entry = Entry(sequence=sequence, type=kind, at=after.updated_at, message=said, status=after.status)
        record(self._database, after, [entry])

    def _report_once(self, row: BrokerOrder, error: ValueError) -> None:
        if row.broker_order_id in self._unreadable:
            return
        self._unreadable.add(row.broker_order_id)
        words = (
            f"order {row.broker_order_id} at the broker cannot be adopted ({type(error).__name__}): look at it there"
        )
        alert(self._database, self._account, words, datetime.now(UTC))
