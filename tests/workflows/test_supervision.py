"""What each worker does about orders that nobody follows, look by look."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from temporalio.client import Client, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from chaos import acts
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import events_of, find_order, positions_of, unsettled_orders
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.tables import events, orders
from durable_orders.trading.orders.events import EVENT_OF, Entry, EventType
from durable_orders.trading.orders.order import BrokerOrderId, Order, OrderIntent, Status
from durable_orders.trading.orders.process import BEHIND
from durable_orders.workers.supervision import Supervisor, ensure_watch, rest_after
from durable_orders.workers.timekeeping import BookAge, Clock
from durable_orders.workers.worker import workers
from durable_orders.workflows import names
from tests.conftest import eventually
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Desks
from tests.workflows.desk import Desk, finished, now

MANY, AT_ONCE = 1000, 50
TOO_LARGE = 3 * 1024 * 1024
"""Bytes: more than the server takes in a signal."""
PAGE = 1000
"""Workflows in one answer of the server's list."""


def supervisor(desk: Desk, client: Client | None = None) -> Supervisor:
    return Supervisor(client or desk.client, desk.account, desk.parts.database, desk.parts.executor)


async def listed(desk: Desk, count: int) -> None:
    """Until the server's list of running workflows of the account has that many orders."""

    async def reached() -> bool:
        query = f'Account="{desk.account}" AND ExecutionStatus="Running"'
        return (await desk.client.count_workflows(query)).count == count

    await eventually(reached, f"{count} running workflows")


async def alerts(desk: Desk) -> list[str]:
    said = await desk.orders.read(lambda ledger: events_of(ledger, f"account:{desk.account}"))
    return [event.message for event in said if event.type is EventType.ALERT]


@dataclass
class Stumbling(Interceptor):
    """Has the task fail in which an order is woken, for as long as it is on."""

    on: bool = True

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        stumbling = self

        class Inbound(WorkflowInboundInterceptor):
            async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
                if stumbling.on and input.signal == "wake":
                    raise RuntimeError("as a deploy with a mistake in it")
                await super().handle_signal(input)

        return Inbound


async def test_new_risk_waits_while_an_orders_workflow_fails(desks: Desks) -> None:
    desk = await desks(staffed=False)
    stumbling = Stumbling()
    async with AsyncExitStack() as stack:
        for worker in workers(desk.client, desk.parts, [stumbling], UnsandboxedWorkflowRunner()):
            await stack.enter_async_context(worker)
        await ensure_watch(desk.client, desk.account)
        order = await desk.resting()
        looking = supervisor(desk)
        await looking.look()
        assert await alerts(desk) == []
        await desk.client.get_workflow_handle(order.order_id).signal("wake")

        async def is_held() -> list[str]:
            await looking.look()
            return await desk.orders.read(lambda ledger: unsettled_orders(ledger, desk.account))

        assert await eventually(is_held) == [order.order_id]
        [words] = await alerts(desk)
        assert words.startswith(f"{order.order_id}: its workflow does not go on (")
        refused = await (await desk.start()).result()
        assert refused.status is Status.REJECTED
        assert order.order_id in refused.reasons[0]
        stumbling.on = False

        async def is_free() -> bool:
            return not await is_held()

        await eventually(is_free)
        assert (await alerts(desk))[-1] == f"{order.order_id}: its workflow goes on again"
        assert (await (await desk.start(says.fills_at_once)).result()).status is Status.FILLED
        assert (await order.cancel()).status is Status.CANCELLED


