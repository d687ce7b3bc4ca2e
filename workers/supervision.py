"""Sees to it that the account's watch runs and that each open order is followed, whatever was done to its workflow.

A workflow that was terminated, timed out or deleted leaves an order at the broker that nobody follows, and one whose
tasks fail stands still. Every worker looks each few seconds: at the ledger's open orders in one query, and at all of
the account's running workflows in one listing of the server, with what it reports of them. Whether a workflow is really
gone is decided by the server, which starts one only if none runs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy.exc import OperationalError, SQLAlchemyError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.activities.forgotten import Forgotten
from durable_orders.trading.gtt.gtt import GttChange, GttIntent
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.accounts import last_book_read
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.gtt_changes import open_changes
from durable_orders.trading.ledger.gtts import list_gtts, put_back, unresolved_gtts
from durable_orders.trading.ledger.open_orders import (
    AfterFills,
    OpenOrder,
    ended_of,
    hold,
    open_orders,
    release,
)
from durable_orders.trading.ledger.plan_gtts import left_over
from durable_orders.trading.ledger.plans import open_plans, record_plan
from durable_orders.trading.ledger.reading import find_order, fingerprint_of
from durable_orders.trading.ledger.state_files import check_state
from durable_orders.trading.orders.order import Account, Order, Status
from durable_orders.trading.plans.kinds import AnyIntent, AnyState
from durable_orders.trading.plans.pieces import LinesState
from durable_orders.trading.plans.state import PlanState
from durable_orders.workers.followed import Followed, running_workflows
from durable_orders.workers.gtt_changes import ChangesFollowed
from durable_orders.workers.timekeeping import BookAge, Clock, words_of
from durable_orders.workflows import names
from durable_orders.workflows.order import TakenUp
from durable_orders.workflows.watch import AccountWatchWorkflow

R = TypeVar("R")

EVERY = 3.0
"""Seconds between two looks."""
REST = 10
"""So many times as long as a look took, it rests at least: with thousands of open orders it looks more seldom."""
LONGEST_REST = 20.0
"""Seconds, and no longer: after a restore the first look asks many workflows where they stand, and takes its time."""
AT_ONCE = 16

log = logging.getLogger(__name__)


async def ensure_watch(client: Client, account: str, mark: str | None = None) -> bool:
    """Start the account's watch, unless it runs already. Whether it was started. `mark` is that of the home."""
    try:
        await client.start_workflow(
            AccountWatchWorkflow.run,
            account,
            id=names.watch_id(account),
            task_queue=names.orders_queue(account),
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            memo={names.HOME: mark} if mark is not None else None,
            static_summary=f"Watch the order book of account {account}",
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


class Supervisor:
    """One account's, in one worker. Several of them do no harm."""

    def __init__(
        self,
        client: Client,
        account: str,
        database: Database,
        executor: Executor,
        mark: str | None = None,
        after_fills: AfterFills | None = None,
    ) -> None:
        """`mark` is that of the home that serves a live account."""
        self._forgotten = Forgotten(Account(account), client, database, executor, after_fills)
        self._since: datetime | None = None
        self._mark = mark
        self._client = client
        self._account = account
        self._database = database
        self._executor = executor
        self._missing: frozenset[str] = frozenset()
        self._missing_plans: frozenset[str] = frozenset()
        self._missing_gtts: frozenset[str] = frozenset()
        self._gtt_changes = ChangesFollowed(client)
        self._failing: frozenset[str] = frozenset()
        self._stuck: set[str] = set()
        self._left: frozenset[str] = frozenset()
        self._differing: frozenset[tuple[str, str]] = frozenset()
        self._told: frozenset[tuple[str, str]] = frozenset()
        self._is_in_trouble = False
        self._clock = Clock()
        self._book = BookAge()

    async def begin(self) -> None:
        """Before anything is read or sent: up to when what the server has may be missing in the ledger, which may have
        been restored. On paper the exchange goes back with it, and there is nothing to go on from."""
        if self._mark is None:
            return
        today, read_at = start_of_day(_now()), await self._run(self._book_read_at)
        self._since = today if read_at is None else min(today, read_at)

    async def run(self) -> None:
        """Until it is cancelled. While the server is away or the ledger is locked, it waits."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.look()
                self._is_in_trouble = False
            except (RPCError, SQLAlchemyError) as error:
                if not self._is_in_trouble:
                    log.warning("who is followed cannot be seen now: %s", error)
                self._is_in_trouble = True
            except Exception:
                log.exception("who is followed could not be seen, and will be looked at again")
            await asyncio.sleep(rest_after(loop.time() - began))

    async def look(self) -> None:
        """Look once, and do something about what is not as it should be. Raises `RPCError`, `SQLAlchemyError`."""
        await self._tell_of_time()
        await self._run(lambda: check_state(self._database, self._account))
        found = await self._run(self._open_orders)
        seen = Followed.of(self._account, found, await running_workflows(self._client, self._account))
        if not seen.watch_runs and await ensure_watch(self._client, self._account, self._mark):
            await self._alert("nobody watched the order book: the account's watch was started again")
        # What is missing at one look may only be too new for the server's list.
        await self._take_up_all(seen.missing & self._missing)
        self._missing = seen.missing
        await self._take_up_plans(seen)
        await self._take_up_gtts(seen)
        await self._gtt_changes.take_up(await self._run(self._open_changes), seen.running)
        await self._recall(seen)
        await self._tell_of_failing(seen)
        if self._since is not None and await self._forgotten.remember(self._since):
            self._since = None

    async def _tell_of_time(self) -> None:
        step = self._clock.step()
        if step is not None:
            await self._alert(words_of(step))
        if self._book.is_due:
            news = self._book.news(await self._run(self._book_read_at))
            if news is not None:
                await self._alert(news)

    def _book_read_at(self) -> datetime | None:
        with self._database.read() as connection:
            return last_book_read(connection, self._account)

    def _open_orders(self) -> list[OpenOrder]:
        with self._database.read() as connection:
            return open_orders(connection, self._account)

    async def _take_up_all(self, order_ids: Iterable[str]) -> None:
        limit = asyncio.Semaphore(AT_ONCE)

        async def within(own: str) -> None:
            async with limit:
                await self._by_itself(own, self._take_up(own))

        await asyncio.gather(*(within(own) for own in order_ids))

    async def _by_itself(self, own: str, taking_up: Awaitable[None]) -> None:
        """What stands against taking up one stands against no other, and is told once. Raises what concerns all: the
        server or the ledger is away."""
        try:
            await taking_up
        except (RPCError, OperationalError):
            raise
        except Exception as error:
            if own not in self._stuck:
                log.exception("%s cannot be taken up, and will be tried again", own)
                await self._alert(f"{own}: nobody follows it, and it cannot be taken up ({type(error).__name__})")
            self._stuck.add(own)
        else:
            self._stuck.discard(own)

    async def _take_up(self, own: str) -> None:
        """Start a new run from what the ledger has. The server refuses it if one runs, or has come to its end."""
        order, content = await self._run(lambda: self._stored(own))
        if order is None or order.status.terminal:
            return
        try:
            await self._client.start_workflow(
                names.ORDER_WORKFLOW,
                TakenUp(order=order, content=content),
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **names.order_options(order, content),
            )
        except WorkflowAlreadyStartedError:
            await self._forgotten.record(order.order_id)
        else:
            log.warning("%s is %s, and nobody followed it: taken up again", own, order.status)

    def _stored(self, own: str) -> tuple[Order | None, str]:
        with self._database.read() as connection:
            return find_order(connection, own), fingerprint_of(connection, own) or ""

    async def _recall(self, seen: Followed) -> None:
        """Have the workflows whose orders stand otherwise in the ledger read what that has: each once, for as long as
        it lasts. One that stands so at a single look is only on its way."""
        left = sorted(seen.left & self._left)
        ended = await self._run(lambda: self._ended(left)) if left else set()
        otherwise = seen.differing & self._differing | {(own, "ended in the ledger") for own in ended}
        self._left, self._differing, self._told = seen.left, seen.differing, self._told & otherwise
        for own, how in sorted(otherwise - self._told):
            try:
                await self._client.get_workflow_handle(own).signal(names.RECALL)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
                    raise
            else:
                log.warning("%s: %s, its workflow reads the ledger", own, how)
            self._told |= {(own, how)}

    def _ended(self, order_ids: Sequence[str]) -> set[str]:
        with self._database.read() as connection:
            return ended_of(connection, order_ids)

    async def _take_up_plans(self, seen: Followed) -> None:
        """Start the workflows of open plans that have none: each goes on from what the ledger has."""
        found = {
            names.plan_workflow_id(self._account, each.plan_id): each for each in await self._run(self._open_plans)
        }
        missing = found.keys() - seen.running
        for own in missing & self._missing_plans:
            await self._by_itself(own, self._take_up_plan(own, found[own]))
        self._missing_plans = frozenset(missing)

    async def _take_up_plan(self, own: str, intent: AnyIntent) -> None:
        try:
            await self._client.start_workflow(
                names.PLAN_WORKFLOW,
                intent,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **names.plan_options(intent),
            )
        except WorkflowAlreadyStartedError:
            await self._record_end_of_plan(own)
        else:
            log.warning("%s is open, and nobody followed it: taken up again", own)

    async def _take_up_gtts(self, seen: Followed) -> None:
        """Start the workflows of GTTs that have none, and of which it is not known what came of them. On paper there
        are none."""
        if self._mark is None:
            return
        states = await self._run(self._unresolved_gtts)
        found = {names.gtt_workflow_id(self._account, each.intent.gtt_id): each.intent for each in states}
        missing = found.keys() - seen.running
        for own in missing & self._missing_gtts:
            await self._by_itself(own, self._take_up_gtt(own, found[own]))
        self._missing_gtts = frozenset(missing)

    async def _take_up_gtt(self, own: str, intent: GttIntent) -> None:
        try:
            await self._client.start_workflow(
                names.GTT_WORKFLOW,
                intent,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **names.gtt_options(intent),
            )
        except WorkflowAlreadyStartedError:
            await self._record_gtt(own)
        else:
            log.warning("%s is open, and nobody followed it: taken up again", own)

    async def _record_gtt(self, own: str) -> None:
        """One whose placing has ended, where the ledger is older than that."""
        handle = self._client.get_workflow_handle(own, result_type=GttState)
        if (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED:
            ended = await handle.result()
            await self._run(lambda: self._keep_gtt(ended))

    def _keep_gtt(self, state: GttState) -> None:
        with self._database.write(self._account) as connection:
            put_back(connection, state, _now())

    def _open_changes(self) -> list[GttChange]:
        with self._database.read() as connection:
            states = list_gtts(connection, self._account, open_only=True)
            return [*open_changes(self._account, states), *left_over(connection, self._account, states)]

    def _unresolved_gtts(self) -> list[GttState]:
        with self._database.read() as connection:
            return unresolved_gtts(connection, self._account)

    async def _record_end_of_plan(self, own: str) -> None:
        """Of a plan that has ended, where the ledger is older than that."""
        handle = self._client.get_workflow_handle(own)
        if (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED:
            ended: AnyState = await handle.query(names.PLAN_STATE, result_type=PlanState | LinesState)  # type: ignore[arg-type]
            await self._run(lambda: self._record_plan(ended))

    def _record_plan(self, state: AnyState) -> None:
        with self._database.write(self._account) as connection:
            record_plan(connection, state, None, None, _now())

    def _open_plans(self) -> list[AnyIntent]:
        with self._database.read() as connection:
            return open_plans(connection, self._account)

    async def _tell_of_failing(self, seen: Followed) -> None:
        """New risk waits while an order is followed by a workflow that does not go on. Each is told once."""
        for own in seen.failing.keys() - self._failing:
            words = f"{own}: its workflow does not go on ({seen.failing[own]})"
            if own in seen.open:
                words += ": nobody follows the order, and no new risk is taken"
                await self._run(lambda own=own, words=words: hold(self._database, self._account, own, words, _now()))  # type: ignore[misc]
            else:
                await self._alert(words)
        self._failing = frozenset(seen.failing)
        over = [order.order_id for order in seen.open.values() if order.is_held and order.status is not Status.UNKNOWN]
        over = [own for own in over if own not in seen.failing and own not in seen.missing]
        if over:
            await self._run(lambda: release(self._database, self._account, over, _now()))

    async def _alert(self, words: str) -> None:
        await self._run(lambda: alert(self._database, self._account, words, _now()))

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def rest_after(seconds: float) -> float:
    """Seconds until the next look, after one that took so long."""
    return min(max(EVERY, REST * seconds), LONGEST_REST)


def _now() -> datetime:
    return datetime.now(UTC)


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel the task, and wait until it is over."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
