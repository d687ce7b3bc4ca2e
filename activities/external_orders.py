"""Deals with rows of the book that no workflow follows: adopts them, cancels what nobody asked for, books it all."""

import logging
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from durable_orders.activities.missing_orders import MissingOrder
from durable_orders.activities.other_homes import OtherHomes
from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.guardian.breakers import DayBreakers
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.gtt_orders import UNFILLED, of_gtt, unfilled_words
from durable_orders.trading.ledger.gtts import gtt_of_order
from durable_orders.trading.ledger.rate_limiter import NO_LIMIT, RateLimiter, Slot
from durable_orders.trading.ledger.reading import OrderSnapshot, find_order, last_sequence, views_for
from durable_orders.trading.ledger.recording import record_within
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.events import EVENT_OF, Entry, EventType
from durable_orders.trading.orders.lifecycle import MissingFromBook, Reported, step
from durable_orders.trading.orders.narration import sentence
from durable_orders.trading.orders.order import Account, BrokerOrderId, Mode, Order, Status, is_adopted
from durable_orders.trading.orders.tags import may_be_ours
from durable_orders.trading.reconciliation.book_diff import KnownOrders, OrderStatusReport
from durable_orders.trading.reconciliation.external_orders import ExternalKind, adopted, kind_of

ALERTS = {
    ExternalKind.EXTERNAL: "found at the broker, not placed by this system",
    ExternalKind.DUPLICATE: "a second order with the tag of {of}: it is cancelled, and booked if it filled",
}
OURS = "found at the broker under a tag as we make them, sent before a restore or by another home"
"""Whether it is another home's, the account's own alert says."""
LATE = "the broker took it after all, as {row}: it is cancelled, and booked if it filled"
AFTER_THE_END = "reported by the broker after its end"
MAX_WAIT = 5.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=30)
"""Between two requests to cancel the same row, doubled each time, for as long as the book shows it working."""

log = logging.getLogger(__name__)


class ExternalOrders:
    """One account's. Its methods block, and may be repeated."""

    def __init__(
        self,
        account: Account,
        mode: Mode,
        broker: Broker,
        database: Database,
        pacer: RateLimiter | None = None,
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

    def adopt(self, sighting: OrderStatusReport, gtt: GttState | None = None) -> None:
        """Take the row into the ledger as an order of its own; from then on it is followed there. An order of ours that
        was recorded in this moment keeps its row. One that a GTT has placed is of the strategy that wanted that."""
        row = sighting.row
        with self._database.write(self._account) as connection:
            tags, ids = {row.tag or ""}, {row.broker_order_id}
            views = KnownOrders(views_for(connection, self._account, tags=tags, broker_order_ids=ids))
            same_tag = views.with_tag(row)
            gtt = gtt or gtt_of_order(connection, self._account, row.symbol, row.broker_order_id, row.placed_at)
            kind = kind_of(row, same_tag)
            if kind is None or views.owner(row) is not None:
                return
            try:
                order = adopted(row, kind, self._account, self._mode, keeps_tag=same_tag is None)
                order = of_gtt(order, gtt) if gtt is not None else order
            except ValueError as error:
                self._report_once(connection, row, error)
                return
            words = ALERTS[kind].format(of=same_tag.order_id if same_tag else "")
            words = OURS if kind is ExternalKind.EXTERNAL and may_be_ours(row.tag) else words
            after = step(order, Reported(sighting.report), datetime.now(UTC))
            if gtt is not None:
                words = f"placed by the GTT {gtt.intent.gtt_id}, which was triggered"
            self._record(connection, order, after, words, EVENT_OF[after.status] if gtt else EventType.ALERT)
            if self._others is not None:
                self._others.found(connection, row)

    def dismiss(self, row: BrokerOrder, view: OrderSnapshot) -> None:
        """Ask the broker to cancel a row that nobody wants; ever more seldom, until the book shows that it is done."""
        now = datetime.now(UTC)
        due, pause = self._dismissed.get(row.broker_order_id, (now, FIRST_PAUSE))
        if now < due:
            return
        self._dismissed[row.broker_order_id] = (now + pause, min(2 * pause, LONGEST_PAUSE))
        with self._turn() as slot:
            said = self._broker.cancel(row.broker_order_id).kind if slot else "not sent"
        log.warning("%s works at the broker though its order has ended: to be cancelled (%s)", view.order_id, said)

    def _turn(self) -> AbstractContextManager[Slot]:
        """Not waited for long: the watch has more to do, and comes back to it."""
        if self._pacer is None:
            return nullcontext(NO_LIMIT)
        return self._pacer.turn(urgent=True, patience=MAX_WAIT)

    def book(self, view: OrderSnapshot, sighting: OrderStatusReport) -> None:
        """A change of an order that has no workflow, or none any more, is still booked (lifecycle, rule 3)."""
        with self._database.write(self._account) as connection:
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

    def lose(self, gone: MissingOrder) -> None:
        """An order without a workflow is not in the book of its day any more: to be reviewed, unless its trades prove
        its end."""
        with self._database.write(self._account) as connection:
            order = find_order(connection, gone.view.order_id)
            if order is None:
                return
            after = step(order, MissingFromBook(gone.words, gone.amended), datetime.now(UTC))
            if after is not order:
                lost = after.status is Status.UNKNOWN
                kind = EventType.ALERT if lost else EVENT_OF[after.status]
                self._record(connection, order, after, "to be reviewed" if lost else "", kind)

    def _unfilled(self, connection: sa.Connection, order: Order) -> str | None:
        """What is said of one that a GTT has placed, and that has ended without all of its fill."""
        own = order.broker_order_id
        if own is None or order.status not in UNFILLED or not is_adopted(order.order_id):
            return None
        gtt = gtt_of_order(connection, self._account, order.symbol, own, order.created_at)
        return unfilled_words(order, gtt) if gtt is not None else None

    def _record(self, connection: sa.Connection, before: Order, after: Order, words: str, kind: EventType) -> None:
        """Numbered after what is recorded now: the order's own workflow may have written in the meantime."""
        if (unfilled := self._unfilled(connection, after)) is not None:
            words, kind = "; ".join(filter(None, (words, unfilled))), EventType.ALERT
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
