"""The life of one order, from a strategy's intent to its proved end.

Handlers record, `run` decides. What changes the order goes through the pure `step`; what reaches the world is an
activity. The order ends when the broker's book proves it, or when it provably was never sent.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.looks import Absent, Found, Unreadable
    from trading import lifecycle, outcome
    from trading.brokers.book import BookReport
    from trading.events import EVENT_OF, Entry, EventType
    from trading.guardian.verdict import Approval, Existing, Policy, Refusals
    from trading.lost_slices import LostSlices
    from trading.market.calendar import IST
    from trading.narration import sentence
    from trading.order import Amendment, Frozen, Mode, Order, OrderIntent, OrderType, Status
    from trading.settlement import Settlement
    from workflows import calls
    from workflows.card import card
    from workflows.names import STATUS

BACKOFF_LIMIT = timedelta(seconds=30)
UNREADABLE_LIMIT = timedelta(minutes=10)
"""Between two readings of a book that cannot be read: the watch wakes the order when it can, and a night without a
login must not fill its history."""
WATCH_SILENT_SECONDS = 30.0
"""A book that the watch has not read for this long means that the order looks for itself."""


OWN_REFUSALS = ("NotApproved", "DryRun")
"""Types of refusals that come from this side: nothing was sent."""
REVIEW = "say it with `durable-orders settle`, as the contract note has it"
News = lifecycle.Reported | lifecycle.Vanished | lifecycle.Settled | lifecycle.CancelRequested
"""What handlers put into the inbox."""
ANY_CONTENT = ""
"""For `placed`: whatever the order is, wait for it."""


class Carried(Frozen):
    """What a workflow that continues as new takes with it."""

    intent: OrderIntent
    order: Order
    policy: Policy
    sequence: int
    attempts: int
    pauses: int


class AmendmentRequest:
    """An amendment on its way: made by the update handler, answered by `run`."""

    def __init__(self, change: Amendment) -> None:
        self.change = change
        self.answered = False
        self.refusal: ApplicationError | None = None

    def accept(self) -> None:
        self.answered = True

    def refuse(self, words: str, family: str = "InvalidOrder") -> None:
        self.answered, self.refusal = True, ApplicationError(words, type=family, non_retryable=True)


def _refusal(evidence: outcome.Evidence) -> str:
    """Why an order was not taken: in the broker's words, unless it never came so far."""
    return evidence.message if evidence.error_type in OWN_REFUSALS else f"refused by the broker: {evidence}"


def _duplicate(existing: Order) -> ApplicationError:
    message = f"{existing.client_order_id} is the id of another order: {existing.summary()}"
    return ApplicationError(message, type="DuplicateOrder", non_retryable=True)


def _shows(order: Order, change: Amendment) -> bool:
    return all(getattr(order, field) == value for field, value in change.model_dump(exclude_none=True).items())


