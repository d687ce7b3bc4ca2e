"""The client's side of plans: start one, see how it stands, cancel and change it."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from temporalio.client import (
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.answers import domain_error, unreachable
from durable_orders.plans_not_started import as_started, plans_not_started
from durable_orders.trading import errors
from durable_orders.trading.ledger.plans import find_plan, stored_view
from durable_orders.trading.plans.kinds import AnyIntent, state_of, view_of
from durable_orders.trading.plans.pacing import Pace, Paced, PacedStart
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.trading.plans.state import PlanView
from durable_orders.workflows import names

if TYPE_CHECKING:
    from durable_orders.orders import Orders

BEGUN, AMEND, CANCEL, SHOW = "begun", "amend", "cancel", "plan"
"""The workflow's updates, its signal and its query, by name: with the workflow every activity would be loaded."""
PACED_SECONDS = 40.0
"""How long a market waits for a plan's workflow: longer than that waits for its orders (`REST_WITHIN`)."""
SHOW_SECONDS = 2.0
"""How long a worker has to tell how a plan stands that the ledger does not have."""
POLL = 0.2
"""Seconds between two looks at the ledger."""


class Plans:
    """Those of one account."""

    def __init__(self, orders: "Orders") -> None:
        self._orders = orders

    async def start(self, intent: AnyIntent, timeout: float) -> PlanView:
        """The plan once its first order is at the broker or waits for a person, or it has ended; as it stands if that
        takes longer. Raises `DuplicateOrder` for an id with other content, and `ServerUnreachable`."""
        is_new = await self.begin(intent)
        return await self.begun(intent, timeout, is_new=is_new)

    async def begin(self, intent: AnyIntent, at: datetime | None = None) -> bool:
        """Start a plan, and wait for nothing of it; whether this call started it. With `at` its time is the market's,
        and stands still until it is told of another (`pace`). Raises as `start`.

        The server forgets a plan some time after its end, the ledger does not: one that has ended is not started again.
        """
        known = await self._recorded(intent)
        if known is not None and known.status.terminal:
            return False
        try:
            await self._orders.client.start_workflow(
                names.PLAN_WORKFLOW,
                PacedStart(intent=intent, at=at) if at is not None else intent,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **names.plan_options(intent),
            )
        except WorkflowAlreadyStartedError:
            await self._must_be_same(intent)
            return False
        except RPCError as error:
            raise unreachable(error) from None
        return known is None

    async def pace(self, plan_id: str, pace: Pace) -> Paced | None:
        """How a plan stands when it has done all that there was to do at that moment; `None` for one whose workflow is
        over, or gone for the moment. Raises `ServerUnreachable`."""
        try:
            async with asyncio.timeout(PACED_SECONDS):
                found: Paced = await self._handle(plan_id).execute_update(names.PACE, pace, result_type=Paced)
                return found
        except (TimeoutError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError):
            return None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise unreachable(error) from None

    async def ask_to_cancel(self, plan_id: str, reason: str, *, flatten: bool) -> None:
        """Ask, and wait for nothing. Raises `OrderNotFound`, `ServerUnreachable`."""
        await self._ask_to_cancel(plan_id, reason, flatten=flatten)

    async def _must_be_same(self, intent: AnyIntent) -> None:
        if await self._recorded(intent) is not None:
            return
        try:
            description = await self._handle(intent.plan_id).describe()
        except RPCError as error:
            raise unreachable(error) from None
        _must_have(intent, await description.memo_value(names.FINGERPRINT, "", type_hint=str))

    async def _recorded(self, intent: AnyIntent) -> PlanView | None:
        """A plan as the ledger has it. Raises `DuplicateOrder` where that is another one of its id."""
        account = self._orders.settings.account

        def ask(connection: sa.Connection) -> tuple[str, PlanView] | None:
            found = find_plan(connection, account, intent.plan_id)
            view = stored_view(connection, account, intent.plan_id)
            return None if found is None or view is None else (found[1], view)

        known = await self._orders.read(ask)
        if known is None:
            return None
        _must_have(intent, known[0])
        return known[1]

    async def begun(self, intent: AnyIntent, timeout: float, *, is_new: bool) -> PlanView:
        """A plan that was started, once its first order is at the broker or waits for a person, or it has ended; as it
        stands if that takes longer. `is_new` is whether it was started just now: then it is known to be, whoever
        answers. Raises `DuplicateOrder`, and `ServerUnreachable` for one that is not new."""
        try:
            async with asyncio.timeout(timeout):
                view: PlanView = await self._handle(intent.plan_id).execute_update(
                    BEGUN, names.ANY_CONTENT, result_type=PlanView
                )
                return view
        except WorkflowUpdateFailedError as error:
            raise domain_error(error.cause) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            return await self._as_it_stands(intent, is_new=is_new)
        except RPCError as error:
            is_over = error.status is RPCStatusCode.NOT_FOUND
            return await self._as_it_stands(intent, is_new=is_new and not is_over)

    async def _as_it_stands(self, intent: AnyIntent, *, is_new: bool) -> PlanView:
        try:
            return await self._recorded(intent) or await self.show(intent.plan_id)
        except errors.ServerUnreachable:
            if not is_new:
                raise
            return view_of(state_of(intent, datetime.now(UTC)))

    async def intent(self, plan_id: str) -> AnyIntent:
        """What was asked for. Raises `OrderNotFound` for one that is not recorded."""
        account = self._orders.settings.account
        found = await self._orders.read(lambda connection: find_plan(connection, account, plan_id))
        if found is None:
            raise errors.PlanNotFound(f"no plan {plan_id[:64]!r}")
        return found[0].intent

    async def show(self, plan_id: str) -> PlanView:
        """As the ledger has it; one that no worker has begun, as it was started; else as its workflow tells. Raises
        `OrderNotFound`, and `ServerUnreachable`, also where no worker tells."""
        account = self._orders.settings.account
        found = await self._stored(plan_id) or await as_started(self._orders.client, account, plan_id)
        found = found or await self._stored(plan_id)  # which a worker has begun meanwhile
        if found is not None:
            return found
        try:
            async with asyncio.timeout(SHOW_SECONDS):
                view: PlanView = await self._handle(plan_id).query(SHOW, result_type=PlanView)
                return view
        except TimeoutError:
            words = f"{plan_id}: the ledger does not have it, and no worker tells how it stands"
            raise errors.ServerUnreachable(words) from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise errors.PlanNotFound(f"no plan {plan_id[:64]!r}") from None
            raise unreachable(error) from None

    async def _stored(self, plan_id: str) -> PlanView | None:
        account = self._orders.settings.account
        return await self._orders.read(lambda connection: stored_view(connection, account, plan_id))

    async def not_started(self) -> list[PlanView]:
        """Those that the server has and no worker has begun, newest first. Raises `ServerUnreachable`."""
        orders = self._orders
        return await plans_not_started(orders.client, orders.database, orders.settings.account)

    async def cancel(self, plan_id: str, reason: str, *, flatten: bool, timeout: float) -> PlanView:
        """The plan at its end, or as it stands after so many seconds: the request stands then, and goes on. It needs no
        worker. Raises `OrderNotFound`, and `ServerUnreachable`, also where in that time nothing was there to take it.
        """
        before = await self._stored(plan_id)
        if before is not None and before.status.terminal:
            return before
        is_asked = await self._is_asked_to_cancel(plan_id, reason, flatten=flatten)
        try:
            async with asyncio.timeout(timeout):
                if not is_asked:
                    await self._ask_to_cancel(plan_id, reason, flatten=flatten)
                    is_asked = True
                return await self._ended(plan_id)
        except TimeoutError:
            if not is_asked:
                words = f"{plan_id}: no workflow follows it at present, and it was not asked to cancel: ask again"
                raise errors.ServerUnreachable(words) from None
            return await self.show(plan_id)

    async def _ended(self, plan_id: str) -> PlanView:
        while True:
            view = await self._stored(plan_id)
            if view is not None and view.status.terminal:
                return view
            await asyncio.sleep(POLL)

    async def _ask_to_cancel(self, plan_id: str, reason: str, *, flatten: bool) -> None:
        """A plan whose workflow is gone is taken up within seconds, and asked then."""
        while True:
            if await self._is_asked_to_cancel(plan_id, reason, flatten=flatten):
                return
            await asyncio.sleep(POLL)

    async def _is_asked_to_cancel(self, plan_id: str, reason: str, *, flatten: bool) -> bool:
        """Whether it was asked, or has ended; not where its workflow is gone for the moment."""
        try:
            await self._handle(plan_id).signal(CANCEL, args=[reason, flatten])
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(error) from None
            return (await self.show(plan_id)).status.terminal
        return True

    async def amend(self, plan_id: str, change: PlanChange, timeout: float) -> PlanView:
        """Raises `InvalidOrder` with the field and the rule, `UnknownError` without an answer, `OrderNotFound`."""
        await self.show(plan_id)
        try:
            async with asyncio.timeout(timeout):
                view: PlanView = await self._handle(plan_id).execute_update(AMEND, change, result_type=PlanView)
                return view
        except WorkflowUpdateFailedError as error:
            raise domain_error(error.cause) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise errors.UnknownError(f"{plan_id}: no answer within {timeout:.0f} s; it may still be changed") from None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(error) from None
            raise errors.InvalidOrder(f"{plan_id}: the plan has ended") from None

    async def result(self, plan_id: str) -> PlanView:
        """The plan at its end, however long that takes; also when it is taken up again by another run. Raises
        `OrderNotFound`, `DuplicateOrder`, `ServerUnreachable`."""
        while True:
            try:
                return await self._handle(plan_id).result()
            except WorkflowFailureError:
                view = await self.show(plan_id)
                if view.status.terminal:
                    return view
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise unreachable(error) from None
                await self.show(plan_id)
            await asyncio.sleep(POLL)

    def _handle(self, plan_id: str) -> WorkflowHandle[Any, PlanView]:
        own = names.plan_workflow_id(self._orders.settings.account, plan_id)
        return self._orders.client.get_workflow_handle(own, result_type=PlanView)


def _must_have(intent: AnyIntent, fingerprint: str) -> None:
    """Raises `DuplicateOrder` where the plan of that id has another one."""
    if fingerprint != intent.fingerprint():
        raise errors.DuplicateOrder(f"id: {intent.plan_id} is the id of another plan")