async def test_a_report_that_the_server_refuses_is_told_once_and_holds_new_risk(desk: Desk) -> None:
    """One that is larger than the server takes: it would be refused for ever, and the order stand as it was."""
    order = await desk.resting()
    own = desk.broker.only
    desk.broker.trade(own, 4)
    desk.broker.update(own, message="x" * TOO_LARGE)
    for _ in range(2):
        await desk.look()
    [alert] = await alerts(desk)
    assert alert.startswith(f"{order.order_id} cannot be told what the broker's book shows, the server refuses it: ")
    assert await desk.orders.read(lambda ledger: unsettled_orders(ledger, desk.account)) == [order.order_id]
    assert (await order.now()).filled_quantity == 0
    refused = await (await desk.start()).result()
    assert "UNKNOWN_OUTSTANDING" in refused.reasons[0]
    desk.broker.update(own, message=None)
    await desk.look()
    await desk.recorded(order, Status.PARTIAL, 4)
    assert await desk.orders.read(lambda ledger: unsettled_orders(ledger, desk.account)) == []
    assert (await order.cancel()).status is Status.CANCELLED


async def followed_again(desk: Desk, order: OrderHandle) -> None:
    """Look until the order is taken up."""
    looking = supervisor(desk)

    async def is_told() -> bool:
        await looking.look()
        return any("its earlier workflow is gone" in event.message for event in await order.events())

    await eventually(is_told, "taken up")


@pytest.mark.parametrize("act", [acts.terminate, acts.delete], ids=lambda act: act.__name__)
async def test_an_order_whose_workflow_is_gone_goes_on_from_the_ledger(
    desk: Desk, act: Callable[[Client, str], Any]
) -> None:
    order = await desk.resting(client_order_id="mine")
    desk.broker.trade(desk.broker.only, 4)
    await desk.look()
    await desk.recorded(order, Status.PARTIAL)
    await act(desk.client, order.order_id)
    await followed_again(desk, order)
    again = await desk.orders.place(desk.intent(client_order_id="mine"))
    assert (await again.placed()).filled_quantity == 4, "its content is what it was"
    desk.broker.trade(desk.broker.only, 6)
    await desk.look()
    assert (await finished(desk, order)).status is Status.FILLED
    assert len(desk.broker.sent) == 1


async def test_what_was_changed_goes_on_with_its_change(desk: Desk) -> None:
    """Its terms are not those of its intent any more; the intent is still the same order."""
    intent = desk.intent(client_order_id="mine")
    order = await desk.orders.place(intent)
    await order.placed()
    desk.broker.update(desk.broker.only, quantity=20)
    await desk.look()
    await acts.terminate(desk.client, order.order_id)
    await followed_again(desk, order)
    assert (await (await desk.orders.place(intent)).placed()).quantity == 20
    desk.broker.trade(desk.broker.only, 20)
    await desk.look()
    assert (await finished(desk, order)).filled_quantity == 20


async def test_a_cancel_that_was_asked_for_is_not_forgotten(desk: Desk) -> None:
    desk.broker.on_cancel.extend([says.is_being_processed] * 2)
    order = await desk.resting()
    await desk.client.get_workflow_handle(order.order_id).signal("cancel")
    await desk.event(order, EventType.ORDER_UPDATED, "cancel requested")
    await acts.terminate(desk.client, order.order_id)
    await followed_again(desk, order)
    assert (await finished(desk, order)).status is Status.CANCELLED


