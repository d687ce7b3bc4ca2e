"""The life of a plan, as a workflow: its orders are children that go on whatever becomes of it.

Handlers record; `run` does what the plan's process (`trading/plans/process.py`) says is to be done next. Whatever was
done to this workflow, the orders are named after the plan, so none is placed twice, and what they have come to is taken
from the ledger before anything else is done.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import AwareDatetime, ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from durable_orders.activities.plans import PlanActivities
    from durable_orders.trading.orders.order import Frozen, Order, OrderIntent
    from durable_orders.trading.plans import actions, news
    from durable_orders.trading.plans.basket import BasketIntent
    from durable_orders.trading.plans.content import MARKET_DEADLINE
    from durable_orders.trading.plans.kinds import AnyIntent, AnyState, state_of
    from durable_orders.trading.plans.lines import LinesProcess
    from durable_orders.trading.plans.pacing import Pace, Paced, PacedStart, PlanClock
    from durable_orders.trading.plans.plan import PlanChange, PlanIntent
    from durable_orders.trading.plans.process import PlanProcess
    from durable_orders.trading.plans.processes import process_of
    from durable_orders.trading.plans.schedule import ScheduleIntent
    from durable_orders.trading.plans.state import WORKING, PlanState, PlanView
    from durable_orders.workflows import calls, messages, names


R = TypeVar("R")


REST_EVERY, REST_WITHIN = timedelta(seconds=1), timedelta(seconds=30)
"""How often the ledger is asked what became of the orders of a paced plan, and for how long the market waits for it:
beyond the ten seconds after which the server gives a lost workflow task to somebody else."""


EXIT_TIME_JUDGED = "exit-time-judged"
"""Since then a time to exit that is changed is held against the market's hours, too."""
AWAITS = "awaits"
"""Since then whoever waits for a plan to begin is answered where its first order waits for a person."""
STOP_STAYS = "stop-stays"
"""Since then a stop is not taken that its own trail or break-even would move at once."""
RESTED_WITHIN, RESTS_LONGER = timedelta(seconds=10), "rests-longer"
"""Since then a market waits longer than that for a plan."""


class CarriedPlan(Frozen):
    """What a workflow that continues as new takes with it."""

    state: AnyState
    at: AwareDatetime | None = None
    """What time it was for a plan that was paced."""
    market: AwareDatetime | None = None
    """And what time at the market."""


def _refused(words: str, kind: str = "InvalidOrder") -> ApplicationError:
    return ApplicationError(words, type=kind, non_retryable=True)


