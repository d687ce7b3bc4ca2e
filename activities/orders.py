"""The activities of one order: check it, place it, look for it, change it, cancel it, record it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from activities.looks import Absent, Found, Look, Unreadable
from trading.brokers.book import BookReport
from trading.brokers.broker import Broker
from trading.errors import BookUnreadable, NotApproved
from trading.events import Entry
from trading.guardian.guardian import Guardian
from trading.guardian.refusal_breaker import RefusalBreaker
from trading.guardian.verdict import Refusal, Verdict
from trading.ledger.accounts import last_book_read
from trading.ledger.database import Database
from trading.ledger.pacing import NO_LIMIT, Pacer, Turn
from trading.ledger.recording import record_within
from trading.order import Amendment, BrokerOrderId, Order
from trading.outcome import Evidence, NotSent, Outcome, Refused, SessionExpired

R = TypeVar("R")

HEARTBEAT_SECONDS = 1.0
FRESH_BEAT = timedelta(seconds=2)
"""A placement whose last heartbeat is older than this is not sent any more: the machine slept, and the workflow may
have given this attempt up. Shorter than the heartbeat timeout of `place` and any settle window together."""
PATIENCE = timedelta(seconds=12)
"""How long an order request waits for its turn, so that the call itself still fits into the activity's time. One that
had no turn by then is not sent, and asks again: the others of its burst have moved on meanwhile."""

log = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


class Beat:
    """When an activity began, and when it last said that it is alive."""

    def __init__(self, began: datetime) -> None:
        self.began = self.at = began


AT_THE_LIMIT = NotSent(evidence=Evidence(message="the account's order requests are at their limit"), tried=False)


def _held_back(place_by: datetime, beat: Beat) -> NotSent | None:
    """Why a placement must not leave in this moment; `None` if it may."""
    moment = now()
    if moment > place_by:
        words = f"its deadline {place_by.isoformat()} has passed"
    elif moment - beat.at > FRESH_BEAT:
        words = "the worker was held up before it could send"
    else:
        return None
    return NotSent(evidence=Evidence(message=words), tried=False)


class OrderActivities:
    """One account's effects. `executor` runs what blocks; `pacer` and `breaker` stand at a live broker's edge."""

    def __init__(
        self,
        broker: Broker,
        guardian: Guardian,
        database: Database,
        executor: Executor,
        pacer: Pacer | None = None,
        breaker: RefusalBreaker | None = None,
        placing: Executor | None = None,
        on_trip: Callable[[], None] = lambda: None,
        ensure_price: Callable[[str], None] = lambda _symbol: None,
    ) -> None:
        """`placing` runs placements, so that those which wait for their turn keep no cancel from a thread. `on_trip` is
        called when a circuit breaker tripped; it may be called from any thread. `ensure_price` sees to it, before an
        order or a change of one is checked, that its symbol has a last price if one can be had.
        """
        self._ensure_price = ensure_price
        self._broker = broker
        self._guardian = guardian
        self._database = database
        self._executor = executor
        self._placing = placing or executor
        self._pacer = pacer
        self._breaker = breaker
        self._on_trip = on_trip

    @activity.defn
    def guard(self, order: Order, run_id: str, fingerprint: str, place_by: datetime | None) -> Verdict:
        """Check and reserve, in one transaction. Repeating it is harmless."""
        self._ensure_price(order.symbol)
        return self._guardian.admit(order, run_id, fingerprint, place_by)

    @activity.defn
    def guard_amendment(self, order: Order, change: Amendment) -> tuple[Refusal, ...]:
        """Check a change and reserve what it needs, in one transaction. Repeating it is harmless."""
        self._ensure_price(order.symbol)
        return self._guardian.check_amendment(order, change)

    @activity.defn
    def record(self, order: Order, entries: list[Entry], unsettled: bool) -> None:
        """Write what happened into the ledger, with the breakers that it trips. Repeating it is harmless."""
        with self._database.write() as connection:
            booked = record_within(connection, order, entries, unsettled=unsettled)
            tripped = booked and self._guardian.breakers.after_fills(connection, order.account, now())
        if tripped:
            self._on_trip()

    @activity.defn
    def book_age(self, account: str) -> float | None:
        """Seconds since the account's watch last read the book; `None` if it never has."""
        with self._database.read() as connection:
            read_at = last_book_read(connection, account)
        return None if read_at is None else (now() - read_at).total_seconds()

    @activity.defn
    async def place(self, order: Order, place_by: datetime) -> Outcome:
        """Send the order to the broker, once. Never repeated by a retry policy: an answer that is lost is settled."""
        beat = Beat(activity.info().started_time)
        return await self._beating(lambda: self._place(order, place_by, beat), beat, self._placing)

    def _place(self, order: Order, place_by: datetime, beat: Beat) -> Outcome:
        """Everything that can hold a placement up comes first; the checks of its time come last, then it is sent."""
        with ExitStack() as until_answered:
            try:
                approved = self._guardian.redeem(order)
                in_turn = until_answered.enter_context(self._turn(min(beat.began + PATIENCE, place_by)))
            except NotApproved as error:
                return Refused(evidence=Evidence(message=str(error), error_type="NotApproved"))
            except SQLAlchemyError as error:
                evidence = Evidence(message="the ledger could not be used", error_type=type(error).__name__)
                return NotSent(evidence=evidence, tried=False)
            held_back = _held_back(place_by, beat) if in_turn else AT_THE_LIMIT
            if held_back is not None:
                in_turn.give_back()
                return held_back
            return self._sent(self._broker.place(approved))

    def _sent(self, outcome: Outcome) -> Outcome:
        """The answer, noted by the breaker. A breaker that cannot write must not lose an answer."""
        try:
            if self._breaker is not None and self._breaker.note(outcome, now()):
                self._on_trip()
        except SQLAlchemyError:
            log.exception("an answer of the broker could not be counted")
        return outcome

    @activity.defn
    async def look(self, order: Order) -> Look:
        """Read the book for the order: by its broker id if that is known, else by its tag."""
        return await self._beating(lambda: self._look(order))

    def _look(self, order: Order) -> Look:
        try:
            rows = self._broker.order_book()
            mine = [
                row for row in rows if order.broker_order_id in (None, row.broker_order_id) and row.tag == order.tag
            ]
            if not mine:
                return Absent(rows=len(rows))
            fills = [fill for fill in self._broker.trades() if fill.broker_order_id == mine[0].broker_order_id]
        except BookUnreadable as error:
            return Unreadable(evidence=Evidence(message=str(error), error_type=type(error).__name__))
        return Found(report=BookReport(row=mine[0], fills=tuple(fills)))

    @activity.defn
    async def cancel(self, order: Order) -> Outcome:
        """Ask the broker to cancel a working order."""
        return await self._beating(lambda: self._in_turn(lambda: self._broker.cancel(_known(order)), urgent=True))

    @activity.defn
    async def modify(self, order: Order, change: Amendment) -> Outcome:
        """Ask the broker to change a working order."""
        return await self._beating(lambda: self._modify(order, change))

    def _modify(self, order: Order, change: Amendment) -> Outcome:
        """What the guardian reserved for a change that was certainly not made is free again. If the ledger cannot be
        written, it stays reserved until the order's end: an answer must not be lost over it."""
        outcome = self._in_turn(lambda: self._broker.modify(_known(order), change))
        try:
            if isinstance(outcome, Refused | NotSent | SessionExpired):
                self._guardian.withdraw_amendment(order, change)
        except SQLAlchemyError:
            log.exception("%s: the reservation for a change that was not made still stands", order.order_id)
        return outcome

    def _in_turn(self, call: Callable[[], Outcome], *, urgent: bool = False) -> Outcome:
        with self._turn(now() + PATIENCE, urgent=urgent) as in_turn:
            return call() if in_turn else AT_THE_LIMIT

    def _turn(self, until: datetime, *, urgent: bool = False) -> AbstractContextManager[Turn]:
        """Whether it is an order request's turn, waited for until that moment at the latest."""
        if self._pacer is None:
            return nullcontext(NO_LIMIT)
        return self._pacer.turn(urgent=urgent, patience=(until - now()).total_seconds())

    async def _beating(self, call: Callable[[], R], beat: Beat | None = None, executor: Executor | None = None) -> R:
        """The call on a thread, with heartbeats while it runs, so that a dead worker is noticed in seconds."""
        running = asyncio.get_running_loop().run_in_executor(executor or self._executor, call)
        while not (await asyncio.wait({running}, timeout=HEARTBEAT_SECONDS))[0]:
            activity.heartbeat()
            if beat is not None:
                beat.at = now()
        return running.result()

    def at_the_broker(self) -> Sequence[Callable[..., object]]:
        """What runs on the broker's own task queue."""
        return (self.place, self.look, self.cancel, self.modify)

    def local(self) -> Sequence[Callable[..., object]]:
        """What runs as local activities, beside the workflow."""
        return (self.guard, self.guard_amendment, self.record, self.book_age)


def _known(order: Order) -> BrokerOrderId:
    """The broker's id of an order that is at the broker; the workflow asks for no other."""
    if order.broker_order_id is None:
        raise BookUnreadable(f"{order.order_id} has no broker order id yet")
    return order.broker_order_id
