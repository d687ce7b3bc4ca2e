"""Getting out, durably: cancels an account's open orders, then closes its positions, and survives whoever asked.

One unwinding an account at a time: who asks while one runs joins it, so nothing is closed twice. What it places are
orders like any other, through the guardian, which lets pass only what reduces a position. What it does not know it
does not close: a position waits until nothing is open or `UNKNOWN` in its symbol and product.
"""

from datetime import timedelta

from pydantic import AwareDatetime, Field
from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.unwinding import UnwindingActivities
    from trading.ledger.accounts import AccountState
    from trading.order import Frozen, Order, OrderIntent, order_id
    from trading.unwinding import (
        BETWEEN_ROUNDS,
        Closing,
        OpenOrder,
        Picture,
        Unwinding,
        Unwound,
        busy,
        closing_order,
        due,
        is_out,
        problems,
    )
    from workflows import calls, names

FIRST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=100), timedelta(seconds=5)
"""Between two looks, doubled as long as nothing changes."""
ASK_AGAIN = timedelta(seconds=5)
"""Between two requests to cancel an order that nobody else asks for."""
BOTH_RACED = timedelta(milliseconds=200)


class Progress(Frozen):
    """What was done so far. Continues as new with it."""

    request: Unwinding
    asked: tuple[str, ...] = ()
    """Orders that were open, and were asked to end."""
    alone: dict[str, AwareDatetime] = Field(default_factory=dict)
    """Those of them that no workflow follows, and when the broker was last asked to cancel each."""
    placed: dict[str, str] = Field(default_factory=dict)
    """Closing orders that may be open, with the position of each."""
    closed: tuple[str, ...] = ()
    """All closing orders."""
    rounds: dict[str, int] = Field(default_factory=dict)
    """By position."""
    next_round: dict[str, AwareDatetime] = Field(default_factory=dict)


