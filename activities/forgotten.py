"""Orders of which the server knows more than the ledger: it was restored, or lost its last moments.

What a workflow has recorded once it does not record again. So where the book shows an order of ours that the ledger
does not have, or has not as far as it has come, its workflow is asked where it stands, and that is recorded.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.service import RPCError

from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.open_orders import AfterFills, record_standing, unrecorded
from durable_orders.trading.orders.order import Account, BrokerOrderId, Order, OrderId, Status, tag_of
from durable_orders.trading.orders.tags import may_be_ours, of_order
from durable_orders.trading.reconciliation.book_diff import OrderStatusReport

R = TypeVar("R")

TRIES = 20
"""Looks at the book in which a workflow may stay silent, before the row of its order is taken for somebody else's."""
TOLD_IN_VAIN = 3
"""So often an order is told of the same row before it is asked whether it knows it already."""
ANSWER_SECONDS = timedelta(seconds=5)
AT_ONCE = 16
"""Orders that are asked where they stand."""

log = logging.getLogger(__name__)


class Forgotten:
    """One account's."""

    def __init__(
        self,
        account: Account,
        client: Client,
        database: Database,
        executor: Executor,
        after_fills: AfterFills | None = None,
    ) -> None:
        self._after_fills = after_fills
        self._account = account
        self._client = client
        self._database = database
        self._executor = executor
        self._tries: Counter[BrokerOrderId] = Counter()
        self._told: dict[BrokerOrderId, tuple[OrderStatusReport, int]] = {}

    async def waits_for(self, sightings: Iterable[OrderStatusReport]) -> set[BrokerOrderId]:
        """Of rows that no order of the ledger has, those of an order that the server knows. They are recorded now, or
        at one of the next looks. It takes one listing of the day's orders, and none where no tag is of our making."""
        rows = [each.row for each in sightings if may_be_ours(each.row.tag)]
        rows = [row for row in rows if self._tries[row.broker_order_id] < TRIES]
        if not rows:
            return set()
        self._tries.update(row.broker_order_id for row in rows)
        try:
            known = await self._orders_of_today()
        except RPCError as error:
            log.warning("the orders of the server cannot be listed, and will be: %s", error.message)
            return {row.broker_order_id for row in rows}
        waiting = set()
        for row in rows:
            own = known.get(of_order(row.tag or ""))
            if own is not None:
                waiting.add(row.broker_order_id)
                await self.record(own)
            else:
                self._tries[row.broker_order_id] = TRIES
        return waiting

    def was_told_of(self, sighting: OrderStatusReport) -> bool:
        """Whether its order was told of this before, and the ledger still has not: what the order lacks, the ledger may
        have."""
        return self._told.get(sighting.row.broker_order_id, (None, 0))[0] == sighting

    async def told(self, order_id: str, sighting: OrderStatusReport) -> None:
        """The order was told of this. If it is told the same again and again, it is the ledger that does not know."""
        before, times = self._told.get(sighting.row.broker_order_id, (None, 0))
        times = times + 1 if before == sighting else 1
        self._told[sighting.row.broker_order_id] = (sighting, times)
        if times % TOLD_IN_VAIN == 0:
            await self.record(OrderId(order_id))

    async def record(self, order_id: OrderId) -> bool:
        """Where the order stands by its workflow, if that knows more than the ledger. Whether it has said so."""
        try:
            order = await self._standing(order_id)
        except (RPCError, WorkflowQueryFailedError, WorkflowFailureError, ValidationError) as error:
            log.warning("%s does not say where it stands, and will be asked again: %s", order_id, error)
            return False
        if order is not None and order.status is not Status.PENDING:
            await self._run(lambda: record_standing(self._database, order, datetime.now(UTC), self._after_fills))
        return True

    async def _standing(self, order_id: OrderId) -> Order | None:
        handle = self._client.get_workflow_handle(order_id)
        status = (await handle.describe(rpc_timeout=ANSWER_SECONDS)).status
        if status is WorkflowExecutionStatus.RUNNING:
            found: Order = await handle.query("order", result_type=Order, rpc_timeout=ANSWER_SECONDS)
            return found
        if status is WorkflowExecutionStatus.COMPLETED:
            ended = self._client.get_workflow_handle(order_id, result_type=Order)
            result: Order = await ended.result(follow_runs=False, rpc_timeout=ANSWER_SECONDS)
            return result
        return None

    async def _orders_of_today(self) -> dict[str, OrderId]:
        """Those that were begun today, or are still open, by what their tags say."""
        return {of_order(tag_of(own)): own for own in await self._orders("StartTime", start_of_day(datetime.now(UTC)))}

    async def remember(self, ended_since: datetime) -> bool:
        """Record the orders of which the ledger has nothing, and whose workflows are over or go on: those that ended
        since then, or run. It takes one listing. Whether each has said where it stands. Raises `RPCError`."""
        listed = sorted(await self._orders("CloseTime", ended_since))
        missing = sorted(await self._run(lambda: self._unrecorded(listed)))
        limit = asyncio.Semaphore(AT_ONCE)

        async def within(own: str) -> bool:
            async with limit:
                return await self.record(OrderId(own))

        return all(await asyncio.gather(*(within(own) for own in missing)))

    def _unrecorded(self, order_ids: list[OrderId]) -> set[str]:
        with self._database.read() as connection:
            return unrecorded(connection, order_ids)

    async def _orders(self, moment: str, since: datetime) -> set[OrderId]:
        """Those that run, and those of which that moment is not before `since`."""
        late = f'(ExecutionStatus="Running" OR {moment} >= "{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")'
        query = f'WorkflowType="Order" AND Account="{self._account}" AND {late}'
        return {OrderId(each.id) async for each in self._client.list_workflows(query)}

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)
