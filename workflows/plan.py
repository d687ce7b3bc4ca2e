"""The life of a plan, as a workflow: its orders are children that go on whatever becomes of it.

Handlers record; `run` does what the plan's process (`trading/plans/process.py`) says is to be done next. Whatever was
done to this workflow, the orders are named after the plan, so none is placed twice, and what they have come to is taken
from the ledger before anything else is done.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from durable_orders.activities.plans import PlanActivities
    from durable_orders.trading.orders.order import Frozen, Order, OrderIntent
    from durable_orders.trading.plans import actions, news, standing
    from durable_orders.trading.plans.plan import PlanChange, PlanIntent
    from durable_orders.trading.plans.process import PlanProcess
    from durable_orders.trading.plans.state import WORKING, PlanState, PlanView
    from durable_orders.workflows import calls, messages, names


R = TypeVar("R")


class CarriedPlan(Frozen):
    """What a workflow that continues as new takes with it."""

    state: PlanState


def _refused(words: str, kind: str = "InvalidOrder") -> ApplicationError:
    return ApplicationError(words, type=kind, non_retryable=True)


@workflow.defn(name=names.PLAN_WORKFLOW, failure_exception_types=[ValidationError])
class PlanWorkflow:
    """One plan, under the id `plan:ACCOUNT:PLAN_ID`. Its result is how it stood at its end."""

    @workflow.init
    def __init__(self, start: PlanIntent | CarriedPlan) -> None:
        if isinstance(start, CarriedPlan):
            state = start.state
        else:
            state = PlanState.of(start, workflow.info().workflow_start_time)
        self._intent = state.intent
        self._process = PlanProcess(state, is_admitted=isinstance(start, CarriedPlan))
        self._recorded: PlanView | None = None
        self._changes_asked = self._changes_recorded = 0
        self._life: asyncio.Task[PlanView] | None = None
        workflow.register_random_seed_callback(lambda _seed: self._process.hear(news.WasReset()))

    @workflow.run
    async def run(self, start: PlanIntent | CarriedPlan) -> PlanView:
        """Ends when all of its orders have. A cancelled workflow cancels the plan and then ends the same way."""
        self._life = life = asyncio.create_task(self._live())
        while not (life.done() and workflow.all_handlers_finished()):
            try:
                await workflow.wait_condition(lambda: life.done() and workflow.all_handlers_finished())
            except asyncio.CancelledError:
                self._process.hear(news.CancelAsked("the workflow was cancelled"))
        return life.result()

    # Handlers record.

    def misread(self, words: str) -> None:
        workflow.logger.warning(words)

    @messages.signal("How an order of the plan stands", name=names.STANDS)
    def stands(self, order: Order) -> None:
        self._process.hear(news.Seen(order))

    @messages.signal("What came of a change of an order", name=names.ANSWERED)
    def answered(self, client_order_id: str, refusal: str | None = None, is_unknown: bool = False) -> None:
        self._process.hear(news.Answered(client_order_id, refusal, is_unknown))

    @messages.signal("The last price of the plan's symbol", name=names.PRICED)
    def priced(self, price: Decimal) -> None:
        self._process.hear(news.Priced(price))

    @messages.signal("Cancel what works; and with flatten, close what it holds", name="cancel")
    def cancel_signal(self, reason: str = "by hand", flatten: bool = False) -> None:
        self._process.hear(news.CancelAsked(reason, flatten))

    @workflow.update(description="Change the plan: stop, target, trail, exit_at")
    async def amend(self, change: PlanChange) -> PlanView:
        """Answers when the plan has taken the change in; its orders follow."""
        symbol = self._intent.symbol
        price = await self._local(PlanActivities.price_now, symbol, summary="what is the price now?")
        if (problem := standing.problem_with(self._process.state, change, price)) is not None:
            raise _refused(problem)
        self._process.hear(news.ChangeAsked(change))
        self._changes_asked += 1
        mine = self._changes_asked
        await self._until(lambda: self._changes_recorded >= mine)
        return self.plan()

    @amend.validator
    def _may_amend(self, change: PlanChange) -> None:
        if (problem := standing.problem_with(self._process.state, change, None)) is not None:
            raise _refused(problem)

    @workflow.update(description="Wait until the plan's first order is at the broker, or the plan has ended")
    async def begun(self, fingerprint: str) -> PlanView:
        await self._until(self._has_begun)
        return self.plan()

    @begun.validator
    def _same_content(self, fingerprint: str) -> None:
        if fingerprint not in (names.ANY_CONTENT, self._intent.fingerprint()):
            raise self._duplicate()

    @workflow.query(description="The plan as it stands")
    def plan(self) -> PlanView:
        return standing.view_of(self._process.state)

    @workflow.query(description="All that the plan knows", name=names.PLAN_STATE)
    def state(self) -> PlanState:
        return self._process.state

    def _duplicate(self) -> ApplicationError:
        known = self._process.state.intent
        return _refused(f"{known.plan_id} is the id of another plan: {known.summary()}", "DuplicateOrder")

    def _has_begun(self) -> bool:
        if self._recorded is None:
            return False
        first = next(self._process.state.children(), None)
        is_there = first is not None and (first.order.status in WORKING or first.order.status.terminal)
        return is_there or self._recorded.status.terminal

    async def _until(self, condition: Callable[[], bool]) -> None:
        """For handlers: until the condition holds. A life that failed fails those who wait for it, too."""
        await workflow.wait_condition(lambda: condition() or (self._life is not None and self._life.done()))
        if self._life is not None and self._life.done():
            self._life.result()

    # `run` does what the process decides.

    async def _live(self) -> PlanView:
        while True:
            action = self._process.next(workflow.now())
            if isinstance(action, actions.Done):
                return self.plan()
            if not isinstance(action, actions.Wait):
                await self._perform(action)
                continue
            is_long = workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished()
            if is_long and not self._process.is_interrupted:
                workflow.continue_as_new(CarriedPlan(state=self._process.state))
            await self._wait(action)

    async def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.Admit():
                await self._admit()
            case actions.Place(intent):
                await self._place(intent)
            case actions.Amend(own, change):
                if not await self._signalled(own, names.CHANGE, change):
                    self._process.hear(news.Answered(own, "no workflow follows the order at present"))
            case actions.Cancel(own, reason):
                await self._signalled(own, "cancel", reason)
            case actions.Alert(words):
                await self._local(PlanActivities.alert_of_plan, words, summary=words[:200])
            case actions.Record():
                await self._record()
            case _:
                await self._look(action)

    async def _look(self, action: actions.Action) -> None:
        intent = self._intent
        match action:
            case actions.Sync():
                state = self._process.state
                found = await self._local(PlanActivities.recall_plan, state, summary="what the ledger has of it")
                self._process.synced(found, workflow.now())
            case actions.Survey():
                state = self._process.state
                seen = await self._local(PlanActivities.survey_plan, state, summary="what there still is to close")
                self._process.hear(seen)
            case actions.CloseExcess(quantity, number):
                excess = await self._local(
                    PlanActivities.close_excess, intent, quantity, number, summary=f"close {quantity} too many"
                )
                self._process.excess_seen(excess, workflow.now())
                if excess.closing is not None:
                    await self._place(excess.closing)

    async def _admit(self) -> None:
        verdict = await self._local(
            PlanActivities.admit, self._intent, workflow.info().workflow_start_time, summary="check the plan as a whole"
        )
        if verdict.known is None:
            self._process.hear(news.Admitted(verdict.refusals, verdict.tick_size))
            return
        if not verdict.same_content:
            raise self._duplicate()
        heard = self._process
        self._process = PlanProcess(verdict.known, is_admitted=True)
        self._process.take_over(heard)

    async def _place(self, intent: OrderIntent) -> None:
        """One that is there already is looked up."""
        try:
            await calls.start_order(intent)
        except WorkflowAlreadyStartedError:
            await self._look(actions.SYNC)

    async def _signalled(self, own: str, signal: str, content: object) -> bool:
        order = f"order:{self._intent.account}:{own}"
        try:
            await workflow.get_external_workflow_handle(order).signal(signal, content)
        except ApplicationError:  # its workflow is gone: it is taken up within seconds
            return False
        return True

    async def _record(self) -> None:
        below, above = self._process.band
        changes, state = self._process.changes, self._process.to_record()
        await self._local(PlanActivities.record_plan, state, below, above, summary="record the plan")
        self._changes_recorded = changes
        self._recorded = view = self.plan()
        workflow.set_current_details(_card(view))
        workflow.upsert_search_attributes([names.STATUS.value_set(view.status.value)])

    async def _local(self, activity: Callable[..., R], *told: object, summary: str) -> R:
        return await workflow.execute_local_activity_method(
            activity,
            args=told,
            start_to_close_timeout=calls.LOCAL_TIMEOUT,
            retry_policy=calls.UNTIL_DONE,
            local_retry_threshold=timedelta(seconds=1),
            summary=summary,
        )

    async def _wait(self, wait: actions.Wait) -> None:
        pause = max(wait.until - workflow.now(), timedelta(milliseconds=1))
        try:
            await workflow.wait_condition(lambda: self._process.is_interrupted, timeout=pause)
        except TimeoutError:
            return


def _card(view: PlanView) -> str:
    """Markdown that the Temporal UI shows: how the plan stands, and its orders."""
    protection = "protected" if view.protected else f"UNPROTECTED since {view.unprotected_since or 'now'}"
    lines = [f"### {view.status}: {view.summary}", "", f"{view.held} held, {protection}; stop at {view.stop}", ""]
    lines += ["| role | order | status | filled | price | trigger |", "| --- | --- | --- | --- | --- | --- |"]
    for order in view.orders:
        cells = (order.role, order.client_order_id, order.status, f"{order.filled_quantity} of {order.quantity}")
        lines.append(f"| {' | '.join(cells)} | {order.price or ''} | {order.trigger_price or ''} |")
    return "\n".join([*lines, "", *(f"- {reason}" for reason in view.reasons)])
