"""Gets an account flat, durably: cancels open orders, then closes positions, and survives whoever asked.

One flatten an account at a time: who asks while one runs joins it, so nothing is closed twice. What it places are
orders like any other, through the guardian, which lets pass only what reduces a position. What it does not know it
does not close: a position waits until nothing is open or `UNKNOWN` in its symbol and product.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from durable_orders.activities.flatten import FlattenActivities
    from durable_orders.trading.flatten.flatten import Cancel, Change, Flatten, Progress, Step
    from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
    from durable_orders.trading.flatten.snapshot import OpenGtt, OpenOrder, Snapshot
    from durable_orders.trading.gtt.gtt import GttChange
    from durable_orders.trading.orders.order import Order, OrderIntent
    from durable_orders.workflows import calls, messages, names

FIRST_PAUSE = timedelta(milliseconds=100)
"""Between two looks, doubled as long as nothing but prices changes, up to what the step says."""
CHANGE_TIMEOUT = timedelta(seconds=10)
BOTH_RACED = timedelta(milliseconds=200)
MOST_WORDS = 200
MOST_LOOKS = 150
"""For an order that was started, and that the ledger does not have yet."""


@workflow.defn(name=names.FLATTEN_WORKFLOW)
class FlattenWorkflow:
    """Drives `Flatten`: shows it how the account stands, and does what it says."""

    @workflow.init
    def __init__(self, start: FlattenRequest | Progress) -> None:
        progress = start if isinstance(start, Progress) else Progress(requests=(start,))
        self._flatten = Flatten(progress, workflow.info().first_execution_run_id[-12:], follows=workflow.patched)
        self._joining: list[FlattenRequest] = []
        self._pause = FIRST_PAUSE

    def misread(self, words: str) -> None:
        workflow.logger.warning(words)

    @messages.signal("Somebody else asks for it, too", name=names.JOIN)
    def join(self, request: FlattenRequest) -> None:
        self._joining.append(request)

    @workflow.run
    async def run(self, start: FlattenRequest | Progress) -> FlattenResult:
        """Ends when nothing is open, and everything that was to be closed is closed or was given up."""
        while True:
            seen = await self._until_flat()
            result = await self._finish(seen)
            if not self._joining:
                return result

    async def _until_flat(self) -> Snapshot:
        """How the account stands in the end."""
        before: Snapshot | None = None
        while True:
            self._take_in_requests()
            seen = await self._look()
            step = self._flatten.step(seen, workflow.now())
            has_changed, before = seen.without_quotes() != before, seen.without_quotes()
            self._pause = FIRST_PAUSE if has_changed else min(2 * self._pause, step.pause)
            self._show(seen)
            await self._do(step)
            if step.is_done and not self._joining:
                return seen
            await self._wait()
            if workflow.info().is_continue_as_new_suggested() and not self._joining:
                workflow.continue_as_new(self._flatten.progress)

    async def _do(self, step: Step) -> None:
        for gtt in step.deletes:
            await self._delete(gtt)
        for words in step.alerts:
            await self._alert(words)
        if step.reminders and workflow.patched("what is not closed is told again"):
            for words in step.reminders:
                await self._alert(words)
        for cancel in step.cancels:
            await self._cancel(cancel)
        for change in step.changes:
            await self._change(change)
        for intent in step.orders:
            await self._place(intent)

    def _take_in_requests(self) -> None:
        joining, self._joining = self._joining, []
        for request in joining:
            self._flatten.join(request)

    async def _look(self) -> Snapshot:
        progress = self._flatten.progress
        return await workflow.execute_local_activity_method(
            FlattenActivities.snapshot,
            args=[list(progress.requests), list(progress.placed), list(progress.gtts)],
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
            summary="what is open, and what is held",
        )

    async def _alert(self, words: str) -> None:
        await workflow.execute_local_activity_method(
            FlattenActivities.alert,
            words,
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
        )

    async def _delete(self, gtt: OpenGtt) -> None:
        """By a workflow of its own, which goes on until the broker's list has shown what came of it."""
        request = self._flatten.request
        reason = f"flatten: {request.reason}"[:MOST_WORDS].replace("\x00", " ")
        change = GttChange(account=request.account, gtt_id=gtt.gtt_id, reason=reason)
        try:
            await workflow.start_child_workflow(
                names.GTT_CHANGE_WORKFLOW,
                change,
                parent_close_policy=ParentClosePolicy.ABANDON,
                **names.gtt_change_options(change),
            )
        except WorkflowAlreadyStartedError:
            return

    async def _cancel(self, cancel: Cancel) -> None:
        if cancel.again and not workflow.patched("an order's workflow is asked again"):
            return
        if not cancel.at_broker:
            if await self._signalled(cancel.order):
                return
            self._flatten.is_not_followed(cancel.order, workflow.now())
        await self._cancel_at_the_broker(cancel.order)

    async def _signalled(self, order: OpenOrder) -> bool:
        handle = workflow.get_external_workflow_handle(order.order_id)
        try:
            await handle.signal("cancel", self._flatten.request.reason)
        except ApplicationError:  # its workflow is gone
            return False
        return True

    async def _cancel_at_the_broker(self, order: OpenOrder) -> None:
        stored = await self._stored(order.order_id)
        if stored is not None and stored.broker_order_id is not None and not stored.status.terminal:
            await calls.cancel(stored)

    async def _stored(self, order_id: str) -> Order | None:
        return await workflow.execute_local_activity_method(
            FlattenActivities.stored_order,
            order_id,
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
        )

    async def _change(self, change: Change) -> None:
        """The next look tells whether it was made; where not, the order is placed anew."""
        try:
            await workflow.execute_activity_method(
                FlattenActivities.change_order,
                args=[change.order_id, change.amendment, change.number],
                schedule_to_close_timeout=calls.BROKER_TIMEOUT,
                start_to_close_timeout=CHANGE_TIMEOUT,
                retry_policy=calls.UNTIL_DONE,
                summary=f"another limit: {change.amendment.summary()}",
            )
        except ActivityError:
            return

    async def _place(self, intent: OrderIntent) -> None:
        """A reset finds one of the name."""
        try:
            await calls.start_order(intent)
        except WorkflowAlreadyStartedError:
            self._flatten.was_placed_before(intent.order_id, await self._recorded(intent.order_id))

    async def _recorded(self, order_id: str) -> Order | None:
        """`None` if the ledger does not have it within a while, as one that failed before it was checked."""
        for _ in range(MOST_LOOKS):
            if (stored := await self._stored(order_id)) is not None:
                return stored
            await workflow.sleep(BOTH_RACED)
        return None

    async def _wait(self) -> None:
        try:
            await workflow.wait_condition(lambda: bool(self._joining), timeout=self._pause)
        except TimeoutError:
            return

    async def _finish(self, seen: Snapshot) -> FlattenResult:
        return await workflow.execute_local_activity_method(
            FlattenActivities.finish,
            args=[self._flatten.progress, seen, self._flatten.problems(seen, workflow.now())],
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
            summary="how it ended",
        )

    def _show(self, seen: Snapshot) -> None:
        """What the Temporal UI shows."""
        rows = [f"- open: {order.status} {order.summary}" for order in seen.open]
        rows += [f"- to be deleted: GTT {each.gtt_id}, {each.status}" for each in seen.gtts]
        rows += [f"- held: {each.key}, {sum(each.slices)} to {each.side}" for each in seen.closings]
        rows += [f"- closing order {own} is on its way" for own in self._flatten.progress.placed]
        lines = [f"### Flatten: {self._flatten.request.reason}", "", *(rows or ["Nothing is open."])]
        workflow.set_current_details("\n".join(lines))


async def flatten(request: FlattenRequest) -> None:
    """From another workflow: start the account's flatten, or join the one that runs."""
    own = names.flatten_id(request.account)
    while True:
        try:
            await workflow.start_child_workflow(
                FlattenWorkflow.run,
                request,
                id=own,
                task_queue=names.orders_queue(request.account),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=names.flatten_summary(request.account, request.reason),
            )
        except WorkflowAlreadyStartedError:
            try:
                await workflow.get_external_workflow_handle(own).signal(FlattenWorkflow.join, request)
            except ApplicationError:  # it has just ended
                await workflow.sleep(BOTH_RACED)
                continue
        return
