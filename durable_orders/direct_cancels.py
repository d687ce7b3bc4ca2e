"""Cancels asked of the broker itself, for when no workflow, no server or no ledger is there to ask for them.

By the broker's id where the ledger knows it, else by the order's tag in the broker's book. It never places anything,
and writes nothing down: what came of a cancel the book tells, to whoever follows the order next.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BookUnreadable, LedgerUnusable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.rate_limiter import NO_LIMIT, RateLimiter
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.ledger.time_limited import HeldUpError, TimeLimited
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.lifecycle import Reported, step
from durable_orders.trading.orders.order import BrokerOrderId, Frozen, Order, OrderId
from durable_orders.trading.orders.outcome import Accepted, Evidence, NotSent
from durable_orders.trading.orders.tags import is_of
from durable_orders.workers.components import broker_for_cancels
from durable_orders.workers.home import Home

R = TypeVar("R")

LEDGER_SECONDS = 1.0
"""So long the ledger is waited for; the broker's book tells as much of what works."""
MAX_WAIT = 20.0
"""Seconds that one cancel waits for its turn among the broker's requests."""
BOOK_SECONDS = 5.0
"""So long the book is asked for the end of an order whose cancel was taken."""
ASK_AGAIN = 0.3


NO_TURN = NotSent(evidence=Evidence(message="the account's order requests are at their limit"), tried=False)


class Asked(Frozen):
    """A cancel that the broker was asked for."""

    broker_order_id: str
    order: str
    """What it was for: `BUY 10 NSE:INFY`, or the id of an order of ours."""
    is_taken: bool
    said: str = ""
    """Why it was not taken."""

    def __str__(self) -> str:
        answer = "taken" if self.is_taken else f"not taken: {self.said}"
        return f"asked the broker itself to cancel {self.broker_order_id} ({self.order}): {answer}"


class DirectCancels:
    """One account's. Its methods block, for seconds where the ledger hangs and never for longer.

    They raise `BookUnreadable` (`LoginNeeded` among them) where the book is needed and cannot be read, and
    `InvalidSettings` for a live account without an API key.
    """

    def __init__(self, home: Home, settings: Settings, broker: Broker | None = None) -> None:
        """`broker` is one that this process has already."""
        self._account = settings.account
        self._database = Database(home.ledger_url(settings), busy_seconds=LEDGER_SECONDS)
        self._ledger = TimeLimited(LEDGER_SECONDS)
        self._broker: Broker
        self._pacer: RateLimiter | None
        if broker is not None:
            self._broker, self._pacer = broker, None
        else:
            self._broker, self._pacer = broker_for_cancels(home, settings, self._database)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def cancel(self, order_id: OrderId) -> tuple[Order | None, list[Asked]]:
        """Ask for the cancel of one order. Gives the order as the book shows it after that, where the ledger knows it,
        and what was asked: nothing, where nothing of it works at the broker.
        """
        order = self._recorded(order_id)
        if order is not None and order.status.terminal:
            return order, []
        if order is not None and order.broker_order_id is not None:
            asked = [self._ask(order.broker_order_id, order_id)]
        else:
            mine = [row for row in self.working() if self._is_row_of(row, order_id, order)]
            asked = [self._ask(row.broker_order_id, order_id) for row in mine]
        return (self._seen(order) if order is not None and asked else order), asked

    @staticmethod
    def _is_row_of(row: BrokerOrder, order_id: OrderId, order: Order | None) -> bool:
        """Without the ledger, the home's mark in its tag is not known either."""
        return row.tag == order.tag if order is not None else is_of(row.tag, order_id)

    def cancel_all(self) -> list[Asked]:
        """Ask for the cancel of every order that works at the broker, whoever placed it."""
        return [self._ask(row.broker_order_id, _summary(row)) for row in self.working()]

    def working(self) -> list[BrokerOrder]:
        """The orders that work at the broker."""
        return [row for row in self._broker.order_book() if row.state is BookState.WORKING]

    def _ask(self, broker_order_id: BrokerOrderId, order: str) -> Asked:
        with ExitStack() as stack:
            turn = NO_LIMIT
            if self._pacer is not None:
                turn = stack.enter_context(self._pacer.turn(urgent=True, patience=MAX_WAIT))
            outcome = self._broker.cancel(broker_order_id) if turn else NO_TURN
        said = "" if isinstance(outcome, Accepted) else str(outcome.evidence)
        return Asked(broker_order_id=broker_order_id, order=order, is_taken=not said, said=said)

    def _seen(self, order: Order) -> Order:
        """As the book shows it, by the lifecycle's own rules; once it shows an end, or as it stands after a while."""
        until = time.monotonic() + BOOK_SECONDS
        while True:
            with suppress(BookUnreadable):
                order = self._read(order)
            if order.status.terminal or time.monotonic() > until:
                return order
            time.sleep(ASK_AGAIN)

    def _read(self, order: Order) -> Order:
        rows, fills = self._broker.order_book(), self._broker.trades()
        for row in rows:
            if _is_of(row, order):
                own = tuple(fill for fill in fills if fill.broker_order_id == row.broker_order_id)
                order = step(order, Reported(OrderReport(row=row, fills=own)), datetime.now(UTC))
        return order

    def _recorded(self, order_id: OrderId) -> Order | None:
        """As the ledger has it; `None` also where that cannot be read at once."""
        with suppress(HeldUpError, SQLAlchemyError, LedgerUnusable):
            return self._ledger.ask(lambda: self._within(lambda connection: find_order(connection, order_id)))
        return None

    def _within(self, question: Callable[[sa.Connection], R]) -> R:
        with self._database.read() as connection:
            return question(connection)


def _is_of(row: BrokerOrder, order: Order) -> bool:
    """By its id first: an order that was placed by hand is adopted under a tag that its row does not have."""
    return row.tag == order.tag if order.broker_order_id is None else row.broker_order_id == order.broker_order_id


def _summary(row: BrokerOrder) -> str:
    return f"{row.side} {row.quantity} {row.symbol}"


def told(asked: Sequence[Asked]) -> str:
    """On one line."""
    return "; ".join(map(str, asked)) or "nothing of it works at the broker"
