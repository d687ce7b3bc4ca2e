"""One order, as the client has it: waits for it, cancels, amends and settles it."""

import asyncio
import logging
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.answers import ENDED_FROM_OUTSIDE, domain_error, unreachable
from durable_orders.not_started import as_it_stands
from durable_orders.trading import errors
from durable_orders.trading.explained import explained
from durable_orders.trading.ledger.reading import (
    FeedEvent,
    events_of,
    find_order,
)
from durable_orders.trading.orders.decision import Decision, problem_with
from durable_orders.trading.orders.order import (
    Amendment,
    Order,
    OrderId,
    is_adopted,
)
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.workflows import names

if TYPE_CHECKING:
    from durable_orders.orders import Orders

log = logging.getLogger(__name__)

PLACED, AMEND, CANCEL, SETTLE = "placed", "amend", "cancel", "settle"
"""The workflow's updates and its signal, by name: with the workflow itself every activity and the broker's client would
be loaded, a second for each command. A test holds the names and the workflow together."""
PLACED_SECONDS = 10.0
"""How long `placed` waits by default. The order goes on without the one who waits."""
SEEN_WITHIN = 10.0
"""Seconds for an order's workflow to see what the broker itself was asked for."""
ASK_AGAIN = 0.5
"""Seconds, while an order waits for its workflow's next run."""
RECORDED_WITHIN = timedelta(seconds=10)
"""What a worker began to check when its workflow was terminated is in the ledger by then."""
TAKEN_WITHIN, ASKED_WITHIN = 0.7, timedelta(seconds=0.5)
"""In which a workflow has taken a cancel in hand, and the server and the ledger have answered, if all is well; else the
broker itself is asked, so that a cancel is out within two seconds."""
DIRECTLY = 5.0
"""Seconds that are taken for it, however short the wait for the end."""


