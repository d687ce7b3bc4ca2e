"""The client's side of plans: start one, see how it stands, cancel and change it."""

import asyncio
from typing import TYPE_CHECKING, Any

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
from durable_orders.trading import errors
from durable_orders.trading.ledger.plans import find_plan, stored_view
from durable_orders.trading.plans.plan import PlanChange, PlanIntent
from durable_orders.trading.plans.state import PlanView
from durable_orders.workflows import names

if TYPE_CHECKING:
    from durable_orders.orders import Orders

BEGUN, AMEND, CANCEL, SHOW = "begun", "amend", "cancel", "plan"
"""The workflow's updates, its signal and its query, by name: with the workflow every activity would be loaded."""
POLL = 0.2
"""Seconds between two looks at the ledger."""


class Plans:
    """Those of one account."""

    def __init__(self, orders: "Orders") -> None:
        self._orders = orders

    async def start(self, intent: PlanIntent, timeout: float) -> PlanView:
        """The plan once its first order is at the broker or it has ended; as it stands if that takes longer. Raises
        `DuplicateOrder` for an id with other content, and `ServerUnreachable`."""
        try:
            await self._orders.client.start_workflow(
                names.PLAN_WORKFLOW,
                intent,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **names.plan_options(intent),
            )
        except WorkflowAlreadyStartedError:
            await self._must_be_same(intent)
        except RPCError as error:
            raise unreachable(error) from None
        return await self._begun(intent.plan_id, timeout)

    async def _must_be_same(self, intent: PlanIntent) -> None:
        account = self._orders.settings.account
        known = await self._orders.read(lambda connection: find_plan(connection, account, intent.plan_id))
        if known is not None:
            fingerprint = known[1]
        else:
            description = await self._handle(intent.plan_id).describe()
            fingerprint = await description.memo_value(names.FINGERPRINT, "", type_hint=str)
        if fingerprint != intent.fingerprint():
            raise errors.DuplicateOrder(f"id: {intent.plan_id} is the id of another plan")

    async def _begun(self, plan_id: str, timeout: float) -> PlanView:
        try:
            async with asyncio.timeout(timeout):
                view: PlanView = await self._handle(plan_id).execute_update(
                    BEGUN, names.ANY_CONTENT, result_type=PlanView
                )
                return view
        except WorkflowUpdateFailedError as error:
            raise domain_error(error.cause) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            return await self.show(plan_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(error) from None
            return await self.show(plan_id)  # it is over

    async def show(self, plan_id: str) -> PlanView:
        """As the ledger has it, or its workflow before the first recording. Raises `OrderNotFound`."""
        account = self._orders.settings.account
        found = await self._orders.read(lambda connection: stored_view(connection, account, plan_id))
        if found is not None:
            return found
        try:
            view: PlanView = await self._handle(plan_id).query(SHOW, result_type=PlanView)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise errors.OrderNotFound(f"no plan {plan_id[:64]!r}") from None
            raise unreachable(error) from None
        return view

    async def cancel(self, plan_id: str, reason: str, *, flatten: bool, timeout: float) -> PlanView:
        """The plan at its end, or as it stands after so many seconds: the request stands then, and goes on. Raises
        `OrderNotFound`, `ServerUnreachable`."""
        before = await self.show(plan_id)
        if before.status.terminal:
            return before
        try:
            async with asyncio.timeout(timeout):
                await self._ask_to_cancel(plan_id, reason, flatten=flatten)
                return await self._ended(plan_id)
        except TimeoutError:
            return await self.show(plan_id)

    async def _ended(self, plan_id: str) -> PlanView:
        while True:
            view = await self.show(plan_id)
            if view.status.terminal:
                return view
            await asyncio.sleep(POLL)

    async def _ask_to_cancel(self, plan_id: str, reason: str, *, flatten: bool) -> None:
        """A plan whose workflow is gone is taken up within seconds, and asked then."""
        while True:
            try:
                await self._handle(plan_id).signal(CANCEL, args=[reason, flatten])
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise unreachable(error) from None
                if (await self.show(plan_id)).status.terminal:
                    return
                await asyncio.sleep(POLL)
            else:
                return

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
