"""A workflow of a GTT that is reset while an activity of its first run is still at it: nothing is sent twice, and what
the first run sent is not lost."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from durable_orders import GttLeg, GttStatus
from durable_orders.halting import halt
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading.errors import UnknownError
from durable_orders.trading.gtt.gtt import GttChange
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.gtts import find_gtt, record_gtt
from durable_orders.trading.ledger.tables import gtt_changes
from durable_orders.workers.home import ServerAddress
from durable_orders.workflows import names
from tests.conftest import eventually
from tests.live.conftest import Desks
from tests.live.desk import Desk, at_work, open_desk
from tests.live.test_gtt import FIRST, QUICK, App, holds, intent, sent

PATIENT = QUICK | {"market_deadline": 3600}
"""A change is as old as a busy machine makes it."""


class Gates(Interceptor):
    """Activities of one type wait before they begin, until their run of the workflow is let through."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: list[str] = []
        """The runs, in the order in which they came."""
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Gate(next, self)

    async def come(self, number: int) -> None:
        async def waits() -> bool:
            return len(self.waiting) >= number

        assert await eventually(waits, f"{self.name} of run {number}")

    def let_through(self, number: int) -> None:
        self._open[self.waiting[number - 1]].set()

    async def pass_by(self, run_id: str) -> None:
        if run_id not in self.waiting:
            self.waiting.append(run_id)
        await self._open[run_id].wait()


class _Gate(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, gates: Gates) -> None:
        super().__init__(following)
        self._gates = gates

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if activity.info().activity_type == self._gates.name:
            await asyncio.shield(self._gates.pass_by(str(activity.info().workflow_run_id)))
        return await super().execute_activity(input)


@asynccontextmanager
async def gated(server: ServerAddress, path: Path, name: str) -> AsyncIterator[tuple[Desk, Gates]]:
    gates = Gates(name)
    async with open_desk(server, path, live=PATIENT) as desk, at_work(desk, gates):
        await holds(desk)
        yield desk, gates


async def reset(desk: Desk, workflow_id: str, run_id: str = "") -> None:
    """To its very beginning."""
    client = desk.orders.client
    history = await client.get_workflow_handle(workflow_id, run_id=run_id or None).fetch_history()
    first = next(each for each in history.events if each.HasField("workflow_task_completed_event_attributes"))
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            reason="by a test",
            workflow_task_finish_event_id=first.event_id,
            request_id=f"reset-{workflow_id}",
        )
    )


@pytest.mark.parametrize("can_read", [True, False])
async def test_both_runs_may_be_at_the_same_attempt(
    temporal_server: ServerAddress, tmp_path: Path, can_read: bool
) -> None:
    """The second run cannot read the list, or sees in it what the first one has sent."""
    async with gated(temporal_server, tmp_path, "place_gtt") as (desk, gates):
        asked = intent(1400, gtt_id="exit", account=desk.settings.account)
        client, options = desk.orders.client, names.gtt_options(asked)
        await client.start_workflow(names.GTT_WORKFLOW, asked, **options)
        await gates.come(1)
        await reset(desk, options["id"])
        await gates.come(2)
        gates.let_through(1)

        async def taken() -> bool:
            return await sent(desk) == 1

        assert await eventually(taken)
        if not can_read:
            await desk.venue.fault(Fault.BOOK_UNREADABLE, routes={Route.GTT_LIST})
        gates.let_through(2)
        await client.get_workflow_handle(options["id"]).result()
        view = await desk.orders.gtt("exit")
        there = await (await App.of(desk)).listed()
        assert (view.status, view.trigger_id, len(there)) == (GttStatus.ACTIVE, FIRST, 1)
        assert await sent(desk) == 1


async def result_of(desk: Desk, own: str, run_id: str | None = None) -> Any:
    """What its workflow has ended in: the answer, or the words of the error."""
    try:
        return await desk.orders.client.get_workflow_handle(own, run_id=run_id).result()
    except WorkflowFailureError as error:
        return str(error.cause)


def legs(trigger: int, quantity: int) -> tuple[GttLeg, ...]:
    return (GttLeg(trigger_price=Decimal(trigger), price=Decimal(trigger - 1), quantity=quantity),)


async def started(desk: Desk, trigger: int, quantity: int = 20) -> str:
    """The id of the workflow of a change to that."""
    change = GttChange(account=desk.settings.account, gtt_id="exit", legs=legs(trigger, quantity))
    options = names.gtt_change_options(change)
    await desk.orders.client.start_workflow(names.GTT_CHANGE_WORKFLOW, change, **options)
    return str(options["id"])