class OrderHandle:
    """One order, by its id. Cheap to make; everything it says comes from the workflow or the ledger."""

    def __init__(self, orders: "Orders", order_id: OrderId) -> None:
        self.order_id = order_id
        self._orders = orders
        self._workflow: WorkflowHandle[Any, Order] = orders.client.get_workflow_handle(order_id, result_type=Order)

    async def placed(self, timeout: float = PLACED_SECONDS) -> Order:
        """The order once it is at the broker, has ended or waits for a person; as it stands after `timeout` seconds.

        Raises `OrderNotFound`, `DuplicateOrder`, `ServerUnreachable`.
        """
        try:
            answer = await self._update(PLACED, names.ANY_CONTENT, timeout)
        except errors.OrderNotFound:  # nobody follows it at present
            answer = None
        return answer or await self.now()

    async def result(self) -> Order:
        """The order at its proved end, however long that takes; also through a reset of its workflow, and when it is
        taken up again after somebody has terminated it.

        Raises `DuplicateOrder` where its id turned out to be that of another, and `ServerUnreachable`; whatever else
        made its workflow fail is a `BrokenError`.
        """
        while True:
            ended = await self._end_of_run()
            if ended is not None:
                return ended
            await asyncio.sleep(ASK_AGAIN)

    async def _end_of_run(self, run_id: str | None = None) -> Order | None:
        """The order as that run of its workflow left it, or the latest. `None` if the run was ended from outside while
        the order is open: another one goes on with it. Raises the error that the workflow ended with.
        """
        run = self._workflow if run_id is None else self._run(run_id)
        try:
            return await run.result()
        except WorkflowFailureError as error:
            if not isinstance(error.cause, ENDED_FROM_OUTSIDE):
                raise domain_error(error.cause) from None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(error) from None
        recorded = await self._recorded()
        if recorded is None:
            await self._must_be_new()
        return recorded if recorded is not None and recorded.status.terminal else None

    async def _must_be_new(self) -> None:
        """Raises `BrokenError` for an order that was terminated before any worker took it, which nobody will take up
        again, and `OrderNotFound` if there is none. What a worker has just taken gets a moment to be recorded.
        """
        try:
            closed = (await self._workflow.describe()).close_time
        except RPCError as error:
            raise self._not_found() if error.status is RPCStatusCode.NOT_FOUND else unreachable(error) from None
        if closed is not None and datetime.now(UTC) - closed > RECORDED_WITHIN:
            raise errors.BrokenError(f"{self.order_id} was ended before any worker took it: nothing was sent")

    async def _over(self) -> Order | None:
        """The order if its workflow has come to its end; `None` if another run follows it, or has to. Raises the error
        that the workflow ended with, and `OrderNotFound` for an order that never has one.
        """
        try:
            latest = await self._workflow.describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(error) from None
            order = await self.now()
            if is_adopted(self.order_id) and not order.status.terminal:
                raise errors.OrderNotFound(
                    f"{self.order_id} has no workflow: the watch follows it in the ledger"
                ) from None
            return order if order.status.terminal else None
        return None if latest.status is WorkflowExecutionStatus.RUNNING else await self._end_of_run(latest.run_id)

    def _run(self, run_id: str) -> WorkflowHandle[Any, Order]:
        return self._orders.client.get_workflow_handle(self.order_id, run_id=run_id, result_type=Order)

    async def _recorded(self) -> Order | None:
        return await self._orders.read(lambda connection: find_order(connection, self.order_id))

    def _not_found(self) -> errors.OrderNotFound:
        return errors.OrderNotFound(f"no order {self.order_id}")

    async def now(self) -> Order:
        """The order as the ledger has it, or as its workflow's history has it before the first recording.

        Raises `OrderNotFound`.
        """
        return await as_it_stands(self._orders.client, self._orders.database, self.order_id)

    async def events(self) -> list[FeedEvent]:
        """Everything recorded about the order, oldest first."""
        return await self._orders.read(lambda connection: events_of(connection, self.order_id))

    async def cancel(self, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """Cancel and wait for the proved end: the book decides between the cancel and a fill.

        The request is a signal, so it stands from the moment the server has it. Where nobody takes it within a second,
        because the server, the workflow or its worker is gone, the broker itself is asked at once, by its own id or by
        the order's tag in its book; that is logged as a warning. Returns the order as it stands if the end takes longer
        than `timeout` seconds. Raises `OrderNotFound`, and `ServerUnreachable` if the broker could not be asked either.
        """
        asking = asyncio.create_task(self._ask_to_cancel(reason))
        by_workflow = asyncio.create_task(self._cancelled(reason, asking))
        ended: Order | None = None
        try:
            await asyncio.wait({asking}, timeout=TAKEN_WITHIN)  # first, and however short the wait for the end
            was_asked = asking.done() and asking.exception() is None and asking.result()
            async with asyncio.timeout(timeout if was_asked else max(timeout, DIRECTLY)):
                if not await self._is_taken(by_workflow):
                    ended = await self._cancelled_directly(by_workflow)
                    if ended is not None:  # the workflow, where there is one, has yet to see and record it
                        await asyncio.wait({by_workflow}, timeout=SEEN_WITHIN)
                    if ended is not None and (not by_workflow.done() or by_workflow.exception() is not None):
                        return ended
                return await by_workflow
        except TimeoutError:
            return ended or await self.now()
        finally:
            asking.cancel()
            by_workflow.cancel()
            await asyncio.gather(asking, by_workflow, return_exceptions=True)

    async def _is_taken(self, by_workflow: "asyncio.Task[Order]") -> bool:
        """Whether the cancel has come to its end, or somebody has it in hand, after a moment."""
        await asyncio.wait({by_workflow}, timeout=TAKEN_WITHIN)
        if by_workflow.done():
            error = by_workflow.exception()
            is_external = isinstance(error, errors.OrderNotFound) and is_adopted(self.order_id)
            return not (is_external or isinstance(error, errors.ServerUnreachable))
        return await self._is_recorded_as_cancelled() or await self._is_asking_the_broker()

    async def _is_recorded_as_cancelled(self) -> bool:
        try:
            async with asyncio.timeout(ASKED_WITHIN.total_seconds()):
                recorded = await self._recorded()
        except (TimeoutError, SQLAlchemyError, errors.LedgerUnusable):
            return False
        return recorded is not None and recorded.cancel_requested

    async def _is_asking_the_broker(self) -> bool:
        try:
            told = await self._workflow.describe(rpc_timeout=ASKED_WITHIN)
        except RPCError:
            return False
        return any(one.activity_type.name == CANCEL for one in told.raw_description.pending_activities)

    async def _cancelled_directly(self, by_workflow: "asyncio.Task[Order]") -> Order | None:
        """The order, if the broker's book shows its end, or nobody else will tell it."""
        try:
            order, asked = await self._orders._cancel_directly(self.order_id)
        except (errors.DurableOrdersError, SQLAlchemyError) as error:
            log.warning("%s: nobody took its cancel, and the broker could not be asked: %s", self.order_id, error)
            return None
        for each in asked:
            log.warning("%s: nobody took its cancel: %s", self.order_id, each)
        has_ended = order is not None and order.status.terminal
        return order if has_ended or (asked and by_workflow.done()) else None

    async def _cancelled(self, reason: str, asking: "asyncio.Task[bool]") -> Order:
        """Asked of each run anew: the one after a reset, or of an order that is taken up, need not know of it."""
        was_asked = await asking
        while True:
            ended = await self._end_of_run() if was_asked else await self._over()
            if ended is not None:
                return ended
            await asyncio.sleep(ASK_AGAIN)
            was_asked = await self._ask_to_cancel(reason)

    async def _ask_to_cancel(self, reason: str) -> bool:
        """Whether there is a run of the workflow that was asked."""
        try:
            await self._workflow.signal(CANCEL, reason)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(error) from None
            return False
        return True

    async def amend(self, change: Amendment, timeout: float = 30.0) -> Order:
        """Change a working order. Raises `InvalidOrder` with the reason where that is not possible, and `UnknownError`
        if there is no answer within `timeout` seconds: then the change may still be made.
        """
        order = await self._update(AMEND, change, timeout)
        order_id = self.order_id.split(":", 2)[-1]
        if order is None:
            raise errors.UnknownError(
                f"{order_id}: no answer to the change within {timeout:.0f} s; it may still be made"
            )
        if order.status.terminal and not change.is_in(order):
            raise errors.InvalidOrder(f"{order_id} cannot be amended, it has ended: {order.status}")
        return order

    async def approve(self, who: str, timeout: float = PLACED_SECONDS) -> Order:
        """Let an order be sent that waits for a person's approval; `who` is kept. The guardian judges it once more.
        Said again by the same one, it stands.

        The order once it is at the broker or has ended. Raises `InvalidOrder` for one that waits for nobody's approval,
        and `UnknownError` without an answer within `timeout` seconds: the approval may still stand.
        """
        order = await self._decided(names.APPROVE, who, "", timeout)
        if order.approval is None or order.approval.approved_by != who:  # its workflow was over before
            raise errors.InvalidOrder(f"{order.client_order_id}: {problem_with(order)}")
        return order

    async def decline(self, who: str, reason: str = "", timeout: float = PLACED_SECONDS) -> Order:
        """Reject an order that waits for a person's approval: it is never sent. Raises as `approve`."""
        order = await self._decided(names.DECLINE, who, reason, timeout)
        if not any(
            f"{each}:".startswith(f"DECLINED: {who}:") for each in order.reasons
        ):  # its workflow was over before
            raise errors.InvalidOrder(f"{order.client_order_id}: {problem_with(order)}")
        return order

    async def _decided(self, update: str, who: str, reason: str, timeout: float) -> Order:
        try:
            said = Decision(who=who, reason=reason)
        except ValidationError as error:
            raise explained(error) from None
        order = await self._update(update, said, timeout)
        if order is None:
            order_id = self.order_id.split(":", 2)[-1]
            raise errors.UnknownError(f"{order_id}: no answer within {timeout:.0f} s; what was said may still stand")
        return order

    async def settle(self, settlement: Settlement, timeout: float = 30.0) -> Order:
        """Say what became of an order that is to be reviewed, as nothing can prove it any more. Raises `InvalidOrder`
        for what cannot be said of it, and `UnknownError` without an answer within `timeout` seconds.
        """
        try:
            order = await self._update(SETTLE, settlement, timeout)
        except errors.OrderNotFound:  # the watch follows it in the ledger alone
            return await self._orders.settle(self.order_id, settlement)
        if order is None:
            order_id = self.order_id.split(":", 2)[-1]
            raise errors.UnknownError(f"{order_id}: no answer within {timeout:.0f} s; it may still be settled")
        if not settlement.was_said_of(order):  # its workflow was over before
            raise errors.InvalidOrder(settlement.problem_with(order) or f"{self.order_id} was not settled")
        return order

    async def _update(
        self, name: str, content: str | Amendment | Settlement | Decision, timeout: float
    ) -> Order | None:
        """The answer of the workflow, or of the ledger once the workflow is over; `None` without one in time. After a
        run that was ended from outside the next one is asked, under the same id: it is done once.

        Raises `OrderNotFound` if there is no workflow in all that time.
        """
        request, is_followed = str(uuid.uuid4()), True
        try:
            async with asyncio.timeout(timeout):
                while True:
                    answer, is_followed = await self._updated(name, content, request)
                    if answer is not None:
                        return answer
                    await asyncio.sleep(ASK_AGAIN)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            if not is_followed:
                raise errors.OrderNotFound(f"{self.order_id}: no workflow follows it") from None
            return None

    async def _updated(
        self, name: str, content: str | Amendment | Settlement | Decision, request: str
    ) -> tuple[Order | None, bool]:
        """The answer, if there is one, and whether there was a run to give it."""
        try:
            updated: Order = await self._workflow.execute_update(name, content, id=request, result_type=Order)
        except WorkflowUpdateFailedError as error:
            if not _was_cut_off(error):
                raise domain_error(error.cause) from None
            return await self._over(), True
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unreachable(error) from None
            return await self._over(), False
        return updated, True


def _was_cut_off(error: WorkflowUpdateFailedError) -> bool:
    """Whether the run ended before it could answer, by a reset for instance, which does what was asked in the next."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == "AcceptedUpdateCompletedWorkflow"
