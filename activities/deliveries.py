"""Tells orders what the account's watch has seen: by signals to workflows, or in the ledger where there is none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import TypeVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.activities.external_orders import ExternalOrders
from durable_orders.activities.missing_orders import MissingOrder
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.open_orders import Holder, hold
from durable_orders.trading.ledger.reading import OrderSnapshot, trade_ids
from durable_orders.trading.orders.book import OrderReport
from durable_orders.trading.orders.order import Account, Fill, is_adopted
from durable_orders.trading.reconciliation.book_diff import OrderStatusReport

R = TypeVar("R")

FILLS_AT_ONCE = 500
"""In one signal: some hundred kilobytes, where the server takes two megabytes."""
MAY_COME_LATER = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
"""The server is away or busy. Any other answer is a refusal, which the next try would meet too."""

log = logging.getLogger(__name__)


class Deliveries:
    """One account's."""

    def __init__(
        self, account: Account, client: Client, database: Database, strangers: ExternalOrders, executor: Executor
    ) -> None:
        self._account = account
        self._client = client
        self._database = database
        self._strangers = strangers
        self._executor = executor

    async def report(self, view: OrderSnapshot, sighting: OrderStatusReport, *, in_full: bool = False) -> bool:
        """Tell the order what the book shows of it, with the trades that the ledger lacks; `in_full`, with all. Whether
        it was told."""

        async def tell() -> None:
            fills = sighting.fills if in_full else await self._run(lambda: self._new_fills(view, sighting))
            handle = self._client.get_workflow_handle(view.order_id)
            for piece in _pieces(fills):
                await handle.signal("report", OrderReport(row=sighting.row, fills=piece))

        return await self._told(view, tell, lambda: self._strangers.book(view, sighting))

    async def gone(self, gone: MissingOrder) -> bool:
        """Tell the order that the book does not show it any more, or does not prove its end. Whether it was told."""

        async def tell() -> None:
            await self._client.get_workflow_handle(gone.view.order_id).signal("gone", args=[gone.words, gone.amended])

        return await self._told(gone.view, tell, lambda: self._strangers.lose(gone))

    async def _told(self, view: OrderSnapshot, tell: Callable[[], Awaitable[None]], book: Callable[[], None]) -> bool:
        """What is refused is told to a human, and no new risk is taken over what the order does not know."""
        try:
            if not is_adopted(view.order_id):
                await tell()
                return True
        except RPCError as error:
            if error.status in MAY_COME_LATER:
                log.warning("%s could not be told of a change, and will be: %s", view.order_id, error.message)
                return False
            if error.status is not RPCStatusCode.NOT_FOUND:
                await self._run(lambda refusal=error.message: self._hold(view, refusal))  # type: ignore[misc]
                return False
        await self._run(book)
        return True

    def _hold(self, view: OrderSnapshot, refusal: str) -> None:
        words = f"{view.order_id} cannot be told what the broker's book shows, the server refuses it: {refusal}"
        hold(self._database, self._account, view.order_id, words, datetime.now(UTC), by=Holder.WATCH)

    def _new_fills(self, view: OrderSnapshot, sighting: OrderStatusReport) -> Sequence[Fill]:
        if not (sighting.fills and view.filled_quantity):
            return sighting.fills
        with self._database.read() as connection:
            known = trade_ids(connection, view.order_id)
        return [fill for fill in sighting.fills if fill.trade_id not in known]

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _pieces(fills: Sequence[Fill]) -> Iterator[tuple[Fill, ...]]:
    for start in range(0, max(len(fills), 1), FILLS_AT_ONCE):
        yield tuple(fills[start : start + FILLS_AT_ONCE])
