"""One account on a Temporal server: the production workers, guardian, ledger and client over a scripted broker."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.activities.exit_quotes import ExitQuotes
from durable_orders.activities.flatten import FlattenActivities
from durable_orders.activities.gtt import GttActivities
from durable_orders.activities.orders import OrderActivities
from durable_orders.activities.plans import PlanActivities
from durable_orders.activities.positions import PositionReader
from durable_orders.activities.reconciling import PositionReconciliation
from durable_orders.activities.watch import WatchActivities
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.catalogue import day_locks
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.reading import FeedEvent
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import ExchangeRules
from durable_orders.trading.orders.book import OrderReport
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Mode, Order, OrderIntent, OrderType, Side, Status
from durable_orders.trading.reconciliation.book_diff import BookDiff
from durable_orders.workers.components import Components, session_end
from durable_orders.workers.worker import workers
from durable_orders.workflows.order import OrderWorkflow
from tests.conftest import eventually, new_account
from tests.ledgers import empty_ledger
from tests.workflows.scripted_broker import Answer, ScriptedBroker

R = TypeVar("R")

INFY = "NSE:INFY"
LATER = timedelta(hours=6)


def now() -> datetime:
    return datetime.now(UTC)


class NoStream:
    """No pushes: a test looks at the book itself, with `Desk.look`."""

    async def run(self, push: object) -> None:
        await asyncio.Event().wait()


@dataclass
class Desk:
    client: Client
    orders: Orders
    broker: ScriptedBroker
    parts: Components
    sight: BookDiff

    @property
    def account(self) -> Account:
        return Account(self.parts.settings.account)

    def intent(self, order_type: OrderType = OrderType.LIMIT, **terms: Any) -> OrderIntent:
        """BUY 10 INFY at 1500, in force for hours, or whatever the terms say."""
        content: dict[str, Any] = {"symbol": INFY, "side": Side.BUY, "quantity": 10, "strategy": "tests"}
        content |= {"account": self.account, "mode": self.parts.settings.execution.mode, "order_type": order_type}
        if order_type is OrderType.LIMIT:
            content |= {"price": Decimal("1500.0"), "place_by": now() + LATER}
        return OrderIntent(**content | terms)

    async def start(self, *answers: Answer, **terms: Any) -> OrderHandle:
        """An order on its way to the broker, who answers its placements in that way."""
        self.broker.on_place.extend(answers)
        return await self.orders.place(self.intent(**terms))

    async def resting(self, **terms: Any) -> OrderHandle:
        """An order that works at the broker, and is recorded as such."""
        order = await self.start(**terms)
        assert (await order.placed()).status is Status.PLACED
        return order

    def workflow(self, order: OrderHandle) -> WorkflowHandle[OrderWorkflow, Order]:
        return self.client.get_workflow_handle_for(OrderWorkflow.run, order.order_id)

    async def look(self) -> int:
        """One round of the account's watch. Returns how many orders were told."""
        return await self.parts.watch.look(self.sight)

    async def tell(self, order: OrderHandle, *reports: OrderReport) -> None:
        """Signal reports to the order, in that order."""
        for report in reports:
            await self.workflow(order).signal(OrderWorkflow.report, report)

    async def standing(self, order: OrderHandle) -> Order:
        """The order as its workflow has it. What was signalled before has been taken in."""
        return await self.workflow(order).query(OrderWorkflow.order)

    async def recorded(self, order: OrderHandle, status: Status, filled: int | None = None) -> Order:
        """The order as the ledger has it, once it has that status, and that filled quantity."""

        async def reached() -> Order | None:
            found = await order.now()
            return found if found.status is status and filled in (None, found.filled_quantity) else None

        return present(await eventually(reached, f"{status} {filled or ''}"))

    async def event(self, order: OrderHandle, kind: EventType, words: str = "") -> FeedEvent:
        """The order's first recorded event of that type with those words, once there is one."""

        async def recorded() -> FeedEvent | None:
            events = await order.events()
            return next((event for event in events if event.type is kind and words in event.message), None)

        return present(await eventually(recorded, f"{kind} {words!r}"))


def present(found: R | None) -> R:
    assert found is not None
    return found


