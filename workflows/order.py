"""The life of one order, from a strategy's intent to its proved end, as a workflow.

Handlers record; `run` does what the order's process (`trading/orders/process.py`) says is to be done next. What reaches
the world is an activity. The order ends when the broker's book proves it, or when it provably was never sent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from durable_orders.trading.orders import actions, decision, lifecycle
    from durable_orders.trading.orders.book import OrderReport
    from durable_orders.trading.orders.order import (
        Amendment,
        Frozen,
        Order,
        OrderIntent,
        PlanOrderIntent,
        Status,
        plan_of,
    )
    from durable_orders.trading.orders.outcome import Accepted, Outcome
    from durable_orders.trading.orders.process import Attempts, Misread, OrderProcess
    from durable_orders.trading.orders.record import OrderRecord
    from durable_orders.trading.orders.settlement import Settlement
    from durable_orders.trading.orders.steps import backoff
    from durable_orders.trading.orders.verdict import Existing, Policy
    from durable_orders.workflows import calls, messages, names
    from durable_orders.workflows.card import card
    from durable_orders.workflows.names import ANY_CONTENT, STATUS


R = TypeVar("R")
CANCELLED_MEANWHILE = "a cancel goes out while the ledger hangs"


class TakenUp(Frozen):
    """The start of an order whose workflow is gone while the ledger has it open. The guard gives what the ledger has
    by then."""

    order: Order
    """As the ledger had it."""
    content: str
    """The fingerprint of its intent: its terms may have been changed since."""
    place_by: ClassVar[None] = None

    def fingerprint(self) -> str:
        return self.content


class Carried(Frozen):
    """What a workflow that continues as new takes with it."""

    intent: OrderIntent | PlanOrderIntent | TakenUp
    order: Order
    policy: Policy
    sequence: int
    attempts: int
    pauses: int
    number: int = 0
    proved: int = 0
    was_taken_up: bool = False


class AmendmentRequest:
    """An amendment on its way: made by the update handler, answered by `run`."""

    def __init__(self, *, by_plan: bool = False) -> None:
        self.by_plan = by_plan
        """Whether the order's plan wants it, and is to be told."""
        self.reply: actions.Reply | None = None

    @property
    def refusal(self) -> ApplicationError | None:
        if self.reply is None or self.reply.refusal is None:
            return None
        family = "UnknownError" if self.reply.is_unknown else "InvalidOrder"
        return ApplicationError(self.reply.refusal, type=family, non_retryable=True)


def _duplicate(existing: Order) -> ApplicationError:
    message = f"{existing.client_order_id} is the id of another order: {existing.summary()}"
    return ApplicationError(message, type="DuplicateOrder", non_retryable=True)