@workflow.defn(name=names.UNWIND_WORKFLOW)
class UnwindWorkflow:
    @workflow.init
    def __init__(self, start: Unwinding | Progress) -> None:
        self._progress = start if isinstance(start, Progress) else Progress(request=start)
        self._joining: list[Unwinding] = []
        self._pause = FIRST_PAUSE

    @workflow.signal(name=names.JOIN, description="Somebody else wants out, too")
    def join(self, request: Unwinding) -> None:
        self._joining.append(request)

    @workflow.run
    async def run(self, start: Unwinding | Progress) -> Unwound:
        """Ends when nothing is open, and everything that was to be closed is closed or was tried `ROUNDS` times."""
        while True:
            await self._until_out()
            unwound = await self._finish()
            if not self._joining:
                return unwound

    async def _until_out(self) -> None:
        before: Picture | None = None
        while True:
            self._take_in()
            picture = await self._look()
            self._pause = FIRST_PAUSE if picture != before else min(2 * self._pause, LONGEST_PAUSE)
            before = picture
            if picture.state is AccountState.ACTIVE:
                return  # resumed in the meantime
            await self._cancel(picture.open)
            if picture.state is AccountState.REDUCING:
                await self._close(picture)
            if self._is_out(picture):
                return
            await self._wait()
            if workflow.info().is_continue_as_new_suggested() and not self._joining:
                workflow.continue_as_new(self._progress)

    def _take_in(self) -> None:
        joining, self._joining = self._joining, []
        for request in joining:
            self._note(request=self._progress.request.joined_by(request), rounds={}, next_round={})

    async def _look(self) -> Picture:
        placed = self._progress.placed
        picture = await workflow.execute_local_activity_method(
            UnwindingActivities.picture,
            args=[self._progress.request, list(placed)],
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
            summary="what is open, and what is held",
        )
        self._note(placed={own: position for own, position in placed.items() if own not in picture.over})
        workflow.set_current_details(_card(self._progress, picture))
        return picture

    async def _cancel(self, orders: tuple[OpenOrder, ...]) -> None:
        """An order with a workflow is asked once: its request stands. The others are asked until they are gone."""
        for order in orders:
            if order.order_id not in self._progress.asked:
                self._note(asked=(*self._progress.asked, order.order_id))
                if order.followed and await self._signalled(order):
                    continue
            elif order.followed and order.order_id not in self._progress.alone:
                continue
            await self._cancel_at_the_broker(order)

    async def _signalled(self, order: OpenOrder) -> bool:
        handle = workflow.get_external_workflow_handle(order.order_id)
        try:
            await handle.signal("cancel", self._progress.request.reason)
        except ApplicationError:  # its workflow is gone
            return False
        return True

    async def _cancel_at_the_broker(self, order: OpenOrder) -> None:
        asked_at = self._progress.alone.get(order.order_id)
        if asked_at is not None and workflow.now() - asked_at < ASK_AGAIN:
            return
        self._note(alone=self._progress.alone | {order.order_id: workflow.now()})
        stored = await workflow.execute_local_activity_method(
            UnwindingActivities.stored_order,
            order.order_id,
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
        )
        if stored is not None and stored.broker_order_id is not None and not stored.status.terminal:
            await calls.cancel(stored)

    async def _close(self, picture: Picture) -> None:
        for closing in due(picture, busy(picture, self._progress.placed), self._progress.rounds):
            position = closing.position
            if workflow.now() < self._progress.next_round.get(position, workflow.now()):
                continue
            tries = self._progress.rounds.get(position, 0) + 1
            self._note(
                rounds=self._progress.rounds | {position: tries},
                next_round=self._progress.next_round | {position: workflow.now() + BETWEEN_ROUNDS * 2**tries},
            )
            for quantity in closing.slices:
                await self._place(self._order_for(closing, quantity, picture), position)

    def _order_for(self, closing: Closing, quantity: int, picture: Picture) -> OrderIntent:
        own = workflow.info().first_execution_run_id[-12:]
        name = f"flatten-{own}-{len(self._progress.closed) + 1}"
        return closing_order(self._progress.request, name, closing, quantity, picture.mode)

    async def _place(self, intent: OrderIntent, position: str) -> None:
        """The order lives on whatever becomes of this workflow."""
        own = order_id(intent.account, intent.client_order_id)
        self._note(placed=self._progress.placed | {own: position}, closed=(*self._progress.closed, own))
        await workflow.start_child_workflow(
            names.ORDER_WORKFLOW,
            intent,
            id=own,
            result_type=Order,
            task_queue=names.orders_queue(intent.account),
            parent_close_policy=ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            search_attributes=names.order_attributes(intent),
            task_timeout=names.TASK_TIMEOUT,
            memo={names.FINGERPRINT: intent.fingerprint()},
            static_summary=intent.summary(),
        )

    def _is_out(self, picture: Picture) -> bool:
        progress = self._progress
        return not self._joining and is_out(progress.request, picture, progress.placed, progress.rounds)

    async def _wait(self) -> None:
        try:
            await workflow.wait_condition(lambda: bool(self._joining), timeout=self._pause)
        except TimeoutError:
            return

    async def _finish(self) -> Unwound:
        progress = self._progress
        return await workflow.execute_local_activity_method(
            UnwindingActivities.finish,
            args=[progress.request, list(progress.asked), list(progress.closed), problems(progress.rounds)],
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
            summary="how it ended",
        )

    def _note(self, **changes: object) -> None:
        self._progress = self._progress.model_copy(update=changes)


async def unwind(request: Unwinding) -> None:
    """From another workflow: start the account's unwinding, or join the one that runs."""
    own = names.unwind_id(request.account)
    while True:
        try:
            await workflow.start_child_workflow(
                UnwindWorkflow.run,
                request,
                id=own,
                task_queue=names.orders_queue(request.account),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Get account {request.account} out: {request.reason}"[:200],
            )
        except WorkflowAlreadyStartedError:
            try:
                await workflow.get_external_workflow_handle(own).signal(UnwindWorkflow.join, request)
            except ApplicationError:  # it has just ended
                await workflow.sleep(BOTH_RACED)
                continue
        return


def _card(progress: Progress, picture: Picture) -> str:
    """What the Temporal UI shows."""
    rows = [f"- open: {order.status} {order.summary}" for order in picture.open]
    rows += [f"- held: {closing.position}, {sum(closing.slices)} to {closing.side}" for closing in picture.closings]
    rows += [f"- closing order {own} is on its way" for own in progress.placed]
    return "\n".join([f"### Getting out: {progress.request.reason}", "", *(rows or ["Nothing is open."])])
