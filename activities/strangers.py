"""Deals with rows of the book that no workflow follows: adopts them, cancels what nobody asked for, books it all."""

import logging
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from durable_orders.activities.missing_orders import Gone
from durable_orders.activities.other_homes import OtherHomes
from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.guardian.breakers import DayBreakers
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.pacing import NO_LIMIT, Pacer, Turn
from durable_orders.trading.ledger.reading import OpenView, find_order, last_sequence, views_for
from durable_orders.trading.ledger.recording import record_within
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.events import EVENT_OF, Entry, EventType
from durable_orders.trading.orders.lifecycle import Reported, Vanished, step
from durable_orders.trading.orders.narration import sentence
from durable_orders.trading.orders.order import Account, BrokerOrderId, Mode, Order, Status
from durable_orders.trading.orders.tags import may_be_ours
from durable_orders.trading.reconciliation.book_diff import Sighting, Views
from durable_orders.trading.reconciliation.external_orders import Stranger, adopted, kind_of

ALERTS = {
    Stranger.EXTERNAL: "found at the broker, not placed by this system",
    Stranger.TWIN: "a second order with the tag of {of}: it is cancelled, and booked if it filled",
}
OURS = "found at the broker under a tag as we make them, sent before a restore or by another home"
"""Whether it is another home's, the account's own alert says."""
LATE = "the broker took it after all, as {row}: it is cancelled, and booked if it filled"
AFTER_THE_END = "reported by the broker after its end"
PATIENCE = 5.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=30)
"""Between two requests to cancel the same row, doubled each time, for as long as the book shows it working."""

log = logging.getLogger(__name__)


class Strangers:
    """One account's. Its methods block, and may be repeated."""

    def __init__(
        self,
        account: Account,
        mode: Mode,
        broker: Broker,
        database: Database,
        pacer: Pacer | None = None,
        breakers: DayBreakers | None = None,
        others: OtherHomes | None = None,
    ) -> None:
        """`others` notices rows that another home has sent."""
        self._others = others
        self._account = account
        self._mode = mode
        self._broker = broker
        self._database = database
        self._pacer = pacer
        self._breakers = breakers
        self._unreadable: set[str] = set()
        self._dismissed: dict[BrokerOrderId, tuple[datetime, timedelta]] = {}

    def adopt(self, sighting: Sighting) -> None:
        """Take the row into the ledger as an order of its own; from then on it is followed there. An order of ours that
        was recorded in this moment keeps its row."""
        row = sighting.row
        with self._database.write() as connection:
            tags, ids = {row.tag or ""}, {row.broker_order_id}
            views = Views(views_for(connection, self._account, tags=tags, broker_order_ids=ids))
            same_tag = views.with_tag(row)
            kind = kind_of(row, same_tag)
            if kind is None or views.owner(row) is not None:
                return
            try:
                order = adopted(row, kind, self._account, self._mode, keeps_tag=same_tag is None)
            except ValueError as error:
                self._report_once(connection, row, error)
                return
            words = ALERTS[kind].format(of=same_tag.order_id if same_tag else "")
            words = OURS if kind is Stranger.EXTERNAL and may_be_ours(row.tag) else words
            after = step(order, Reported(sighting.report), datetime.now(UTC))
            self._record(connection, order, after, words, EventType.ALERT)
            if self._others is not None:
                self._others.found(connection, row)

    def dismiss(self, row: BrokerOrder, view: OpenView) -> None:
        """Ask the broker to cancel a row that nobody wants; ever more seldom, until the book shows that it is done."""
        now = datetime.now(UTC)
        due, pause = self._dismissed.get(row.broker_order_id, (now, FIRST_PAUSE))
        if now < due:
            return
        self._dismissed[row.broker_order_id] = (now + pause, min(2 * pause, LONGEST_PAUSE))
        with self._turn() as in_turn:
            said = self._broker.cancel(row.broker_order_id).kind if in_turn else "not sent"
        log.warning("%s works at the broker though its order has ended: to be cancelled (%s)", view.order_id, said)

    def _turn(self) -> AbstractContextManager[Turn]:
        """Not waited for long: the watch has more to do, and comes back to it."""
        if self._pacer is None:
            return nullcontext(NO_LIMIT)
        return self._pacer.turn(urgent=True, patience=PATIENCE)

    def book(self, view: OpenView, sighting: Sighting) -> None:
        """A change of an order that has no workflow, or none any more, is still booked (lifecycle, rule 3)."""
        with self._database.write() as connection:
            order = find_order(connection, view.order_id)
            if order is None:
                return
            after = step(order, Reported(sighting.report), datetime.now(UTC))
            if after is order:
                return
            late = order.status.terminal
            arrived = late and order.broker_order_id is None
            words = LATE.format(row=sighting.row.broker_order_id) if arrived else AFTER_THE_END if late else ""
            self._record(connection, order, after, words, EventType.ALERT if late else EVENT_OF[after.status])

    def lose(self, gone: Gone) -> None:
        """An order without a workflow is not in the book of its day any more: to be reviewed, unless its trades prove
        its end."""
        with self._database.write() as connection:
            order = find_order(connection, gone.view.order_id)
            if order is None:
                return
            after = step(order, Vanished(gone.words, gone.amended), datetime.now(UTC))
            if after is not order:
                lost = after.status is Status.UNKNOWN
                kind = EventType.ALERT if lost else EVENT_OF[after.status]
                self._record(connection, order, after, "to be reviewed" if lost else "", kind)

    def _record(self, connection: sa.Connection, before: Order, after: Order, words: str, kind: EventType) -> None:
        """Numbered after what is recorded now: the order's own workflow may have written in the meantime."""
        said = "; ".join(part for part in (words, sentence(before, after)) if part and part != "updated")
        number = last_sequence(connection, after.order_id) + 1
        entry = Entry(sequence=number, type=kind, at=after.updated_at, message=said or "updated", status=after.status)
        unsettled = after.status is Status.UNKNOWN
        if record_within(connection, after, [entry], unsettled=unsettled) and self._breakers is not None:
            self._breakers.after_fills(connection, self._account, datetime.now(UTC))

    def _report_once(self, connection: sa.Connection, row: BrokerOrder, error: ValueError) -> None:
        if row.broker_order_id in self._unreadable:
            return
        self._unreadable.add(row.broker_order_id)
        words = (
            f"order {row.broker_order_id} at the broker cannot be adopted ({type(error).__name__}): look at it there"
        )
        add_event(connection, self._account, EventType.ALERT, words, datetime.now(UTC))