@workflow.defn(name="Order", failure_exception_types=[ValidationError])
class OrderWorkflow:
    """One order, under the id `order:ACCOUNT:CLIENT_ORDER_ID`. Its result is the order at its proved end."""

    @workflow.init
    def __init__(self, start: OrderIntent | PlanOrderIntent | TakenUp | Carried) -> None:
        # Handlers may run before `run` does, so everything that they touch is made here.
        self._intent = start.intent if isinstance(start, Carried) else start
        self._process = _process_of(start, workflow.info().workflow_start_time)
        self._recorded = self._process.order.status
        self._waits_for_a_person = isinstance(start, Carried) and start.order.awaits_approval
        """As recorded."""
        self._requests: list[AmendmentRequest] = []
        self._life: asyncio.Task[Order] | None = None
        self._at_the_ledger = self._asks_to_cancel = False
        self._cancel_answer: Outcome | None = None
        """To a cancel that went out meanwhile."""
        workflow.register_random_seed_callback(lambda _seed: self._process.was_reset())  # only a reset changes it

    @workflow.run
    async def run(self, start: OrderIntent | PlanOrderIntent | TakenUp | Carried) -> Order:
        """Ends with the order at its proved end. A cancelled workflow cancels the order and then ends the same way."""
        self._life = life = asyncio.create_task(self._live())
        meanwhile = asyncio.create_task(self._cancel_meanwhile())
        while not (life.done() and workflow.all_handlers_finished()):
            try:
                await workflow.wait_condition(lambda: life.done() and workflow.all_handlers_finished())
            except asyncio.CancelledError:
                self._ask_cancel("the workflow was cancelled")
        meanwhile.cancel()
        return life.result()

    # Handlers record.

    def misread(self, words: str) -> None:
        self._process.hear(Misread(words))

    @messages.signal("What the account watch saw in the broker's book")
    def report(self, report: OrderReport) -> None:
        self._process.hear(lifecycle.Reported(report))

    @messages.signal("The broker's book of its day is over, and today's does not have it")
    def gone(self, words: str, amended: bool) -> None:
        self._process.hear(lifecycle.MissingFromBook(words, amended))

    @messages.signal("What the order waits for may have come, such as a new login")
    def wake(self) -> None:
        self._process.wake()

    @messages.signal("The ledger has it otherwise, as after a restore: read what that has", name=names.RECALL)
    def recall(self) -> None:
        self._process.was_reset()

    @messages.signal("Cancel the order; the broker's book decides", name="cancel")
    def cancel_signal(self, reason: str = "by hand") -> None:
        self._ask_cancel(reason)

    @messages.signal("The order's plan wants it changed, and is told what came of it", name=names.CHANGE)
    def change_signal(self, change: Amendment) -> None:
        self._requests.append(AmendmentRequest(by_plan=True))
        self._process.hear_amendment(change)

    @workflow.update(name="cancel_and_wait", description="Cancel the order and wait for its proved end")
    async def cancel_update(self, *reason: object) -> Order:
        self._ask_cancel(" ".join(map(str, reason)) or "by hand")
        await self._until(lambda: self._recorded.terminal)
        return self.order()

    @workflow.update(description="Change a working order: quantity, price, trigger_price, order_type")
    async def amend(self, change: Amendment) -> Order:
        """Answers when the change is done, refused, or neither is known."""
        request = AmendmentRequest()
        self._requests.append(request)
        self._process.hear_amendment(change)
        await self._until(lambda: request.reply is not None)
        if request.refusal is not None:
            raise request.refusal
        return self.order()

    @amend.validator
    def _may_amend(self, change: Amendment) -> None:
        order = self._process.order
        if order.status.terminal:
            raise ApplicationError(f"the order has ended: {order.status}", type="InvalidOrder")
        if order.awaits_approval:
            raise ApplicationError(
                "it waits for a person's approval: cancel it, and place another", type="InvalidOrder"
            )
        if order.approval is not None and (change.quantity or 0) > order.quantity:
            raise ApplicationError(
                f"quantity: a person has approved {order.quantity}: place another order for more", type="InvalidOrder"
            )

    @workflow.update(name=names.APPROVE, description="Let an order be sent that waits for a person's approval")
    async def approve_update(self, said: decision.Decision) -> Order:
        """Answers when the order is at the broker, or has ended: the guardian judges it once more."""
        self._process.hear(lifecycle.Approved(said.who, workflow.now()))
        await self._until(lambda: self._is_there)
        return self.order()

    @workflow.update(name=names.DECLINE, description="Reject an order that waits for a person's approval")
    async def decline_update(self, said: decision.Decision) -> Order:
        self._process.hear(lifecycle.Declined(said.who, said.reason))
        await self._until(lambda: self._recorded.terminal or self._is_let_go)
        order = self.order()
        if not order.status.terminal:
            raise ApplicationError(f"{decision.problem_with(order)}: cancel it", type="InvalidOrder")
        return order

    @approve_update.validator
    def _may_approve(self, said: decision.Decision) -> None:
        if (problem := decision.problem_with(self._process.order, said.who)) is not None:
            raise ApplicationError(problem, type="InvalidOrder")

    @decline_update.validator
    def _may_decline(self, said: decision.Decision) -> None:
        if (problem := decision.problem_with(self._process.order)) is not None:
            raise ApplicationError(problem, type="InvalidOrder")

    @workflow.update(description="Say what became of an order that nothing can prove any more, and on what evidence")
    async def settle(self, settlement: Settlement) -> Order:
        self._process.hear(lifecycle.Settled(settlement))
        await self._until(lambda: self._recorded is not Status.UNKNOWN)
        order = self.order()
        if not order.status.terminal:
            raise ApplicationError(f"the book has told meanwhile: {order.status}", type="InvalidOrder")
        return order

    @settle.validator
    def _may_settle(self, settlement: Settlement) -> None:
        problem = settlement.problem_with(self._process.order)
        if problem is None and not self._process.is_unsettled:
            problem = "the order book is still being read: it will tell"
        if problem is not None:
            raise ApplicationError(problem, type="InvalidOrder")

    @workflow.update(description="Wait until the order is at the broker, has ended, or waits for a person's approval")
    async def placed(self, fingerprint: str) -> Order:
        await self._until(lambda: self._is_there or self._waits_for_a_person)
        return self.order()

    @placed.validator
    def _same_content(self, fingerprint: str) -> None:
        if fingerprint not in (ANY_CONTENT, self._intent.fingerprint()):
            raise _duplicate(self._process.order)

    @workflow.query(description="The order as it stands")
    def order(self) -> Order:
        return self._process.order

    @property
    def _is_let_go(self) -> bool:
        """Whether it waits for nobody's approval any more, and has not ended over it."""
        order = self.order()
        return not (order.awaits_approval or order.status.terminal)

    @property
    def _is_there(self) -> bool:
        """At the broker, or over, as recorded."""
        return self._recorded not in (Status.PENDING, Status.UNKNOWN)

    def _ask_cancel(self, who: str) -> None:
        self._process.hear(lifecycle.CancelRequested(f"cancel requested: {who}"))

    async def _until(self, condition: Callable[[], bool]) -> None:
        """For handlers: until the condition holds. A life that failed fails those who wait for it, too."""
        await workflow.wait_condition(lambda: condition() or (self._life is not None and self._life.done()))
        if self._life is not None and self._life.done():
            self._life.result()

    # `run` does what the process decides.

    async def _live(self) -> Order:
        while True:
            is_long = workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished()
            action = self._process.next(workflow.now(), hand_over=is_long)
            if isinstance(action, actions.Done):
                return self._process.order
            await self._perform(action)

    async def _locally(self, call: Awaitable[R]) -> R:
        """What needs the ledger, which may hang. A cancel that is asked for meanwhile goes out."""
        self._at_the_ledger = True
        try:
            return await call
        finally:
            self._at_the_ledger = False
            if self._asks_to_cancel:
                await workflow.wait_condition(lambda: not self._asks_to_cancel)

    async def _cancel_meanwhile(self) -> None:
        tries = 0
        while True:
            await workflow.wait_condition(lambda: self._at_the_ledger and self._process.wants_cancel)
            if isinstance(self._cancel_answer, Accepted) or not workflow.patched(CANCELLED_MEANWHILE):
                return
            self._asks_to_cancel = True
            self._cancel_answer = await calls.cancel(self._process.order)
            self._asks_to_cancel, tries = False, tries + 1
            await workflow.sleep(backoff(1.0, tries))

    def _tell_of_cancel(self) -> None:
        answer, self._cancel_answer = self._cancel_answer, None
        if answer is not None:
            self._process.cancelled_meanwhile(answer, workflow.now())

    async def _perform(self, action: actions.Action) -> None:
        """Do it, and tell the process what came of it."""
        process, order = self._process, self._process.order
        match action:
            case actions.Admit():
                await self._admit(order)
            case actions.CheckAmendment(change):
                refusals = await self._locally(calls.check_amendment(order, change))
                self._tell_of_cancel()
                process.amendment_checked(refusals)
            case actions.Record(entries, is_unsettled):
                attempt = None if process.was_taken_up else process.attempts.number
                known = await self._locally(calls.record(order, list(entries), is_unsettled, attempt))
                self._show(order if known is None else known.order)
                process.recorded() if known is None else process.was_behind(known, workflow.now())
                self._tell_of_cancel()
                await self._tell_plan(names.STANDS, process.order)
            case actions.Recall():
                process.recalled(await self._locally(calls.recall(order)), workflow.now())
                self._show(process.order)
                self._tell_of_cancel()
                await self._tell_plan(names.STANDS, process.order)
            case actions.Reply():
                await self._reply(action)
            case actions.CheckWatch():
                process.watch_checked(await calls.book_age(order.account))
            case actions.Wait(until):
                await self._wait(until)
            case actions.HandOver():
                self._continue_as_new()
            case _:
                await self._ask_the_broker(action, order)

    async def _ask_the_broker(self, action: actions.Action, order: Order) -> None:
        process = self._process
        match action:
            case actions.Place():
                number, proved = process.attempts.number + 1, process.attempts.proved
                answer = await calls.place(order, process.approved, number, proved)
                process.place_answered(answer, workflow.now())
            case actions.Find():
                process.looked(await calls.look(order), workflow.now())
            case actions.Cancel():
                process.cancel_answered(await calls.cancel(order), workflow.now())
            case actions.Modify(change):
                process.modify_answered(await calls.modify(order, change), workflow.now())

    async def _admit(self, order: Order) -> None:
        verdict = await calls.admit(order, self._intent.fingerprint(), self._intent.place_by)
        if isinstance(verdict, Existing) and not verdict.same_content:
            raise _duplicate(verdict.order)
        takes_up = isinstance(self._intent, TakenUp) and self._process.policy is None
        self._process.admitted(verdict, workflow.now(), takes_up=takes_up)
        if isinstance(verdict, Existing):
            self._show(self._process.order)

    async def _wait(self, until: datetime | None) -> None:
        process = self._process
        pause = None if until is None else max(until - workflow.now(), timedelta(milliseconds=1))
        try:
            await workflow.wait_condition(lambda: process.is_interrupted, timeout=pause)
        except TimeoutError:
            process.time_passed()
        else:
            process.interrupted()

    async def _reply(self, reply: actions.Reply) -> None:
        request = self._requests.pop(0)
        request.reply = reply
        self._process.replied()
        if request.by_plan:
            own = self._process.order.client_order_id
            await self._tell_plan(names.ANSWERED, own, reply.refusal, reply.is_unknown)

    async def _tell_plan(self, signal: str, *told: object) -> None:
        """Of an order that is a plan's. A plan that is not there now reads the ledger when it is. One that was started
        as an order of no plan is nobody's, however it is named: it may be older than plans."""
        order = self._process.order
        plan = plan_of(order.client_order_id)
        if plan is None or not isinstance(self._intent, PlanOrderIntent | TakenUp):
            return
        handle = workflow.get_external_workflow_handle(names.plan_workflow_id(order.account, plan))
        try:
            await handle.signal(signal, args=told)
        except ApplicationError:
            return

    def _show(self, order: Order) -> None:
        """On the card and in the search attribute, once the ledger has it."""
        workflow.set_current_details(card(order))
        if order.status is not self._recorded:
            workflow.upsert_search_attributes([STATUS.value_set(order.status.value)])
        self._recorded, self._waits_for_a_person = order.status, order.awaits_approval

    def _continue_as_new(self) -> None:
        process = self._process
        attempts = process.attempts
        workflow.continue_as_new(
            Carried(
                intent=self._intent,
                order=process.order,
                policy=process.approved,
                sequence=process.record.sequence,
                attempts=attempts.failed,
                pauses=attempts.pauses,
                number=attempts.number,
                proved=attempts.proved,
                was_taken_up=process.was_taken_up,
            )
        )


def _process_of(start: OrderIntent | PlanOrderIntent | TakenUp | Carried, at: datetime) -> OrderProcess:
    if not isinstance(start, Carried):
        order = Order.from_intent(start, at) if isinstance(start, OrderIntent) else start.order
        return OrderProcess(OrderRecord(order), follows=workflow.patched)
    return OrderProcess(
        OrderRecord(start.order, start.sequence),
        start.policy,
        Attempts(start.attempts, start.pauses, start.number, start.proved),
        was_taken_up=start.was_taken_up,
        follows=workflow.patched,
    )
