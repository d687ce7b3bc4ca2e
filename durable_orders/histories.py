"""What the histories of an account's orders say: which runs there are, and what each told the ledger.

A local activity's arguments are not in the history, but a replay calls it with the same ones again: so the order's own
workflow, replayed, says what it recorded, and where the order stands. Needs the server, and no worker.
"""

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    StartLocalActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from durable_orders.trading.errors import ServerUnreachable
from durable_orders.trading.ledger.ledger_writes import Received, Recorded
from durable_orders.trading.orders.order import Order, OrderId
from durable_orders.trading.orders.verdict import Approval, Existing
from durable_orders.workflows import names
from durable_orders.workflows.order import OrderWorkflow

LONGEST_WORDS = 300
"""Characters of a trouble."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an order's workflow. An order has another one after a failure, or when its history grew too long."""

    order_id: OrderId
    run_id: str
    started: datetime
    status: WorkflowExecutionStatus | None

    @property
    def is_open(self) -> bool:
        return self.status is WorkflowExecutionStatus.RUNNING


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a history says."""

    told: tuple[Received | Recorded, ...]
    """What the ledger was told and has taken, in that order."""
    standing: Order | None
    """The order at the end of the history; PENDING while no worker has taken it."""
    trouble: str | None = None
    """Why today's program cannot follow this history to its end."""


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """Where an order stands by all of its runs."""

    order: Order | None
    """`None` where no run of them was the order's own, such as one that failed as a duplicate."""
    was_told: bool
    """Whether the ledger has been told anything; until then, a worker has yet to take the order."""
    is_open: bool
    trouble: str | None


async def runs_of(client: Client, account: str) -> dict[OrderId, list[Run]]:
    """All runs of the account's orders that the server still has, each order's oldest first.

    Raises `ServerUnreachable`.
    """
    found: dict[OrderId, list[Run]] = defaultdict(list)
    query = f'WorkflowType="{names.ORDER_WORKFLOW}" AND {names.ACCOUNT.name}="{account}"'
    try:
        async for each in client.list_workflows(query):
            order_id = OrderId(each.id)
            found[order_id].append(Run(order_id, each.run_id, each.start_time, each.status))
    except RPCError as error:
        raise ServerUnreachable(f"the Temporal server did not answer: {error.message}") from None
    for runs in found.values():
        runs.sort(key=lambda run: run.started)
    return dict(found)


@cache
def _quiet_runtime() -> Runtime:
    """Of a history that it cannot follow the SDK warns on stdout, where a command prints its answer, and on stderr."""
    logging.getLogger("temporalio").addHandler(logging.NullHandler())
    return Runtime(telemetry=TelemetryConfig(logging=None))


def _words(failure: Exception) -> str:
    """The message inside of what the SDK's core says, which is a structure printed out."""
    inner = re.search(r'message: "((?:[^"\\]|\\.)*)"', str(failure))
    return " ".join((inner[1] if inner else str(failure)).split())[:LONGEST_WORDS]


class Histories:
    """Fetches and replays."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._listener = Listener()
        self._turn = asyncio.Lock()
        """One replay at a time: what is heard belongs to the run that is being replayed."""
        self._replayer = Replayer(
            workflows=[OrderWorkflow],
            data_converter=client.data_converter,
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[self._listener],
            runtime=_quiet_runtime(),
        )

    async def replayed(self, run: Run) -> Replayed:
        """Raises `ServerUnreachable`."""
        try:
            history = await self._client.get_workflow_handle(run.order_id, run_id=run.run_id).fetch_history()
        except RPCError as error:
            raise ServerUnreachable(f"the history of {run.order_id} cannot be read: {error.message}") from None
        return await self.replayed_history(history)

    async def replayed_history(self, history: WorkflowHistory) -> Replayed:
        async with self._turn:
            self._listener.begin()
            result = await self._replayer.replay_workflow(history, raise_on_replay_failure=False)
            failure = result.replay_failure
            return Replayed(
                told=tuple(self._listener.told),
                standing=self._listener.standing(),
                trouble=None if failure is None else _words(failure),
            )

    async def standing(self, runs: Sequence[Run]) -> WorkflowStatus:
        """Where the order stands: the result of its workflow, or the end of a history that has none.

        Raises `ServerUnreachable`.
        """
        for run in reversed(runs):
            if run.status is WorkflowExecutionStatus.COMPLETED:
                return WorkflowStatus(await self._result(run), was_told=True, is_open=False, trouble=None)
            replayed = await self.replayed(run)
            if replayed.told or run.is_open or run.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
                was_told = bool(replayed.told) or len(runs) > 1
                return WorkflowStatus(replayed.standing, was_told, run.is_open, replayed.trouble)
        return WorkflowStatus(None, was_told=False, is_open=False, trouble=None)

    async def _result(self, run: Run) -> Order:
        handle = self._client.get_workflow_handle(run.order_id, run_id=run.run_id, result_type=Order)
        try:
            order: Order = await handle.result(follow_runs=False)
        except RPCError as error:
            raise ServerUnreachable(f"the result of {run.order_id} cannot be read: {error.message}") from None
        return order


class Listener(Interceptor):
    """Hears what a replayed workflow tells the ledger. Attempts that failed are left out: they changed nothing."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.told: list[Received | Recorded] = []
        self.instance: OrderWorkflow | None = None

    def standing(self) -> Order | None:
        return self.instance.order() if self.instance is not None else None

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        listener = self

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound, listener.told))

            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
                listener.instance = cast(OrderWorkflow, workflow.instance())
                return await super().execute_workflow(input)

        return Inbound


class Outbound(WorkflowOutboundInterceptor):
    def __init__(self, after: WorkflowOutboundInterceptor, told: list[Received | Recorded]) -> None:
        super().__init__(after)
        self._told = told

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        handle = super().start_local_activity(input)
        hear = HEARD.get(input.activity)
        if hear is not None:
            handle.add_done_callback(lambda done: self._hear(done, hear, input.args))
        return handle

    def _hear(self, done: Any, hear: "Hear", arguments: Sequence[Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            said = hear(arguments, done.result())
            self._told += [said] if said is not None else []


Hear = Callable[[Sequence[Any], Any], Received | Recorded | None]


def _received(arguments: Sequence[Any], verdict: Any) -> Received | None:
    """The guard entered the order, unless its id was in the ledger before."""
    order, run_id, fingerprint, _ = arguments
    if isinstance(verdict, Existing):
        return None
    approved = isinstance(verdict, Approval) and not verdict.policy.is_before_sign_off
    told = {"dry_run": verdict.dry_run, "tag": verdict.tag or order.tag}
    order = order.model_copy(update=told | {"approval": verdict.approval or order.approval})
    return Received(order=order, run_id=run_id, fingerprint=fingerprint, approved=approved, at=workflow.now())


def _recorded(arguments: Sequence[Any], refused: Any) -> Recorded | None:
    """Nothing was written where the ledger had more of it."""
    if refused is not None:
        return None
    order, entries, unsettled, *_ = arguments
    return Recorded(order=order, entries=tuple(entries), unsettled=unsettled, at=workflow.now())


HEARD: dict[str, Hear] = {"guard": _received, "record": _recorded}
"""The local activities that write into the ledger, by name."""