@workflow.defn(name="Order", failure_exception_types=[ValidationError])
class OrderWorkflow:
    @workflow.init
    def __init__(self, start: OrderIntent | Carried) -> None:
        # Handlers may run before `run` does, so everything that they touch is made here.
        carried = start if isinstance(start, Carried) else None
        intent = start.intent if isinstance(start, Carried) else start
        self._intent = intent
        self._order = carried.order if carried else Order.from_intent(intent, workflow.info().workflow_start_time)
        self._policy: Policy | None = carried.policy if carried else None
        self._sequence = carried.sequence if carried else 0
        self._entries: list[Entry] = []
        self._inbox: list[News] = []
        self._amendments: list[AmendmentRequest] = []
        self._attempts = carried.attempts if carried else 0
        self._pauses = carried.pauses if carried else 0
        self._woken = False
        self._unsettled = False
        self._in_review = False
        self._was_shown = False
        self._lost_at = self._order.updated_at
        self._recorded = self._order.status
        self._cancel_tries = 0
        self._next_cancel: datetime | None = None
        self._life: asyncio.Task[Order] | None = None

    @workflow.run
    async def run(self, start: OrderIntent | Carried) -> Order:
        """Ends with the order at its proved end. A cancelled workflow cancels the order and then ends the same way."""
        self._life = life = asyncio.create_task(self._live())
        while not (life.done() and workflow.all_handlers_finished()):
            try:
                await workflow.wait_condition(lambda: life.done() and workflow.all_handlers_finished())
            except asyncio.CancelledError:
                self._ask_cancel("the workflow was cancelled")
        return life.result()

    # Handlers record.

    @workflow.signal(description="What the account watch saw in the broker's book")
    def report(self, report: BookReport) -> None:
        self._inbox.append(lifecycle.Reported(report))

    @workflow.signal(description="The broker's book of its day is over, and today's does not have it")
    def gone(self, words: str, amended: bool) -> None:
        self._inbox.append(lifecycle.Vanished(words, amended))

    @workflow.signal(description="What the order waits for may have come, such as a new login")
    def wake(self) -> None:
        self._woken = True

    @workflow.signal(name="cancel", description="Cancel the order; the broker's book decides")
    def cancel_signal(self, reason: str = "by hand") -> None:
        self._ask_cancel(reason)

    @workflow.update(name="cancel_and_wait", description="Cancel the order and wait for its proved end")
    async def cancel_update(self, reason: str = "by hand") -> Order:
        self._ask_cancel(reason)
        await self._until(lambda: self._recorded.terminal)
        return self._order

    @workflow.update(description="Change a working order: quantity, price, trigger_price, order_type")
    async def amend(self, change: Amendment) -> Order:
        request = AmendmentRequest(change)
        self._amendments.append(request)
        await self._until(lambda: request.answered)
        if request.refusal is not None:
            raise request.refusal
        return self._order

    @amend.validator
    def _may_amend(self, change: Amendment) -> None:
        if self._order.status.terminal:
            raise ApplicationError(f"the order has ended: {self._order.status}", type="InvalidOrder")

    @workflow.update(description="Say what became of an order that nothing can prove any more, and on what evidence")
    async def settle(self, settlement: Settlement) -> Order:
        self._inbox.append(lifecycle.Settled(settlement))
        await self._until(lambda: self._recorded is not Status.UNKNOWN)
        if not self._order.status.terminal:
            raise ApplicationError(f"the book has told meanwhile: {self._order.status}", type="InvalidOrder")
        return self._order

    @settle.validator
    def _may_settle(self, settlement: Settlement) -> None:
        problem = settlement.problem_with(self._order)
        if problem is None and not self._unsettled:
            problem = "the order book is still being read: it will tell"
        if problem is not None:
            raise ApplicationError(problem, type="InvalidOrder")

    @workflow.update(description="Wait until the order is at the broker, or has ended")
    async def placed(self, fingerprint: str) -> Order:
        await self._until(lambda: self._recorded not in (Status.PENDING, Status.UNKNOWN))
        return self._order

    @placed.validator
    def _same_content(self, fingerprint: str) -> None:
        if fingerprint not in (ANY_CONTENT, self._intent.fingerprint()):
            raise _duplicate(self._order)

    @workflow.query(description="The order as it stands")
    def order(self) -> Order:
        return self._order

    async def _until(self, condition: Callable[[], bool]) -> None:
        """For handlers: until the condition holds. A life that failed fails those who wait for it, too."""
        await workflow.wait_condition(lambda: condition() or (self._life is not None and self._life.done()))
        if self._life is not None and self._life.done():
            self._life.result()

    # `run` decides.

    async def _live(self) -> Order:
        if self._policy is None:
            await self._admit()
        self._read_inbox()
        while not self._order.status.terminal:
            if self._order.status is Status.PENDING:
                await self._place()
            elif self._order.status is Status.UNKNOWN:
                await self._settle()
            else:
                await self._follow()
            self._read_inbox()
            await self._record()
            self._continue_as_new_if_long()
        self._answer_amendments()
        return self._order

    async def _admit(self) -> None:
        verdict = await calls.admit(self._order, self._intent.fingerprint(), self._intent.place_by)
        if not isinstance(verdict, Existing) and verdict.dry_run:
            self._order = self._order.model_copy(update={"dry_run": True})
        if isinstance(verdict, Approval):
            self._policy = verdict.policy
        elif isinstance(verdict, Refusals):
            self._apply(lifecycle.Refused(tuple(str(refusal) for refusal in verdict.refusals)))
            await self._record()
        elif isinstance(verdict, Existing):
            self._take_up(verdict)

    def _take_up(self, existing: Existing) -> None:
        """An earlier workflow had this id, and its history is gone. Its order goes on from what was recorded; one that
        was not seen at the broker by then may have been sent since.
        """
        if not existing.same_content:
            raise _duplicate(existing.order)
        self._order, self._policy, self._sequence = existing.order, existing.policy, existing.sequence
        self._lost_at = existing.order.created_at
        self._apply(lifecycle.AnswerLost("its earlier workflow is gone"))
        self._show(self._order)

    async def _place(self) -> None:
        """One attempt to send, or the reason why there is none any more."""
        policy = self._approved
        if self._order.cancel_requested:
            self._apply(lifecycle.Withdrawn("cancelled before it was sent"))
            return
        if workflow.now() >= policy.place_by:
            self._apply(lifecycle.Refused((f"TOO_LATE: not sent before {policy.place_by.isoformat()}",)))
            return
        self._woken = False
        answer = await calls.place(self._order, policy)
        if isinstance(answer, outcome.Accepted):
            self._apply(lifecycle.Receipt(answer.broker_order_id, answer.slices, answer.refusals))
            self._read(answer.report)
        elif isinstance(answer, outcome.Refused):
            self._apply(lifecycle.Refused((_refusal(answer.evidence),)))
        elif isinstance(answer, outcome.Unknown):
            self._lost_at = workflow.now()
            self._apply(lifecycle.AnswerLost(f"answer lost after sending: {answer.evidence}"))
        else:
            await self._try_later(answer)

    async def _try_later(self, answer: outcome.NotSent | outcome.SessionExpired) -> None:
        """Provably not sent: wait, at most until the deadline, and let `_place` decide again, or give up."""
        policy = self._approved
        self._pauses += 1
        if isinstance(answer, outcome.NotSent) and answer.tried:
            self._attempts += 1
        if self._attempts > policy.max_retries:
            self._apply(lifecycle.Refused((f"not sent in {self._attempts} attempts: {answer.evidence}",)))
            return
        self._apply(lifecycle.Noted(f"not sent: {answer.evidence}"))
        await self._record()
        pause = min(self._backoff(policy.retry_delay, self._pauses), policy.place_by - workflow.now())
        await self._wait(lambda: self._woken or bool(self._inbox), pause)

    async def _settle(self) -> None:
        """Read the book until it shows the order, or has not shown it through the whole settle window.

        A reading that fails starts the window anew: only an unbroken row of whole books proves an absence. How long
        it took is told by the times of the events: a sentence with it would read differently if the task is done again.
        """
        await self._record()
        absent_since, reads, misses = None, 0, 0
        slices = LostSlices(timedelta(seconds=self._approved.settle_window))
        while self._order.status is Status.UNKNOWN:
            if self._is_beyond_the_book():
                await self._await_review()
                continue
            self._woken = False
            seen = await calls.look(self._order)
            shown = slices.seen(self._order, seen.report.row if isinstance(seen, Found) else None, workflow.now())
            if shown is not None:
                self._apply(shown)
            if isinstance(seen, Found):
                absent_since, reads, misses = None, 0, 0
                self._read(seen.report)
            elif isinstance(seen, Unreadable):
                absent_since, reads, misses = None, 0, misses + 1
                await self._alert_unreadable(seen)
            elif isinstance(seen, Absent):
                absent_since, reads, misses = absent_since or workflow.now(), reads + 1, 0
                self._book_is_readable()
                window = timedelta(seconds=self._approved.settle_window)
                may_be_absent = not (self._was_shown or self._is_beyond_the_book())
                if may_be_absent and workflow.now() - absent_since >= window:
                    self._prove_absent(reads)
            self._read_inbox()
            if self._order.status is Status.UNKNOWN:
                await self._record()
                limit = UNREADABLE_LIMIT if misses else BACKOFF_LIMIT
                pause = self._backoff(self._approved.settle_interval, max(misses, 1), limit)
                await self._wait(lambda: self._woken or bool(self._inbox), pause)
                self._read_inbox()
        self._unsettled = self._in_review = False

    def _is_beyond_the_book(self) -> bool:
        """Kite's book is of one day: that today's does not have an order of an earlier day proves nothing."""
        if self._order.broker_order_id is not None:  # it was there, and is gone
            return True
        if self._order.mode is not Mode.LIVE:
            return False
        is_of_today = self._lost_at.astimezone(IST).date() == workflow.now().astimezone(IST).date()
        return not is_of_today and workflow.patched("the book is of one day")

    async def _await_review(self) -> None:
        """Until a human settles it, or the book shows it after all. No new risk is taken meanwhile."""
        self._unsettled = True
        if not self._in_review:
            self._in_review = True
            words = f"to be reviewed: what became of it, the broker's book cannot tell any more ({REVIEW})"
            self._note(words, EventType.ALERT)
        await self._record()
        await workflow.wait_condition(lambda: bool(self._inbox))
        self._read_inbox()

    def _book_is_readable(self) -> None:
        """New risk is held up for as long as the book cannot be read, and no longer."""
        if self._unsettled:
            self._unsettled = False
            self._note("the order book can be read again, and does not show it so far", EventType.ORDER_UPDATED)

    async def _alert_unreadable(self, seen: Unreadable) -> None:
        if self._unsettled:
            return
        self._unsettled = True
        words = f"the order book cannot be read ({seen.evidence}): the outcome stays unknown, and no new risk is taken"
        self._note(words, EventType.ALERT)
        await self._record()

    def _prove_absent(self, reads: int) -> None:
        window = f"{self._approved.settle_window:g} s"
        words = f"the order book did not show it in {reads} readings through the settle window of {window}"
        self._apply(lifecycle.ProvedAbsent(words))
        self._attempts += 1
        may_rest = self._order.order_type in (OrderType.LIMIT, OrderType.SL)
        if not (may_rest and self._approved.resend_after_settle and self._attempts <= self._approved.max_retries):
            self._apply(lifecycle.Refused((f"not placed: {words}",)))

    async def _follow(self) -> None:
        """Do what is asked of a working order, or wait for the watch to report."""
        if self._order.cancel_requested and workflow.now() >= (self._next_cancel or workflow.now()):
            await self._cancel()
        elif self._amendments:
            await self._amend(self._amendments.pop(0))
        else:
            await self._wait_for_news()

    async def _cancel(self) -> None:
        """Ask the broker, then let its book tell. Asked again, ever more slowly, until the book shows an end."""
        answer = await calls.cancel(self._order)
        self._cancel_tries += 1
        self._next_cancel = workflow.now() + self._backoff(1.0, self._cancel_tries)
        if isinstance(answer, outcome.Accepted) and answer.report:
            self._read(answer.report)
            return
        if not isinstance(answer, outcome.Accepted):
            self._apply(lifecycle.Noted(f"the cancel was not taken: {answer.evidence}"))
        await self._look()

    async def _amend(self, request: AmendmentRequest) -> None:
        change = request.change
        refusals = await calls.check_amendment(self._order, change)
        if refusals:
            request.refuse("; ".join(str(refusal) for refusal in refusals))
            return
        answer = await calls.modify(self._order, change)
        if isinstance(answer, outcome.Accepted) and answer.report:
            self._read(answer.report)
        else:
            await self._look()
        if isinstance(answer, outcome.Accepted) or _shows(self._order, change):
            await self._record()
            request.accept()
            return
        lost = isinstance(answer, outcome.Unknown)
        fate = "may still be made, its answer was lost" if lost else "not done"
        words = f"amendment ({change.summary()}) {fate}: {answer.evidence}"
        self._apply(lifecycle.Noted(words))
        await self._record()
        request.refuse(words, "UnknownError" if lost else "InvalidOrder")

    async def _wait_for_news(self) -> None:
        """Until the watch reports or somebody asks for something; after a long silence, look."""
        due = self._next_cancel if self._order.cancel_requested else None
        pause = timedelta(seconds=self._approved.safety_interval)
        if due is not None:
            pause = min(pause, due - workflow.now())
        news = await self._wait(lambda: bool(self._inbox or self._amendments), pause)
        if not news and due is None:
            age = await calls.book_age(self._order.account)
            if age is None or age > WATCH_SILENT_SECONDS:
                await self._look()

    async def _look(self) -> None:
        seen = await calls.look(self._order)
        if isinstance(seen, Found):
            self._read(seen.report)

    # Small things that the above are made of.

    @property
    def _approved(self) -> Policy:
        if self._policy is None:
            raise RuntimeError("the order has not been approved")
        return self._policy

    def _ask_cancel(self, who: str) -> None:
        self._inbox.append(lifecycle.CancelRequested(f"cancel requested: {who}"))

    def _read(self, report: BookReport | None) -> None:
        if report is not None:
            self._take(lifecycle.Reported(report))

    def _read_inbox(self) -> None:
        """Only here, never as it comes: a task that is done again has more in it, and must count its events alike."""
        inbox, self._inbox = self._inbox, []
        for event in inbox:
            self._take(event)

    def _take(self, event: News) -> None:
        """Whoever saw it, this workflow or the watch: a lost order that is there again is told as found."""
        if isinstance(event, lifecycle.Reported) and self._order.status is Status.UNKNOWN:
            self._was_shown = True  # slices that do not add up yet leave it UNKNOWN; none of them can be absent again
            self._apply(lifecycle.Noted(f"found in the order book as {event.report.row.broker_order_id}"))
        self._apply(event)

    def _apply(self, event: lifecycle.Event) -> None:
        before, self._order = self._order, lifecycle.step(self._order, event, workflow.now())
        if self._order is before:
            return
        changed = self._order.status is not before.status
        filled = self._order.filled_quantity > before.filled_quantity
        kind = EVENT_OF[self._order.status] if changed or filled else EventType.ORDER_UPDATED
        self._note(sentence(before, self._order), kind)

    def _note(self, message: str, kind: EventType) -> None:
        self._sequence += 1
        entry = Entry(sequence=self._sequence, type=kind, at=workflow.now(), message=message, status=self._order.status)
        self._entries.append(entry)

    async def _record(self) -> None:
        """Into the ledger, the search attribute and the card; returns when the ledger has it."""
        if not self._entries:
            return
        order, entries = self._order, self._entries
        self._entries = []
        await calls.record(order, entries, self._unsettled)
        self._show(order)

    def _show(self, order: Order) -> None:
        workflow.set_current_details(card(order))
        if order.status is not self._recorded:
            workflow.upsert_search_attributes([STATUS.value_set(order.status.value)])
        self._recorded = order.status

    def _answer_amendments(self) -> None:
        for request in self._amendments:
            request.refuse(f"the order has ended: {self._order.status}")
        self._amendments = []

    async def _wait(self, condition: Callable[[], bool], pause: timedelta) -> bool:
        """Whether the condition came true within the pause."""
        try:
            await workflow.wait_condition(condition, timeout=max(pause, timedelta(milliseconds=1)))
        except TimeoutError:
            return False
        return True

    @staticmethod
    def _backoff(first: float, tries: int, limit: timedelta = BACKOFF_LIMIT) -> timedelta:
        return min(timedelta(seconds=first * 2.0 ** min(tries - 1, 10)), limit)

    def _continue_as_new_if_long(self) -> None:
        quiet = not (self._inbox or self._amendments or self._entries) and workflow.all_handlers_finished()
        if workflow.info().is_continue_as_new_suggested() and quiet and not self._order.status.terminal:
            workflow.continue_as_new(
                Carried(
                    intent=self._intent,
                    order=self._order,
                    policy=self._approved,
                    sequence=self._sequence,
                    attempts=self._attempts,
                    pauses=self._pauses,
                )
            )
