"""A caller's own object behind the `Broker` protocol, so that its orders are durable workflows like any other.

It shows the orders of this home alone: what was placed by hand, or by anybody else, is not looked at. A wrapper may
drop tags, so an order is known by its tag until the broker's id of it is known, and by that from then on.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as NotYet
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from durable_orders.callers import readings
from durable_orders.callers.broker import BOOKS, Answer, CallersBroker, Line
from durable_orders.callers.methods import method_of
from durable_orders.callers.readings import CLOSING, TimedReading
from durable_orders.callers.rows import order_shown, payload_of, row_of_line, trade_of
from durable_orders.callers.trades import SeenTrades
from durable_orders.callers.unknown_rows import UnknownRows
from durable_orders.trading.brokers.kite import rows as kite_rows
from durable_orders.trading.brokers.shared_reading import SharedReading
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import find_order, views_for
from durable_orders.trading.orders.absence import could_be
from durable_orders.trading.orders.approval import Approved
from durable_orders.trading.orders.book import BrokerHolding, BrokerOrder, BrokerPosition, Funds, OrderReport
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.order import Account, Amendment, BrokerOrderId, Fill, Order, OrderId
from durable_orders.trading.orders.outcome import (
    ATTEMPT_USED,
    Accepted,
    Evidence,
    Held,
    NotSent,
    Outcome,
    Refused,
    Unknown,
)
from durable_orders.trading.orders.tags import mark_in, may_be_ours, of_order

R = TypeVar("R")

NO_WAY_TO_SPLIT = "instructions: a broker object takes none, only a home with its own session at Kite does"

PARTS = (("positions", "net"), ("holdings", "data"))
"""What else is read, and under which key Kite's client and its wrappers have it in a mapping."""

NOT_ANSWERED = "a place_order() that has not answered yet"
NO_ID = "a row without an order id"
NOT_NAMED = "its line has no order id, and this is its tag"


