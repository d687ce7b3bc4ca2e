"""The activities of one order: check it, place it, look for it, change it, cancel it, record it."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
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
from trading.guardian.verdict import Refusal, Verdict
from trading.ledger.accounts import last_book_read
from trading.ledger.database import Database
from trading.ledger.recording import record
from trading.order import Amendment, BrokerOrderId, Order
from trading.outcome import Evidence, NotSent, Outcome, Refused

R = TypeVar("R")

HEARTBEAT_SECONDS = 1.0
FRESH_START = timedelta(seconds=2)
"""A placement that has been under way for longer than this without having been sent is not sent any more: the machine
slept, and the workflow may already have given this attempt up. Shorter than the heartbeat timeout of `place`."""


def now() -> datetime:
    return datetime.now(UTC)


class OrderActivities:
    """One account's effects. `executor` runs what blocks."""

    def __init__(self, broker: Broker, guardian: Guardian, database: Database, executor: Executor) -> None:
        self._broker = broker
        self._guardian = guardian
        self._database = database
        self._executor = executor

    @activity.defn
    def guard(self, order: Order, run_id: str, fingerprint: str, place_by: datetime | None) -> Verdict:
        """Check and reserve, in one transaction. Repeating it is harmless."""
        return self._guardian.admit(order, run_id, fingerprint, place_by)

    @activity.defn
    def guard_amendment(self, order: Order, change: Amendment) -> tuple[Refusal, ...]:
        """What speaks against the order's terms after a change."""
        return self._guardian.check_amendment(order, change)

    @activity.defn
    def record(self, order: Order, entries: list[Entry], unsettled: bool) -> None:
        """Write what happened into the ledger. Repeating it is harmless."""
        record(self._database, order, entries, unsettled=unsettled)

    @activity.defn
    def book_age(self, account: str) -> float | None:
        """Seconds since the account's watch last read the book; `None` if it never has."""
        with self._database.read() as connection:
            read_at = last_book_read(connection, account)
        return None if read_at is None else (now() - read_at).total_seconds()

    @activity.defn
    async def place(self, order: Order, place_by: datetime) -> Outcome:
        """Send the order to the broker, once. Never repeated by a retry policy: an answer that is lost is settled."""
        started = activity.info().started_time
        return await self._beating(lambda: self._place(order, place_by, started))

    def _place(self, order: Order, place_by: datetime, started: datetime) -> Outcome:
        try:
            approved = self._guardian.redeem(order)
        except NotApproved as error:
            return Refused(evidence=Evidence(message=str(error), error_type="NotApproved"))
        except SQLAlchemyError as error:
            return NotSent(evidence=Evidence(message="the ledger could not be read", error_type=type(error).__name__))
        if now() > place_by:
            return NotSent(evidence=Evidence(message=f"its deadline {place_by.isoformat()} has passed"))
        if now() - started > FRESH_START:
            return NotSent(evidence=Evidence(message="the worker was held up before it could send"))
        return self._broker.place(approved)

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
        return await self._beating(lambda: self._broker.cancel(_known(order)))

    @activity.defn
    async def modify(self, order: Order, change: Amendment) -> Outcome:
        """Ask the broker to change a working order."""
        return await self._beating(lambda: self._broker.modify(_known(order), change))

    async def _beating(self, call: Callable[[], R]) -> R:
        """The call on a thread, with heartbeats while it runs, so that a dead worker is noticed in seconds."""
        running = asyncio.get_running_loop().run_in_executor(self._executor, call)
        while not running.done():
            await asyncio.wait({running}, timeout=HEARTBEAT_SECONDS)
            activity.heartbeat()
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
