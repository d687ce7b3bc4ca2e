"""The activities of one order: check it, place it, look for it, change it, cancel it, record it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from durable_orders.activities.account_book import AccountBook
from durable_orders.activities.last_look import (
    HeartbeatClock,
    PlacementLook,
    beating,
    no_ledger,
    not_approved,
    not_now,
    now,
)
from durable_orders.activities.positions import FRESH, PositionReader
from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.errors import AttemptUsed, BookUnreadable, LoginNeeded, NotApproved
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.guardian.refusal_breaker import RefusalBreaker
from durable_orders.trading.ledger import attempts
from durable_orders.trading.ledger.accounts import last_book_read
from durable_orders.trading.ledger.database import Database, LedgerBusy
from durable_orders.trading.ledger.rate_limiter import NO_LIMIT, RateLimiter, Slot
from durable_orders.trading.ledger.recording import on_record, record_of_run
from durable_orders.trading.orders.absence import rows_of, under_another_mark
from durable_orders.trading.orders.approval import Approved
from durable_orders.trading.orders.book import BrokerOrder, OrderReport
from durable_orders.trading.orders.events import Entry
from durable_orders.trading.orders.lookup import Absent, BookLookup, Found, Unreadable
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Fill, Mode, Order, is_closing
from durable_orders.trading.orders.outcome import (
    AT_THE_LIMIT,
    ATTEMPT_USED,
    Evidence,
    Held,
    NotSent,
    Outcome,
    Refused,
    SessionExpired,
    Unknown,
)
from durable_orders.trading.orders.record import OnRecord
from durable_orders.trading.orders.verdict import Refusal, Verdict

R = TypeVar("R")

MAX_WAIT = timedelta(seconds=12)
"""How long an order request waits for its turn, so that the call itself still fits into the activity's time. One that
had no turn by then is not sent, and asks again: the others of its burst have moved on meanwhile."""

log = logging.getLogger(__name__)


OTHER_MARK = "sent by another home, or by this one before it was restored"
HELD_BACK = NotSent(evidence=AT_THE_LIMIT, tried=False)


class OrderActivities:
    """One account's effects. `executor` runs what blocks; `pacer` and `breaker` stand at a live broker's edge."""

    def __init__(
        self,
        broker: Broker,
        guardian: Guardian,
        database: Database,
        executor: Executor,
        pacer: RateLimiter | None = None,
        breaker: RefusalBreaker | None = None,
        placing: Executor | None = None,
        cancelling: Executor | None = None,
        on_trip: Callable[[], None] = lambda: None,
        ensure_price: Callable[[str], None] = lambda _symbol: None,
        *,
        positions: PositionReader,
        broker_redeems: bool = False,
        book: AccountBook | None = None,
        at_once: Callable[[str], bool] = lambda _symbol: False,
        could_be: Callable[[Order], Sequence[str]] = lambda _order: (),
    ) -> None:
        """`placing` runs placements and `cancelling` cancels: what waits for its turn or for the ledger keeps no cancel
        from a thread. `on_trip` is called when a circuit breaker tripped; it may be called from any thread.
        `ensure_price` sees to it, before an order or a change of one is checked, that its symbol has a last price if
        one can be had. `positions` tells what the broker has, before what closes is sent. `broker_redeems` says whether
        the broker redeems a permission itself, in the transaction in which it takes the order. `book` is the account's
        own; without one, it is taken to be whole whatever it shows. `at_once` says of a symbol whether its orders take
        no more than the ledger and an exchange in it: then they need no thread, unless somebody else is writing there.
        `could_be` names rows of the latest reading that could be an order, where its tag may have been dropped.
        """
        self._could_be = could_be
        self._at_once = at_once
        self._ensure_price = ensure_price
        self._broker = broker
        self._guardian = guardian
        self._database = database
        self._executor = executor
        self._placing = placing or executor
        self._cancelling = cancelling or executor
        self._pacer = pacer
        self._breaker = breaker
        self._on_trip = on_trip
        self._positions = positions
        self._broker_redeems = broker_redeems
        self._book = book or AccountBook(broker, database)

    @activity.defn
    async def guard(self, order: Order, run_id: str, fingerprint: str, place_by: datetime | None) -> Verdict:
        """Check and reserve, in one transaction. Repeating it is harmless."""

        def admit() -> Verdict:
            self._ensure_price(order.symbol)
            return self._guardian.admit(order, run_id, fingerprint, place_by)

        if self._guardian.has_rules(order.strategy):
            return await self._on_a_thread(admit)
        return await self._promptly(order, admit)

    @activity.defn
    def guard_amendment(self, order: Order, change: Amendment) -> tuple[Refusal, ...]:
        """Check a change and reserve what it needs, in one transaction. Repeating it is harmless."""
        self._ensure_price(order.symbol)
        return self._guardian.check_amendment(order, change)

    @activity.defn
    async def record(
        self, order: Order, entries: list[Entry], unsettled: bool, attempt: int | None = None
    ) -> OnRecord | None:
        """Write what happened into the ledger, with the breakers that it trips. Repeating it is harmless.

        Nothing is written where the ledger has more of the order than whoever says this: it gives that. `attempt` is
        the last attempt to send it that they know of.
        """

        def write() -> OnRecord | None:
            with self._database.write(order.account) as connection:
                known, booked = record_of_run(connection, order, entries, unsettled=unsettled, attempt=attempt)
                tripped = booked and self._guardian.breakers.after_fills(connection, order.account, now())
            if tripped:
                self._on_trip()
            return known

        return await self._promptly(order, write)

    @activity.defn
    def recall(self, order_id: str) -> OnRecord | None:
        """What the ledger has of the order; `None` for one that it does not know."""
        with self._database.read() as connection:
            return on_record(connection, order_id)

    @activity.defn
    def book_age(self, account: str) -> float | None:
        """Seconds since the account's watch last read the book; `None` if it never has."""
        with self._database.read() as connection:
            read_at = last_book_read(connection, account)
        return None if read_at is None else (now() - read_at).total_seconds()

    @activity.defn
    async def place(self, order: Order, place_by: datetime, number: int = 1, proved: int = 0) -> Outcome:
        """Send the order to the broker, once. Never repeated by a retry policy: an answer that is lost is settled.

        It is the attempt of that number, and it is proved that nothing came of any up to `proved`. Older histories
        number no attempts.
        """
        beat = HeartbeatClock(activity.info().started_time)

        def send() -> Outcome:
            return self._place(order, place_by, number, proved, beat)

        return await self._promptly(order, send, lambda: self._beating(send, beat, self._placing))

    def _place(self, order: Order, place_by: datetime, number: int, proved: int, beat: HeartbeatClock) -> Outcome:
        try:
            approved = self._guardian.permission(order, number, proved)
            outcome = self._before_sending(order) or self._send(approved, number, place_by, beat)
        except NotApproved as error:
            return not_approved(str(error))
        except AttemptUsed as error:
            return Unknown(evidence=Evidence(message=str(error), error_type=ATTEMPT_USED))
        if approved.is_redeemed and isinstance(outcome, Refused | NotSent | SessionExpired):
            return outcome.model_copy(update={"attempt": number})
        return outcome

    def _before_sending(self, order: Order) -> Outcome | None:
        """What is answered without sending: while the book has not been read, since this worker began, or to an order
        that it has shown. `None` for one that may be sent."""
        try:
            row = self._book.first.row_of(order) if self._book.first is not None else None
        except LoginNeeded as error:
            return SessionExpired(evidence=Evidence(message=str(error)))
        except BookUnreadable as error:
            return not_now(f"nothing is sent before the broker's book was read: {error}")
        except SQLAlchemyError as error:
            return no_ledger(error)
        if row is None:
            return None
        words = f"the broker's book shows it, as {row.broker_order_id}"
        if row.tag != order.tag:
            return not_approved(f"{words}, {OTHER_MARK}")
        return Unknown(evidence=Evidence(message=words, error_type=ATTEMPT_USED))

    def _send(self, approved: Approved, number: int, place_by: datetime, beat: HeartbeatClock) -> Outcome:
        """Everything that can hold a placement up comes first. The broker takes the last look, when it could leave.

        Raises `NotApproved` and `AttemptUsed`.
        """
        look = self._look_of(approved.draft, number, place_by, beat)
        with ExitStack() as until_answered:
            try:
                slot = until_answered.enter_context(self._turn_to_place(approved, min(beat.began + MAX_WAIT, place_by)))
            except SQLAlchemyError as error:
                return no_ledger(error)
            if not slot:
                return HELD_BACK
            held = self._beyond_positions(approved.draft)
            outcome = held or self._broker.place(approved, look)
            if held is not None or look.held is not None:
                slot.give_back()
                return outcome
            return self._sent(outcome)

    def _look_of(self, order: Order, number: int, place_by: datetime, beat: HeartbeatClock) -> PlacementLook:
        """What is looked at once more before that attempt leaves."""

        def against(connection: sa.Connection) -> Held | None:
            if (words := self._guardian.withheld(connection, order)) is not None:
                return not_approved(words)
            if not attempts.stands(connection, order.order_id, number):
                return not_now("this attempt was given up before it could be sent")
            return None

        return PlacementLook(place_by, beat, self._database, order.account, against)

    def _beyond_positions(self, order: Order) -> Outcome | None:
        """What is answered to a live order that may only close, where the broker's positions of this moment do not have
        what it closes, or cannot be read: what was closed by hand, or by RMS, since it was sized is not sold again."""
        if order.mode is not Mode.LIVE or not is_closing(order.client_order_id):
            return None
        try:
            reading = self._positions.read()
        except LoginNeeded as error:
            return SessionExpired(evidence=Evidence(message=str(error)))
        except BookUnreadable as error:
            return not_now(f"nothing is closed while the broker's positions cannot be read: {error}")
        except SQLAlchemyError as error:
            return no_ledger(error)
        if now() - reading.at > FRESH:
            return not_now("reading the broker's positions took too long")
        has = reading.at_broker(order.symbol, order.product).closable
        if -order.side.sign * has >= order.quantity:
            return None
        return not_approved(f"it may only close, and the broker has {has} of {order.symbol} {order.product}")

    def _turn_to_place(self, approved: Approved, until: datetime) -> AbstractContextManager[Slot]:
        """The permission is redeemed with the turn, in one transaction, before anything of the order leaves."""
        if self._pacer is not None:
            return self._pacer.turn(patience=(until - now()).total_seconds(), redeem=approved.redeem)
        if not self._broker_redeems:
            with self._database.write(approved.draft.account) as connection:
                approved.redeem(connection)
        return nullcontext(NO_LIMIT)

    def _sent(self, outcome: Outcome) -> Outcome:
        """The answer, noted by the breaker. A breaker that cannot write must not lose an answer."""
        try:
            if self._breaker is not None and self._breaker.note(outcome, now()):
                self._on_trip()
        except SQLAlchemyError:
            log.exception("an answer of the broker could not be counted")
        return outcome

    @activity.defn
    async def look(self, order: Order) -> BookLookup:
        """Read the book for the order: by its broker id if that is known, else by its tag."""
        return await self._beating(lambda: self._look(order))

    def _look(self, order: Order) -> BookLookup:
        try:
            if self._book.first is not None and (told := self._book.first.tell(order)) is not None:
                row, trades = told
                return _found(order, row, trades)
            reading = self._book.read()
            mine = rows_of(order, reading.rows)
            if not mine and reading.missing:
                reading = self._book.read_whole()
                mine = rows_of(order, reading.rows)
            if not mine:
                return _absent(order, reading.rows, self._could_be(order))
            trades = self._broker.trades()
        except BookUnreadable as error:
            return Unreadable(evidence=Evidence(message=str(error), error_type=type(error).__name__))
        return _found(order, mine[0], trades)

    @activity.defn
    async def cancel(self, order: Order) -> Outcome:
        """Ask the broker to cancel a working order. It needs neither the ledger nor a thread that others wait in."""

        def ask() -> Outcome:
            self._changes(order)
            return self._in_turn(lambda: self._broker.cancel(_known(order)), urgent=True)

        return await self._beating(ask, executor=self._cancelling)

    @activity.defn
    async def modify(self, order: Order, change: Amendment) -> Outcome:
        """Ask the broker to change a working order."""
        return await self._beating(lambda: self._modify(order, change))

    def _modify(self, order: Order, change: Amendment) -> Outcome:
        """What the guardian reserved for a change that was certainly not made is free again. If the ledger cannot be
        written, it stays reserved until the order's end: an answer must not be lost over it."""
        self._changes(order)
        outcome = self._in_turn(lambda: self._broker.modify(_known(order), change))
        try:
            if isinstance(outcome, Refused | NotSent | SessionExpired):
                self._guardian.withdraw_amendment(order, change)
        except SQLAlchemyError:
            log.exception("%s: the reservation for a change that was not made still stands", order.order_id)
        return outcome

    def _changes(self, order: Order) -> None:
        if self._book.first is not None:
            self._book.first.is_outdated_for(order)

    def _in_turn(self, call: Callable[[], Outcome], *, urgent: bool = False) -> Outcome:
        with self._turn(now() + MAX_WAIT, urgent=urgent) as slot:
            return call() if slot else HELD_BACK

    def _turn(self, until: datetime, *, urgent: bool = False) -> AbstractContextManager[Slot]:
        """Whether it is an order request's turn, waited for until that moment at the latest."""
        if self._pacer is None:
            return nullcontext(NO_LIMIT)
        return self._pacer.turn(urgent=urgent, patience=(until - now()).total_seconds())

    async def _promptly(
        self, order: Order, call: Callable[[], R], else_: Callable[[], Awaitable[R]] | None = None
    ) -> R:
        """The call, which is one transaction of the ledger: here, where nobody else is writing, which takes a thread
        longer to be given than to do; else on a thread, so that the worker never waits for somebody's lock."""
        if self._at_once(order.symbol):
            try:
                with self._database.without_waiting():
                    return call()
            except LedgerBusy:
                pass
        if else_ is not None:
            return await else_()
        return await self._on_a_thread(call)

    async def _on_a_thread(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def _beating(
        self, call: Callable[[], R], beat: HeartbeatClock | None = None, executor: Executor | None = None
    ) -> R:
        """The call on a thread, with heartbeats while it runs, so that a dead worker is noticed in seconds."""
        return await beating(executor or self._executor, call, beat)

    def at_the_broker(self) -> Sequence[Callable[..., object]]:
        """What runs on the broker's own task queue."""
        return (self.place, self.look, self.cancel, self.modify)

    def local(self) -> Sequence[Callable[..., object]]:
        """What runs as local activities, beside the workflow."""
        return (self.guard, self.guard_amendment, self.record, self.recall, self.book_age)


def _absent(order: Order, rows: Sequence[BrokerOrder], could_be: Sequence[str]) -> BookLookup:
    """What rows tell that have none with the order's tag, of which some may have lost theirs."""
    if could_be:
        return Unreadable(
            evidence=Evidence(message=f"the book shows none with its tag, and {', '.join(could_be)} could be it")
        )
    if (alike := under_another_mark(order, rows)) is None:
        return Absent(rows=len(rows))
    return Unreadable(evidence=Evidence(message=f"the book shows {alike.broker_order_id}, {OTHER_MARK}"))


def _found(order: Order, row: BrokerOrder, trades: Sequence[Fill]) -> Found:
    """The row, and those of its trades that the order does not know."""
    known = {fill.trade_id for fill in order.fills}
    fills = [each for each in trades if each.broker_order_id == row.broker_order_id and each.trade_id not in known]
    return Found(report=OrderReport(row=row, fills=tuple(fills)))


def _known(order: Order) -> BrokerOrderId:
    """The broker's id of an order that is at the broker; the workflow asks for no other."""
    if order.broker_order_id is None:
        raise BookUnreadable(f"{order.order_id} has no broker order id yet")
    return order.broker_order_id