async def test_a_change_that_another_one_followed_is_not_made_again(desks: Desks) -> None:
    desk = await desks(live=PATIENT)
    await holds(desk)
    await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
    own = await started(desk, 1300, 50)
    run_id = (await desk.orders.client.get_workflow_handle(own).describe()).run_id
    assert (await result_of(desk, own, run_id))["refusal"] is None
    await desk.orders.change_gtt("exit", legs(1450, 10), timeout=60)
    await reset(desk, own, run_id)
    assert "another one was asked for after it" in await result_of(desk, own)
    view = await desk.orders.gtt("exit")
    assert (view.legs[0].trigger_price, view.legs[0].quantity, view.changing) == (Decimal(1450), 10, "")
    assert await sent(desk, Route.GTT_MODIFY) == 2


async def test_both_runs_may_be_at_the_same_change(temporal_server: ServerAddress, tmp_path: Path) -> None:
    """The second run finds in the ledger that it was sent, and the account is halted by then."""
    async with gated(temporal_server, tmp_path, "change_gtt") as (desk, gates):
        await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
        own = await started(desk, 1300)
        await gates.come(1)
        await reset(desk, own)
        await gates.come(2)
        gates.let_through(1)

        async def taken() -> bool:
            return await sent(desk, Route.GTT_MODIFY) == 1

        assert await eventually(taken)
        database, settings = desk.orders.database, desk.settings
        await asyncio.to_thread(halt, database, settings, "stop", state=AccountState.HALTED, who="by a test")
        gates.let_through(2)
        assert (await result_of(desk, own))["refusal"] is None
        assert (await desk.orders.gtt("exit")).legs[0].trigger_price == 1300
        assert await sent(desk, Route.GTT_MODIFY) == 1


async def test_a_late_change_is_not_sent(temporal_server: ServerAddress, tmp_path: Path) -> None:
    async with open_desk(temporal_server, tmp_path, live=QUICK | {"market_deadline": 1}) as desk:
        async with at_work(desk):
            await holds(desk)
            await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
        own = await started(desk, 1300)
        over = datetime.now(UTC) + timedelta(seconds=1)

        async def late() -> bool:
            return datetime.now(UTC) > over

        assert await eventually(late)
        async with at_work(desk):
            assert "deadline" in await result_of(desk, own)
            assert (await desk.orders.gtt("exit")).changing == ""
            assert (await desk.orders.delete_gtt("exit", timeout=60)).status is GttStatus.DELETED
        assert await sent(desk, Route.GTT_MODIFY) == 0


async def test_one_that_is_being_placed_is_deleted_before_it_leaves(
    temporal_server: ServerAddress, tmp_path: Path
) -> None:
    async with gated(temporal_server, tmp_path, "place_gtt") as (desk, gates):
        placing = asyncio.create_task(desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=300))
        await gates.come(1)
        deleting = asyncio.create_task(desk.orders.delete_gtt("exit", timeout=300))

        async def wished() -> bool:
            return (await desk.orders.gtt("exit")).changing == "delete"

        assert await eventually(wished)
        gates.let_through(1)
        assert (await deleting).status is GttStatus.DELETED
        view = await placing
        assert (view.status, view.reasons) == (GttStatus.DELETED, ("deleted before it was sent",))
        assert await sent(desk) == 0


async def test_a_change_whose_workflow_was_terminated_is_read_by_another(
    temporal_server: ServerAddress, tmp_path: Path
) -> None:
    async with gated(temporal_server, tmp_path, "look_for_gtt_change") as (desk, gates):
        await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
        own = await started(desk, 1300)
        await gates.come(1)
        await desk.orders.client.get_workflow_handle(own).terminate("by a test")
        await gates.come(2)
        gates.let_through(2)
        assert (await result_of(desk, own))["refusal"] is None
        view = await desk.orders.gtt("exit")
        assert (view.legs[0].trigger_price, view.changing) == (Decimal(1300), "")
        assert await sent(desk, Route.GTT_MODIFY) == 1


async def test_what_came_of_a_change_that_the_ledger_has_forgotten_is_not_guessed(
    temporal_server: ServerAddress, tmp_path: Path
) -> None:
    """The ledger is put back to before it, while it is on its way."""
    async with gated(temporal_server, tmp_path, "look_for_gtt_change") as (desk, gates):
        await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
        before = await desk.orders.read(lambda ledger: find_gtt(ledger, desk.settings.account, "exit"))
        changing = asyncio.create_task(desk.orders.change_gtt("exit", legs(1300, 20), timeout=300))
        await gates.come(1)
        assert before is not None
        with desk.orders.database.write() as connection:
            record_gtt(connection, before[0], datetime.now(UTC))
            connection.execute(sa.delete(gtt_changes))
        gates.let_through(1)
        with pytest.raises(UnknownError, match="the ledger is older than this change"):
            await changing