class OwnBroker:
    """A `Broker`. Thread-safe."""

    def __init__(self, broker: Any, account: Account, database: Database, mark: str, trades: Path) -> None:
        """`mark` is that of the home, `trades` the file that keeps what was seen to be filled. Raises `TypeError` for
        an object without `place_order`."""
        self._callers = CallersBroker(broker)
        self._account = account
        self._database = database
        self._mark = mark
        self._seen = SeenTrades(trades)
        self._orders: dict[BrokerOrderId, Order] = {}
        """As they were when they were first met."""
        self._asking: dict[str, list[Future[Outcome]]] = {}
        """Cancels and changes that have not been answered, by what was asked of which order."""
        self._is_closing = False
        self._on_their_way: set[OrderId] = set()
        """Handed to the caller's object, which has not answered, however long ago that was."""
        self._as_placed: set[BrokerOrderId] = set()
        """Placed by this process, and never asked to be changed: their terms are known."""
        self._elsewhere: dict[str, str] = {}
        """What any reading has shown that was sent from another folder: of which order, and the broker's id of it."""
        self._rows: dict[BrokerOrderId, BrokerOrder] = {}
        self._has_nameless = False
        """Whether the latest reading had rows without an order id."""
        self._has_told_nameless = False
        self._others: tuple[Line, ...] = ()
        """Of the latest reading: what is certainly no order of ours that is known by its id."""
        self._sent_before: dict[str, str] = {}
        """Tags of this home that any reading has shown and that the ledger did not know, and the broker's ids."""
        self._unknown_rows = UnknownRows(database, account)
        self._lock = threading.RLock()
        self._timed = {name: self._reading(name, *parts) for name, *parts in PARTS}
        self._timed_book = TimedReading("orders", self._callers.book)
        self._shared_book = SharedReading(self._read_book)

    @property
    def has_book(self) -> bool:
        return method_of(self._callers.broker, *BOOKS) is not None

    def place(self, approved: Approved, last_look: LastLook | None = None) -> Outcome:
        """Hand it to the caller's object, once. What that raises never proves that nothing was sent."""
        order = approved.order
        if order.instructions is not None:
            return Refused(evidence=Evidence(message=NO_WAY_TO_SPLIT, error_type="NotApproved"))
        if (sent := self._elsewhere.get(of_order(order.tag))) is not None:
            words = (
                f"the broker's book shows it, as {sent}, sent from another folder, or from this one before it was lost"
            )
            return Refused(evidence=Evidence(message=words, error_type="NotApproved"))
        if (sent := self._sent_before.get(order.tag)) is not None:
            words = f"the broker's book has shown it, as {sent}"
            return Unknown(evidence=Evidence(message=words, error_type=ATTEMPT_USED))
        looking: AbstractContextManager[Held | None] = last_look.leaving() if last_look is not None else nullcontext()
        with self._lock:
            self._on_their_way.add(order.order_id)
        try:
            with looking as held:
                if held is not None:
                    return held
                answer = _begun(lambda: self._callers.place(payload_of(order)), lambda error: Answer(_raised(error)))
            return self._answered(order, answer.result())
        finally:
            with self._lock:
                self._on_their_way.discard(order.order_id)

    def modify(self, broker_order_id: BrokerOrderId, change: Amendment) -> Outcome:
        with self._lock:
            self._as_placed.discard(broker_order_id)
        return self._asked(f"change of {broker_order_id}", lambda: self._callers.modify(broker_order_id, change))

    def cancel(self, broker_order_id: BrokerOrderId) -> Outcome:
        return self._asked(f"cancel of {broker_order_id}", lambda: self._callers.cancel(broker_order_id))

    def _asked(self, what: str, call: Callable[[], Outcome]) -> Outcome:
        """What the call ended in. One without an answer in time is made all the same, for all that is known: the book
        tells. It is asked for again, but beside no more calls than a reading is: they may never return."""
        with self._lock:
            if self._is_closing:
                return _lost(CLOSING)
            asking = _unanswered(self._asking.get(what, ()))
            if len(asking) >= readings.MOST:
                words = f"the {what} was asked for {len(asking)} times, in calls that have not returned"
                return NotSent(evidence=Evidence(message=words), tried=False)
            future = _begun(call, _raised)
            self._asking[what] = [*asking, future]
        try:
            return future.result(readings.LIMIT)
        except NotYet:
            return _lost(f"no answer in {readings.LIMIT:g} s")
        finally:
            with self._lock:
                self._asking = {name: left for name, each in self._asking.items() if (left := _unanswered(each))}

    def order_book(self) -> list[BrokerOrder]:
        return self._shared_book()

    def trades(self) -> list[Fill]:
        """What the latest reading of the book, or an answer since, has shown to be filled."""
        with self._lock:
            found = [fill for own in self._rows for fill in self._seen.of(own)]
        return sorted(found, key=lambda fill: fill.at)

    def positions(self) -> list[BrokerPosition]:
        """As Kite's client gives them, if it has them: without them, nobody is told that they are flat."""
        return [kite_rows.position_from(row) for row in self._rows_of("positions")]

    def holdings(self) -> list[BrokerHolding]:
        if method_of(self._callers.broker, "holdings") is None:
            return []
        return [each for row in self._rows_of("holdings") for each in kite_rows.holdings_from(row)]

    def margins(self) -> Funds | None:
        return None

    def could_be(self, order: Order) -> tuple[str, ...]:
        """Broker order ids of the latest reading that could be that order, whose tag was dropped then. One that another
        home has sent is not; one that this home has sent, and nobody knows, may be, and so may a row without an id. And
        the call that sends it, which may still place it."""
        symbol = order.symbol.partition(":")[2]
        asked = (symbol, order.side.value, order.quantity)
        with self._lock:
            sending = (NOT_ANSWERED,) if order.order_id in self._on_their_way else ()
            nameless = (NO_ID,) if self._has_nameless else ()
            return (
                sending
                + nameless
                + tuple(
                    line.order_id
                    for line in self._others
                    if not any(may_be_ours(tag) and mark_in(tag) != self._mark for tag in line.tags)
                    and could_be(asked, (line.symbol, line.side, line.quantity), order.created_at, line.placed_at)
                )
            )

    def drop_calls(self) -> None:
        """Nobody waits any longer for what has not answered yet, placements apart: a reading is `BookUnreadable`, and
        what became of a cancel or a change is unknown. So is all that is asked for from now on."""
        with self._lock:
            self._is_closing, asking = True, [future for each in self._asking.values() for future in each]
        for future in asking:
            with suppress(InvalidStateError):
                future.set_result(_lost(CLOSING))
        self._timed_book.drop()
        for timed, _ in self._timed.values():
            timed.drop()

    def close(self) -> None:
        self.drop_calls()
        with self._lock:
            self._seen.close()

    def _reading(self, name: str, part: str) -> tuple[TimedReading[list[Any]], SharedReading[list[Any]]]:
        timed = TimedReading(name, lambda: self._callers.rows(name, part))
        return timed, SharedReading(timed)

    def _rows_of(self, name: str) -> list[Any]:
        return self._timed[name][1]()

    def _answered(self, order: Order, answer: Answer) -> Outcome:
        outcome = answer.outcome
        if not isinstance(outcome, Accepted):
            return outcome
        with self._lock:
            self._orders[outcome.broker_order_id] = order
            self._as_placed.add(outcome.broker_order_id)
            if answer.line is None:
                return outcome
            try:
                row = self._row(answer.line, order)
                fills = tuple(self._seen.of(outcome.broker_order_id))
            except BookUnreadable:  # the book tells it again
                return outcome
            if sum(fill.quantity for fill in fills) > row.filled_quantity:  # and has told more of it meanwhile
                return outcome
            self._rows = self._rows | {row.broker_order_id: row}
        return outcome.model_copy(update={"report": OrderReport(row, fills)})

    def _read_book(self) -> list[BrokerOrder]:
        book = self._timed_book()
        lines = book.lines
        with self._lock:
            self._has_nameless = bool(book.nameless)
            try:
                self._learn(lines)
                lost = self._lost_of(book.nameless)
            except SQLAlchemyError as error:
                raise BookUnreadable(f"whose orders these are cannot be told ({type(error).__name__})") from error
            self._others = tuple(line for line in lines if line.order_id not in self._orders)
            sent = [(line.tags, line.order_id) for line in self._others] + [
                (line.tags, NO_ID) for line in book.nameless
            ]
            for tags, sent_as in sent:
                own = next((tag for tag in tags if mark_in(tag) == self._mark), None)
                if own is not None:
                    self._sent_before[own] = sent_as
                else:
                    self._elsewhere |= {of_order(tag): sent_as for tag in tags if may_be_ours(tag)}
            orders, unknown = self._orders_of(lines)
            rows = [self._row(line, order) for line, order in orders]
            self._rows = {row.broker_order_id: row for row in rows}
        try:  # without the lock: who holds the ledger may be waiting for it
            self._unknown_rows.look([*unknown, *lost], lines)
            if book.nameless and not self._has_told_nameless:
                self._tell_nameless(len(book.nameless))
        except SQLAlchemyError as error:
            raise BookUnreadable(f"an order that is not known cannot be told ({type(error).__name__})") from error
        return rows

    def _lost_of(self, nameless: Sequence[Line]) -> list[tuple[Line, str]]:
        """Those with a tag of this home that the ledger does not know, named by it, and why they are not followed."""
        own = {tag: line for line in nameless for tag in line.tags if mark_in(tag) == self._mark}
        if not own:
            return []
        with self._database.read() as connection:
            known = {view.tag for view in views_for(connection, self._account, tags=own.keys(), broker_order_ids=())}
        return [(replace(line, order_id=tag), NOT_NAMED) for tag, line in own.items() if tag not in known]

    def _tell_nameless(self, count: int) -> None:
        words = f"the broker's book has {count} of its rows without an order id: they are not looked at"
        words = f"{words}, and while it has, no order whose answer was lost is proved to be absent"
        with self._database.write(self._account) as connection:
            add_event(connection, self._account, EventType.ALERT, words, datetime.now(UTC))
        self._has_told_nameless = True

    def _orders_of(self, lines: Sequence[Line]) -> tuple[list[tuple[Line, Order]], list[tuple[Line, str]]]:
        """The lines of this home's orders, those included that the ledger does not know and is to adopt; and the ones
        of which no row can be made, each with why."""
        orders, unknown = [], []
        for line in lines:
            known = self._orders.get(BrokerOrderId(line.order_id))
            tag = next((tag for tag in line.tags if mark_in(tag) == self._mark), None)
            if known is not None:
                orders.append((line, known))
            elif tag is not None:
                try:
                    orders.append((line, order_shown(line, tag, self._account)))
                except ValueError as error:
                    unknown.append((line, str(error)))
        return orders, unknown

    def _row(self, line: Line, order: Order) -> BrokerOrder:
        """The row of an order of ours, and whatever it has filled is kept. One that says nothing new is the same.

        Raises `BookUnreadable` if that cannot be kept.
        """
        own = BrokerOrderId(line.order_id)
        fill = trade_of(order, line, self._seen.of(own))
        if fill is not None:
            self._seen.add(fill)
        row = row_of_line(order, line, may_be_changed=own not in self._as_placed)
        before = self._rows.get(own)
        return before if before is not None and replace(row, updated_at=before.updated_at) == before else row

    def _learn(self, lines: Sequence[Line]) -> None:
        """Whose orders they are, of lines that are new."""
        new = [line for line in lines if line.order_id not in self._orders]
        tags = {tag for line in new for tag in line.tags}
        if not new:
            return
        with self._database.read() as connection:
            ids = {line.order_id for line in new}
            views = views_for(connection, self._account, tags=tags, broker_order_ids=ids)
            found = [order for view in views if (order := find_order(connection, view.order_id)) is not None]
        by_id = {order.broker_order_id: order for order in found}
        by_tag: dict[str, Order] = {order.tag: order for order in found}
        for line in new:
            own = BrokerOrderId(line.order_id)
            order = by_id.get(own) or next((by_tag[tag] for tag in line.tags if tag in by_tag), None)
            if order is not None:
                self._orders[own] = order
                self._seen.know(fill for fill in order.fills if fill.broker_order_id == own)


def _unanswered(calls: Sequence["Future[Outcome]"]) -> list["Future[Outcome]"]:
    return [future for future in calls if not future.done()]


def _lost(words: str, error_type: str | None = None) -> Unknown:
    return Unknown(evidence=Evidence(message=words, error_type=error_type))


def _raised(error: BaseException) -> Unknown:
    return _lost(str(error) or type(error).__name__, type(error).__name__)


def _begun(call: Callable[[], R], raised: Callable[[BaseException], R]) -> "Future[R]":
    """The call, once it has begun: who keeps a halt away until an order has left need not wait for its answer.

    It never raises: whatever the object does, even to end its thread, the call may have been made.
    """
    future: Future[R] = Future()
    has_begun = threading.Event()

    def run() -> None:
        has_begun.set()
        try:
            answer = call()
        except BaseException as error:
            answer = raised(error)
        with suppress(InvalidStateError):  # nobody waits for it any more
            future.set_result(answer)

    threading.Thread(target=run, name="broker-object", daemon=True).start()
    has_begun.wait()
    return future