async def finished(desk: Desk, order: OrderHandle) -> Order:
    """The order's end, and the proof that the ledger tells the same story: every event once, without a gap."""
    ended = await order.result()
    recorded = await order.now()
    # A task that the server had done again has later times than what it recorded the first time.
    assert recorded.model_dump(exclude={"updated_at"}) == ended.model_dump(exclude={"updated_at"})
    events = await order.events()
    assert [event.sequence for event in events] == list(range(len(events)))
    assert events[-1].status is ended.status
    return ended


def messages(events: Iterable[FeedEvent]) -> str:
    return "\n".join(event.message for event in events)


def parts_of(settings: Settings, client: Client, broker: ScriptedBroker, url: str) -> Components:
    """What `workers.parts.build` makes, over a scripted broker."""
    account = Account(settings.account)
    database = open_database(url)
    executor = ThreadPoolExecutor(16, thread_name_prefix="blocking")
    instruments = Instruments.shipped()
    sessions = InstrumentSessions(settings.market)
    guardian = Guardian(database, instruments, settings, session_end(account, sessions), now)
    mode = settings.execution.mode
    reader = PositionReader(account, broker, database)
    positions = PositionReconciliation(
        *(account, database, reader),
        is_of_one_day=mode is Mode.LIVE,
        window=settings.placing.positions_window,
        interval=3.0,
    )
    watch = WatchActivities(
        *(account, mode, broker, database, client, NoStream(), 3.0, executor),
        breakers=guardian.breakers,
        positions=positions,
        day_locks=day_locks(settings),
    )
    orders = OrderActivities(broker, guardian, database, executor, on_trip=watch.look_now, positions=reader)
    quotes = ExitQuotes(settings, instruments, sessions, ExchangeRules(instruments.get, sessions))
    flatten = FlattenActivities(settings, database, client, reader, quotes)
    plans = PlanActivities(settings, database, guardian, instruments, sessions, reader)
    gtts = GttActivities(settings, database, guardian, None, executor)
    return Components(settings, database, instruments, orders, watch, flatten, plans, gtts, executor)


@asynccontextmanager
async def open_desk(
    client: Client,
    path: Path,
    placing: dict[str, Any] | None = None,
    guardian: dict[str, Any] | None = None,
    mode: Mode = Mode.PAPER,
    sections: dict[str, dict[str, Any]] | None = None,
    ledger: str | None = None,
) -> AsyncIterator[Desk]:
    """A desk of its own account for the length of a block; nobody works there yet.

    `ledger` is the URL of one that is not on SQLite. `placing` are keys of `execution.paper`, or of `execution.live`;
    `guardian` of that section, `sections` of others. A live desk is always open: its day is the machine's, and the
    shipped contracts are of 2025.
    """
    changes: dict[str, dict[str, Any]] = {
        "execution": {"mode": mode, mode.value: placing or {}},
        "guardian": guardian or {},
        "market": {"calendar": "always_open"} if mode is Mode.LIVE else {},
        **(sections or {}),
    }
    settings = Settings(account=new_account()).replaced(changes)
    broker = ScriptedBroker()
    url = ledger or f"sqlite:///{empty_ledger(path / f'{settings.account}.db')}"
    parts = parts_of(settings, client, broker, url)
    yield Desk(client, Orders.over(client, parts.database, settings), broker, parts, BookDiff())
    parts.executor.shutdown()
    parts.database.close()


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[Desk]:
    """The desk with its workers, for the length of a block."""
    async with AsyncExitStack() as stack:
        for worker in workers(desk.client, desk.parts):
            await stack.enter_async_context(worker)
        yield desk


async def forgotten(desk: Desk, workflow_id: str) -> None:
    """The server deletes the history, as it does at the end of its retention."""
    execution = WorkflowExecution(workflow_id=workflow_id)
    request = DeleteWorkflowExecutionRequest(namespace=desk.client.namespace, workflow_execution=execution)
    await desk.client.workflow_service.delete_workflow_execution(request)

    async def is_gone() -> bool:
        try:
            await desk.client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    assert await eventually(is_gone, f"the server has forgotten {workflow_id}")