@workflow.defn(name=names.PLAN_WORKFLOW, failure_exception_types=[ValidationError])
class PlanWorkflow:
    """One plan, under the id `plan:ACCOUNT:PLAN_ID`. Its result is how it stood at its end."""

    @workflow.init
    def __init__(self, start: PlanIntent | BasketIntent | ScheduleIntent | CarriedPlan | PacedStart) -> None:
        began = workflow.info().workflow_start_time
        at = market = None
        if isinstance(start, CarriedPlan):
            state, at, market = start.state, start.at, start.market
        elif isinstance(start, PacedStart):
            state, at, market = state_of(start.intent, began), start.at, start.at
        else:
            state = state_of(start, began)
        self._clock = PlanClock(at, market, workflow.now())
        self._pace: Pace | None = None
        """The moment that it is to be brought to."""
        self._paced_since = workflow.now() if isinstance(start, PacedStart) else None
        """By the wall: since when it does what there is to do at one."""
        self._paces_asked = self._paces_done = 0
        self._asks = self._is_woken = False
        self._intent: AnyIntent = state.intent
        self._process = process_of(state, is_admitted=isinstance(start, CarriedPlan))
        self._recorded: PlanView | None = None
        self._changes_asked = self._changes_recorded = 0
        self._life: asyncio.Task[PlanView] | None = None
        self._followed: set[asyncio.Task[None]] = set()
        """Those who wait for what is asked of GTTs."""
        workflow.register_random_seed_callback(lambda _seed: self._was_reset())

    @workflow.run
    async def run(self, start: PlanIntent | BasketIntent | ScheduleIntent | CarriedPlan | PacedStart) -> PlanView:
        """Ends when all of its orders have. A cancelled workflow cancels the plan and then ends the same way."""
        self._life = life = asyncio.create_task(self._live())
        while not (life.done() and workflow.all_handlers_finished()):
            try:
                await workflow.wait_condition(lambda: life.done() and workflow.all_handlers_finished())
            except asyncio.CancelledError:
                self._process.hear(news.CancelAsked("the workflow was cancelled"))
                self._is_woken = True
        return life.result()

    # Handlers record.

    def _was_reset(self) -> None:
        self._process.hear(news.WasReset())
        self._is_woken = True

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
        if not self._clock.held_for(workflow.now()):
            self._process.hear(news.Priced(price))

    @messages.signal("Cancel what works; and with flatten, close what it holds", name="cancel")
    def cancel_signal(self, reason: str = "by hand", flatten: bool = False) -> None:
        self._process.hear(news.CancelAsked(reason, flatten))
        self._is_woken = True

    @workflow.update(description="It is that moment of a market that waits", name=names.PACE)
    async def paced(self, pace: Pace) -> Paced:
        """Answers when the plan has done all that it had to do then."""
        self._pace = pace
        self._paces_asked += 1
        mine = self._paces_asked
        await self._until(lambda: self._paces_done >= mine)
        below, above = self._process.band
        return Paced(view=self.plan(), due=self._process.due, below=below, above=above)

    @workflow.update(description="Change the plan: stop, target, trail, exit_at")
    async def amend(self, change: PlanChange) -> PlanView:
        """Answers when the plan has taken the change in; its orders follow."""
        price = None
        if isinstance(self._intent, PlanIntent):
            symbol = self._intent.symbol
            price = await self._local(PlanActivities.price_now, symbol, summary="what is the price now?")
        problem = self._process.problem_with(change, price) or self._undone_at_once(change, price)
        problem = problem or await self._exit_time_problem(change)
        if problem is not None:
            raise _refused(problem)
        self._process.hear(news.ChangeAsked(change))
        self._changes_asked += 1
        self._is_woken = True
        mine = self._changes_asked
        await self._until(lambda: self._changes_recorded >= mine)
        return self.plan()

    def _undone_at_once(self, change: PlanChange, price: Decimal | None) -> str | None:
        process = self._process
        if change.stop is None or not isinstance(process, PlanProcess) or not workflow.patched(STOP_STAYS):
            return None
        return process.undone_at_once(change, price, self._now())

    async def _exit_time_problem(self, change: PlanChange) -> str | None:
        if change.exit_at is None or not workflow.patched(EXIT_TIME_JUDGED):
            return None
        at = self._now() if self._clock.is_paced else None
        told = (self._intent, change.exit_at, at)
        return await self._local(PlanActivities.exit_time_problem, *told, summary="is the market open then?")

    @amend.validator
    def _may_amend(self, change: PlanChange) -> None:
        if (problem := self._process.problem_with(change, None)) is not None:
            raise _refused(problem)

    @workflow.update(
        description="Wait until the plan's first order is at the broker or waits for a person, or the plan has ended"
    )
    async def begun(self, fingerprint: str) -> PlanView:
        awaits = workflow.patched(AWAITS)
        await self._until(lambda: self._has_begun() or (awaits and self._awaits_approval()))
        return self.plan()

    @begun.validator
    def _same_content(self, fingerprint: str) -> None:
        if fingerprint not in (names.ANY_CONTENT, self._intent.fingerprint()):
            raise self._duplicate()

    @workflow.query(description="The plan as it stands")
    def plan(self) -> PlanView:
        return self._process.view

    @workflow.query(description="All that the plan knows", name=names.PLAN_STATE)
    def state(self) -> AnyState:
        return self._process.state

    def _duplicate(self) -> ApplicationError:
        known = self._process.state.intent
        return _refused(f"{known.plan_id} is the id of another plan: {known.summary()}", "DuplicateOrder")

    def _awaits_approval(self) -> bool:
        """Whether its first order is recorded as one that waits for a person: until then nothing comes of it."""
        first = next(iter(self._process.state.children()), None)
        approval = first.order.approval if first is not None and first.order.awaits_approval else None
        return self._recorded is not None and approval is not None and approval.needed_by is not None

    def _has_begun(self) -> bool:
        if self._recorded is None:
            return False
        first = next(iter(self._process.state.children()), None)
        is_there = first is not None and (first.order.status in WORKING or first.order.status.terminal)
        return is_there or self._recorded.status.terminal

    async def _until(self, condition: Callable[[], bool]) -> None:
        """For handlers: until the condition holds. A life that failed fails those who wait for it, too."""
        await workflow.wait_condition(lambda: condition() or (self._life is not None and self._life.done()))
        if self._life is not None and self._life.done():
            self._life.result()

    # `run` does what the process decides.

    def _now(self) -> datetime:
        return self._clock.now(workflow.now())

    async def _live(self) -> PlanView:
        while True:
            if self._pace is not None:
                await self._take_pace(self._pace)
            action = self._process.next(self._now())
            if isinstance(action, actions.Done):
                return self.plan()
            if not isinstance(action, actions.Wait):
                await self._perform(action)
                continue
            if self._paced_since is not None and await self._goes_on(self._paced_since):
                continue
            is_long = workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished()
            if is_long and not self._process.is_interrupted:
                at = self._now() if self._clock.is_paced else None
                workflow.continue_as_new(CarriedPlan(state=self._process.state, at=at, market=self._clock.market))
            await self._wait(action)

    async def _take_pace(self, pace: Pace) -> None:
        """What became of its orders is known before it is told of the price."""
        self._pace, self._paced_since = None, workflow.now()
        self._clock.told(pace.at, workflow.now())
        if self._recorded is not None:
            await self._look(actions.SYNC)
        self._asks = False
        if pace.price is not None:
            self._process.hear(news.Priced(pace.price))

    async def _goes_on(self, since: datetime) -> bool:
        """Whether there may be more to do at the moment that it was brought to: else it is done with that."""
        is_at_rest = self._process.is_at_rest
        if self._asks and is_at_rest:
            self._asks = False
            await self._look(actions.SYNC)
            return True
        if is_at_rest or _was_given_up(since):
            self._paced_since, self._paces_done = None, self._paces_asked
            if self.plan().status.terminal:
                self._clock.let_go(workflow.now())
        return False

    async def _perform(self, action: actions.Action) -> None:
        self._asks = self._asks or isinstance(action, actions.Place | actions.Amend | actions.Cancel)
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
                if self._paced_since is not None and isinstance(self._process, LinesProcess):
                    await self._ended(self._process, own)
            case actions.PlaceGtt() | actions.ChangeGtt() | actions.CancelPlaced():
                await self._ask_of_gtt(action)
            case actions.Alert(words):
                await self._local(PlanActivities.alert_of_plan, words, summary=words[:200])
            case actions.Record():
                await self._record()
            case _:
                await self._look(action)

    async def _look(self, action: actions.Action) -> None:
        if isinstance(action, actions.Sync):
            state = self._process.state
            found = await self._local(PlanActivities.recall_plan, state, summary="what the ledger has of it")
            if self._clock.is_paced and found.book_read_at is not None:
                read = self._clock.on_its_own(found.book_read_at, workflow.now())
                found = found.model_copy(update={"book_read_at": read})
            self._process.synced(found, self._now())
        elif isinstance(self._process, PlanProcess):
            await self._look_at_position(self._process, action)
        else:
            await self._look_at_lines(self._process, action)

    async def _look_at_position(self, process: PlanProcess, action: actions.Action) -> None:
        intent = self._intent
        match action:
            case actions.Survey():
                seen = await self._survey(process.state)
                process.hear(seen)
            case actions.CloseExcess(quantity, number):
                excess = await self._local(
                    PlanActivities.close_excess, intent, quantity, number, summary=f"close {quantity} too many"
                )
                process.excess_seen(excess, self._now())
                if excess.closing is not None:
                    await self._place(excess.closing)

    async def _survey(self, state: PlanState) -> news.Surveyed:
        summary = "what there still is to close"
        if self._clock.is_paced:
            return await self._local(PlanActivities.survey_paced_plan, state, self._now(), summary=summary)
        return await self._local(PlanActivities.survey_plan, state, summary=summary)

    async def _look_at_lines(self, process: LinesProcess, action: actions.Action) -> None:
        at = self._now() if self._clock.is_paced else None
        match action:
            case actions.Quote(symbols):
                prices = await self._local(
                    PlanActivities.prices_for_plan, symbols, at, summary="what are the prices now?"
                )
                process.quoted(prices)
            case actions.CloseLine(symbol, product, quantity, number):
                told = (process.state, symbol, product, quantity, number, at)
                found = await self._local(
                    PlanActivities.close_line, *told, summary=f"close what is held of {symbol}: {quantity}"
                )
                process.closing_seen(action, found, self._now())

    async def _admit(self) -> None:
        market = self._now() if self._clock.is_paced else None
        told = (self._intent, self._process.state.created_at, market)
        verdict = await self._local(PlanActivities.admit, *told, summary="check the plan as a whole")
        if verdict.known is None:
            if isinstance(self._process, PlanProcess):
                self._process.hear(news.Admitted(verdict.refusals, verdict.tick_size))
            else:
                self._process.hear(news.LinesAdmitted(verdict.refusals, verdict.terms))
            return
        if not verdict.same_content:
            raise self._duplicate()
        heard = self._process.take_heard()
        self._process = process_of(verdict.known, is_admitted=True)
        for each in heard:
            self._process.hear(each)

    async def _place(self, intent: OrderIntent) -> None:
        """One that is there already is looked up."""
        if self._clock.is_paced and intent.place_by is not None:
            is_position = isinstance(self._process, PlanProcess)
            begun = self._process.state.created_at if is_position else workflow.now()
            by = begun + MARKET_DEADLINE  # on the wall's clock, as an order's time is
            intent = intent.model_copy(update={"place_by": by})
        try:
            await calls.start_order(intent)
        except WorkflowAlreadyStartedError:
            await self._look(actions.SYNC)

    async def _ask_of_gtt(self, asked: actions.OfGtt) -> None:
        """It goes on whatever becomes of the plan. One that is there already is looked up."""
        if isinstance(asked, actions.CancelPlaced):
            await calls.cancel(asked.order)
            return
        handle: workflow.ChildWorkflowHandle[Any, Any]
        try:
            if isinstance(asked, actions.PlaceGtt):
                handle = await calls.start_gtt(asked.intent)
            else:
                handle = await calls.start_gtt_change(asked.change)
        except WorkflowAlreadyStartedError:
            if isinstance(asked, actions.PlaceGtt):
                await self._look(actions.SYNC)
            elif asked.change.legs is not None:
                self._process.hear(news.Answered(asked.change.gtt_id, "another change of it is on its way"))
            return
        following = asyncio.create_task(self._follow_gtt(asked, handle))
        self._followed.add(following)
        following.add_done_callback(self._followed.discard)

    async def _follow_gtt(
        self, asked: actions.PlaceGtt | actions.ChangeGtt, handle: workflow.ChildWorkflowHandle[Any, Any]
    ) -> None:
        refusal, is_unknown = None, False
        try:
            await handle
        except ChildWorkflowError as error:
            refusal, cause = str(error.cause), error.cause
            is_unknown = not isinstance(cause, ApplicationError) or cause.type == "UnknownError"
        if isinstance(asked, actions.ChangeGtt) and asked.change.legs is not None:
            self._process.hear(news.Answered(asked.change.gtt_id, refusal, is_unknown))
        self._process.hear(news.GttTold())

    async def _signalled(self, own: str, signal: str, content: object) -> bool:
        order = f"order:{self._intent.account}:{own}"
        try:
            await workflow.get_external_workflow_handle(order).signal(signal, content)
        except ApplicationError:  # its workflow is gone: it is taken up within seconds
            return False
        return True

    async def _ended(self, process: LinesProcess, own: str) -> None:
        """A market that waits does so for the end of what is cancelled, too: what that has left goes out with the next
        part, as where an answer takes no time."""
        until = workflow.now() + REST_WITHIN
        while not process.has_ended(own) and workflow.now() < until:
            try:
                await workflow.wait_condition(lambda: process.has_ended(own), timeout=REST_EVERY)
            except TimeoutError:
                await self._look(actions.SYNC)

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
        if self._paced_since is not None:
            await self._wait_for_rest()
            return
        self._is_woken = False
        held = self._clock.held_for(workflow.now())
        pause = held or max(wait.until - self._now(), timedelta(milliseconds=1))

        def ends() -> bool:
            is_woken = self._is_woken if held else self._process.is_interrupted
            return is_woken or self._pace is not None

        try:
            await workflow.wait_condition(ends, timeout=pause)
        except TimeoutError:
            return
        if held and self._is_woken:
            self._paced_since = workflow.now()  # what a human asks for is done while the market's time stands still

    async def _wait_for_rest(self) -> None:
        """Until its orders have answered: the ledger is asked, where they are not heard."""
        try:
            await workflow.wait_condition(
                lambda: self._process.is_interrupted or self._pace is not None, timeout=REST_EVERY
            )
        except TimeoutError:
            await self._look(actions.SYNC)


def _was_given_up(since: datetime) -> bool:
    """Whether a market that has waited since then waits no longer."""
    waited = workflow.now() - since
    return waited >= REST_WITHIN or (waited >= RESTED_WITHIN and not workflow.patched(RESTS_LONGER))


def _card(view: PlanView) -> str:
    """Markdown that the Temporal UI shows: how the plan stands, and its orders."""
    protection = "protected" if view.protected else f"UNPROTECTED since {view.unprotected_since or 'now'}"
    held = f"{view.held} held, {protection}; stop at {view.stop}"
    if view.protected is None:
        held = f"{view.held} held"
    if not view.symbol:
        held = ", ".join(f"{each.quantity} {each.symbol} {each.product}" for each in view.holdings) or "nothing held"
    lines = [f"### {view.status}: {view.summary}", "", held, ""]
    lines += ["| role | order | status | filled | price | trigger |", "| --- | --- | --- | --- | --- | --- |"]
    for order in view.orders:
        cells = (order.role, order.client_order_id, order.status, f"{order.filled_quantity} of {order.quantity}")
        lines.append(f"| {' | '.join(cells)} | {order.price or ''} | {order.trigger_price or ''} |")
    return "\n".join([*lines, "", *(f"- {reason}" for reason in view.reasons)])