class Refused(ClientInterceptor):
    """Has the start of one workflow fail, for as long as it is on."""

    def __init__(self, own: str) -> None:
        self.own, self.on = own, True

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        refused = self

        class Outbound(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
                if refused.on and input.id == refused.own:
                    raise ValueError("as of a row that cannot be read")
                return await super().start_workflow(input)

        return Outbound(next)


async def test_one_that_cannot_be_taken_up_stands_in_no_others_way(desk: Desk) -> None:
    stuck, other = await desk.resting(), await desk.resting()
    for order in (stuck, other):
        await acts.terminate(desk.client, order.order_id)
    refused = Refused(stuck.order_id)
    looking = supervisor(desk, Client(**desk.client.config() | {"interceptors": [refused]}))

    async def is_told(order: OrderHandle) -> bool:
        await looking.look()
        return any("its earlier workflow is gone" in event.message for event in await order.events())

    words = f"{stuck.order_id}: nobody follows it, and it cannot be taken up (ValueError)"

    async def is_stuck() -> bool:
        await looking.look()
        return words in await alerts(desk)

    await eventually(lambda: is_told(other))
    await eventually(is_stuck)  # the server's list may name the two as ended one after the other
    for _ in range(2):
        await looking.look()
    assert (await alerts(desk)).count(words) == 1
    refused.on = False
    await eventually(lambda: is_told(stuck))


async def test_several_workers_take_an_order_up_once(desk: Desk) -> None:
    order = await desk.resting()
    await acts.terminate(desk.client, order.order_id)
    looking = [supervisor(desk) for _ in range(4)]

    async def is_told() -> bool:
        await asyncio.gather(*(each.look() for each in looking))
        return any("its earlier workflow is gone" in event.message for event in await order.events())

    await eventually(is_told)
    await order.cancel()
    story = [event.message for event in await order.events()]
    assert sum("its earlier workflow is gone" in words for words in story) == 1
    await finished(desk, order)


async def test_an_end_that_only_the_server_knows_comes_into_the_ledger(desk: Desk, tmp_path: Path) -> None:
    """The ledger is of a moment before the order's end, as after a restore of it alone."""
    order = await desk.resting()
    older = tmp_path / "older.db"
    with desk.parts.database.engine.connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{older}'")
    desk.broker.trade(desk.broker.only, 10)
    await desk.look()
    ended = await finished(desk, order)
    with Database(f"sqlite:///{older}") as database:
        looking = Supervisor(desk.client, desk.account, database, desk.parts.executor)

        async def is_known() -> bool:
            await looking.look()
            with database.read() as connection:
                found = find_order(connection, order.order_id)
                assert found is not None
                return found.status is Status.FILLED

        await eventually(is_known)
        await looking.look()
        with database.read() as connection:
            assert [held.quantity for held in positions_of(connection, desk.account)] == [10]
            found = find_order(connection, order.order_id)
            assert found is not None
            assert found.fills == ended.fills
            said = [event.message for event in events_of(connection, f"account:{desk.account}")]
        assert sum("FILLED by the history of its workflow" in words for words in said) == 1


async def stands_otherwise(desk: Desk, order: OrderHandle, *, sequence: int = 9, **changes: Any) -> Order:
    """In the ledger, as after a restore of the server's file alone: of what happened since, no signal is left."""
    later = (await order.now()).changed(**changes)
    kind = EVENT_OF[later.status]
    record(
        desk.parts.database,
        later,
        [Entry(sequence=sequence, type=kind, at=now(), message="since then", status=later.status)],
    )
    return later


async def looked_until(desk: Desk, order: OrderHandle, status: Status) -> None:
    looking = supervisor(desk)

    async def has_come() -> bool:
        await looking.look()
        return (await desk.standing(order)).status is status

    await eventually(has_come)


@pytest.mark.parametrize("status", [Status.FILLED, Status.CANCELLED, Status.REJECTED, Status.EXPIRED])
@pytest.mark.parametrize("sequence", [3, 9], ids=["no-newer-number", "newer"])
async def test_a_workflow_that_is_behind_the_ledgers_end_ends_so(desk: Desk, status: Status, sequence: int) -> None:
    order = await desk.resting()
    changes: dict[str, Any] = {"broker_order_id": None} if status is Status.REJECTED else {}
    if status is Status.FILLED:
        desk.broker.trade(desk.broker.only, 10)
        changes = {"fills": desk.broker.report(desk.broker.only).fills}
    ended = await stands_otherwise(desk, order, status=status, sequence=sequence, **changes)
    await looked_until(desk, order, status)
    found = await order.result()
    assert (found.status, found.fills) == (status, ended.fills)


async def test_an_order_that_only_the_ledger_has_as_unknown_can_be_settled(desk: Desk) -> None:
    order = await desk.resting()
    await stands_otherwise(desk, order, status=Status.UNKNOWN, reasons=("its book is over",))
    looking = supervisor(desk)

    async def reads_the_ledger() -> bool:
        await looking.look()
        return any(BEHIND in event.message for event in await order.events())

    await eventually(reads_the_ledger)


async def test_an_order_that_does_not_say_where_it_stands_is_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where many histories are replayed while a worker begins: what runs and is not recorded is not forgotten."""
    order = await desk.resting()
    await listed(desk, 1)
    with desk.parts.database.write() as connection:
        for table in (orders, events):
            connection.execute(sa.delete(table).where(table.c.order_id == order.order_id))
    looking = Supervisor(desk.client, desk.account, desk.parts.database, desk.parts.executor, "marks")
    await looking.begin()
    monkeypatch.setattr("durable_orders.activities.forgotten.ANSWER_SECONDS", timedelta(milliseconds=1))
    await looking.look()
    monkeypatch.undo()

    async def is_recorded() -> bool:
        await looking.look()
        return await desk.orders.read(lambda ledger: find_order(ledger, order.order_id)) is not None

    await eventually(is_recorded)


async def test_looking_at_a_thousand_open_orders_costs_one_listing_and_three_queries(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await desks(staffed=False)
    await ensure_watch(desk.client, desk.account)
    intents = [desk.intent(client_order_id=f"rests-{number}") for number in range(MANY)]
    for some in range(0, MANY, AT_ONCE):
        await asyncio.gather(*(start(desk, intent) for intent in intents[some : some + AT_ONCE]))
    await listed(desk, MANY)
    for intent in intents:
        rests(desk.parts.database, intent)
    asked, queries = Counter[str](), list[str]()
    for name in ("list_workflow_executions", "start_workflow_execution", "describe_workflow_execution"):
        count(monkeypatch, desk.client, name, asked)
    sa.event.listen(
        desk.parts.database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_rest: queries.append(statement),
    )
    looking = supervisor(desk)
    for _ in range(3):
        asked.clear()
        queries.clear()
        await looking.look()
        assert dict(asked) == {"list_workflow_executions": -(-(MANY + 1) // PAGE)}
        selects = [words for words in queries if words.startswith("SELECT") and "book_read_at" not in words]
        assert len(selects) == 3, "of orders, of plans and of GTTs; how old the book is it asks now and then"
    assert await alerts(desk) == []


async def start(desk: Desk, intent: OrderIntent) -> None:
    await desk.client.start_workflow(names.ORDER_WORKFLOW, intent, **names.order_options(intent, intent.fingerprint()))


def rests(database: Database, intent: OrderIntent) -> None:
    """The ledger has it as working at the broker."""
    order = Order.from_intent(intent, now()).changed(
        status=Status.PLACED, broker_order_id=BrokerOrderId(f"B-{intent.client_order_id}")
    )
    entry = Entry(sequence=1, type=EventType.ORDER_PLACED, at=now(), message="placed", status=Status.PLACED)
    record(database, order, [entry])


def count(monkeypatch: pytest.MonkeyPatch, client: Client, name: str, asked: Counter[str]) -> None:
    """Have each call of the server's method counted."""
    call = getattr(client.workflow_service, name)

    async def counted(*arguments: Any, **named: Any) -> Any:
        asked[name] += 1
        return await call(*arguments, **named)

    monkeypatch.setattr(client.workflow_service, name, counted)


async def test_a_clock_that_steps_and_a_book_that_nobody_reads_are_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = supervisor(desk)
    right, passed = time.time, 0.0
    monkeypatch.setattr(looking, "_clock", Clock(lambda: right() - passed))
    monkeypatch.setattr(looking, "_book", BookAge(lambda: passed))
    for seconds in (30, 70, 30):
        passed += seconds
        await looking.look()
    said = await alerts(desk)
    assert sum("clock was set back by" in words for words in said) == 3
    assert sum("the broker's book has not been read whole for" in words for words in said) == 1
    await desk.look()
    passed += 30
    await looking.look()
    assert "the broker's book is read again" in await alerts(desk)


@pytest.mark.parametrize(("took", "rest"), [(0.01, 3), (0.5, 5), (1.5, 15), (60, 20)])
def test_a_look_that_took_long_does_not_put_the_next_one_off_for_minutes(took: float, rest: float) -> None:
    """After a restore the first look asks each forgotten order where it stands."""
    assert rest_after(took) == rest
