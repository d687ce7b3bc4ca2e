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

from temporalio.client import Client, WorkflowHandle

from activities.orders import OrderActivities
from activities.unwinding import UnwindingActivities
from activities.watch import WatchActivities
from durable_orders.orders import OrderHandle, Orders
from tests.conftest import eventually, new_account
from tests.workflows.scripted_broker import Answer, ScriptedBroker
from trading.brokers.book import BookReport
from trading.events import EventType
from trading.guardian.guardian import Guardian
from trading.ledger.migrate import open_database
from trading.ledger.reading import FeedEvent
from trading.market.calendar import calendar_of
from trading.market.instruments import Instruments
from trading.order import Account, Mode, Order, OrderIntent, OrderType, Side, Status
from trading.settings import Settings
from trading.sighting import Sight
from workers.parts import Parts, session_end
from workers.worker import workers
from workflows.order import OrderWorkflow

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
    parts: Parts
    sight: Sight

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

    async def tell(self, order: OrderHandle, *reports: BookReport) -> None:
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


def parts_of(settings: Settings, client: Client, broker: ScriptedBroker, ledger: Path) -> Parts:
    """What `workers.parts.build` makes, over a scripted broker."""
    account = Account(settings.account)
    database = open_database(f"sqlite:///{ledger}")
    executor = ThreadPoolExecutor(16, thread_name_prefix="blocking")
    instruments = Instruments.shipped()
    calendar = calendar_of(settings.market.calendar)
    guardian = Guardian(database, instruments, settings, session_end(account, calendar), now)
    mode = settings.execution.mode
    watch = WatchActivities(
        account, mode, broker, database, client, NoStream(), 3.0, executor, breakers=guardian.breakers
    )
    orders = OrderActivities(broker, guardian, database, executor, on_trip=watch.look_now)
    unwinding = UnwindingActivities(settings, database, instruments)
    return Parts(settings, database, instruments, orders, watch, unwinding, executor)


@asynccontextmanager
async def open_desk(
    client: Client,
    path: Path,
    placing: dict[str, Any] | None = None,
    guardian: dict[str, Any] | None = None,
    mode: Mode = Mode.PAPER,
) -> AsyncIterator[Desk]:
    """A desk of its own account for the length of a block; nobody works there yet.

    `placing` are keys of `execution.paper`, or of `execution.live`; `guardian` of that section.
    """
    changes = {"execution": {"mode": mode, mode.value: placing or {}}, "guardian": guardian or {}}
    settings = Settings(account=new_account()).replaced(changes)
    broker = ScriptedBroker()
    parts = parts_of(settings, client, broker, path / f"{settings.account}.db")
    yield Desk(client, Orders.over(client, parts.database, settings), broker, parts, Sight())
    parts.executor.shutdown()
    parts.database.close()


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[Desk]:
    """The desk with its workers, for the length of a block."""
    async with AsyncExitStack() as stack:
        for worker in workers(desk.client, desk.parts):
            await stack.enter_async_context(worker)
        yield desk
