"""How the order's workflow calls its activities: queues, timeouts, and the sentence that the Temporal UI shows.

Guard and record are local activities: one event of history each. What reaches the broker is an ordinary activity on
the account's own queue, where the server limits its rate, with a single attempt: its outcome is for `run` to judge.
"""

from datetime import datetime, timedelta
from typing import Any

from temporalio import exceptions, workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, TimeoutType

with workflow.unsafe.imports_passed_through():
    from durable_orders.activities.gtt_changes import ChangeSeen
    from durable_orders.activities.orders import OrderActivities
    from durable_orders.trading.gtt.gtt import GttChange, GttIntent
    from durable_orders.trading.gtt.state import GttState
    from durable_orders.trading.orders.events import Entry
    from durable_orders.trading.orders.lookup import BookLookup, Unreadable
    from durable_orders.trading.orders.order import Amendment, Order, OrderIntent
    from durable_orders.trading.orders.outcome import Evidence, NotSent, Outcome, Unknown
    from durable_orders.trading.orders.record import OnRecord
    from durable_orders.trading.orders.verdict import Policy, Refusal, Verdict
    from durable_orders.workflows import names

ONCE = RetryPolicy(maximum_attempts=1)
UNTIL_DONE = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=10))
"""For what is safe to repeat: a locked or full database makes the order wait."""
LOCAL_TIMEOUT = timedelta(minutes=1)
BROKER_TIMEOUT = timedelta(seconds=30)
HEARTBEAT_TIMEOUT = timedelta(seconds=5)
CANCEL_FIRST = Priority(priority_key=1)
READ_NEXT = Priority(priority_key=2)
PLACE_LAST = Priority(priority_key=3)


async def start_order(intent: OrderIntent) -> None:
    """The order lives on whatever becomes of the workflow that wants it. Raises `WorkflowAlreadyStartedError` where one
    of its name is there."""
    await workflow.start_child_workflow(
        names.ORDER_WORKFLOW,
        intent,
        result_type=Order,
        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        **names.order_options(intent, intent.fingerprint()),
    )


async def start_gtt(intent: GttIntent) -> workflow.ChildWorkflowHandle[Any, GttState]:
    """It lives on whatever becomes of the workflow that wants it. Raises `WorkflowAlreadyStartedError` where one of its
    id is there."""
    return await workflow.start_child_workflow(
        names.GTT_WORKFLOW,
        intent,
        result_type=GttState,
        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        **names.gtt_options(intent),
    )


async def start_gtt_change(change: GttChange) -> workflow.ChildWorkflowHandle[Any, ChangeSeen]:
    """As `start_gtt`. Raises `WorkflowAlreadyStartedError` where a change of that GTT, or its end, is on its way."""
    return await workflow.start_child_workflow(
        names.GTT_CHANGE_WORKFLOW,
        change,
        result_type=ChangeSeen,
        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        **names.gtt_change_options(change),
    )


async def admit(order: Order, fingerprint: str, place_by: datetime | None) -> Verdict:
    """The guardian's verdict on a new order."""
    return await workflow.execute_local_activity_method(
        OrderActivities.guard,
        args=[order, workflow.info().first_execution_run_id, fingerprint, place_by],
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=UNTIL_DONE,
        local_retry_threshold=timedelta(seconds=1),
        summary=f"check {order.summary()}",
    )


async def check_amendment(order: Order, change: Amendment) -> tuple[Refusal, ...]:
    return await workflow.execute_local_activity_method(
        OrderActivities.guard_amendment,
        args=[order, change],
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=UNTIL_DONE,
        local_retry_threshold=timedelta(seconds=1),
        summary=f"check the change: {change.summary()}",
    )


async def record(order: Order, entries: list[Entry], unsettled: bool, attempt: int | None) -> OnRecord | None:
    """What the ledger has of it where this run is behind that, and nothing was recorded. `attempt` is the last attempt
    to send it that this run knows of."""
    return await workflow.execute_local_activity_method(
        OrderActivities.record,
        args=[order, entries, unsettled, attempt],
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=UNTIL_DONE,
        local_retry_threshold=timedelta(seconds=1),
        summary="; ".join(entry.message for entry in entries)[:200],
    )


async def recall(order: Order) -> OnRecord | None:
    return await workflow.execute_local_activity_method(
        OrderActivities.recall,
        order.order_id,
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=UNTIL_DONE,
        local_retry_threshold=timedelta(seconds=1),
        summary="what does the ledger have of it?",
    )


async def book_age(account: str) -> float | None:
    return await workflow.execute_local_activity_method(
        OrderActivities.book_age,
        account,
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=UNTIL_DONE,
        local_retry_threshold=timedelta(seconds=1),
        summary="is the account's watch alive?",
    )


async def place(order: Order, policy: Policy, number: int, proved: int) -> Outcome:
    """One attempt at sending, of that number; nothing came of any up to `proved`.

    What is not a plain answer is `Unknown`, unless no worker ever began with it.
    """
    try:
        return await workflow.execute_activity_method(
            OrderActivities.place,
            args=[order, policy.place_by, number, proved],
            task_queue=names.broker_queue(order.account, order.mode),
            schedule_to_start_timeout=max(policy.place_by - workflow.now(), timedelta(seconds=1)),
            start_to_close_timeout=BROKER_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=ONCE,
            priority=PLACE_LAST,
            summary=f"place {order.summary()}",
        )
    except ActivityError as error:
        return without_answer(error)


async def cancel(order: Order) -> Outcome:
    try:
        return await workflow.execute_activity_method(
            OrderActivities.cancel,
            order,
            task_queue=names.broker_queue(order.account, order.mode),
            start_to_close_timeout=BROKER_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=ONCE,
            priority=CANCEL_FIRST,
            summary=f"cancel {order.broker_order_id}",
        )
    except ActivityError as error:
        return without_answer(error)


async def modify(order: Order, change: Amendment) -> Outcome:
    try:
        return await workflow.execute_activity_method(
            OrderActivities.modify,
            args=[order, change],
            task_queue=names.broker_queue(order.account, order.mode),
            start_to_close_timeout=BROKER_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=ONCE,
            priority=READ_NEXT,
            summary=f"amend {order.broker_order_id}: {change.summary()}",
        )
    except ActivityError as error:
        return without_answer(error)


async def look(order: Order) -> BookLookup:
    """One reading of the book for this order. A reading that failed tells nothing."""
    try:
        return await workflow.execute_activity_method(
            OrderActivities.look,
            order,
            task_queue=names.broker_queue(order.account, order.mode),
            start_to_close_timeout=BROKER_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=ONCE,
            priority=READ_NEXT,
            summary=f"look for {order.broker_order_id or f'tag {order.tag}'} in the order book",
        )
    except ActivityError as error:
        return Unreadable(evidence=Evidence(message=_words(error)))


def without_answer(error: ActivityError) -> NotSent | Unknown:
    """Nothing was sent only if no worker ever began with it; everything else may have been."""
    cause = error.cause
    evidence = Evidence(message=_words(error))
    if isinstance(cause, exceptions.TimeoutError) and cause.type is TimeoutType.SCHEDULE_TO_START:
        return NotSent(evidence=evidence)
    return Unknown(evidence=evidence)


def _words(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, exceptions.TimeoutError):
        words = {
            TimeoutType.SCHEDULE_TO_START: "no worker took it in time",
            TimeoutType.HEARTBEAT: "the worker died or lost its connection on the way",
        }
        return words.get(cause.type, "no answer in time") if cause.type else "no answer in time"
    return f"no answer: {type(cause or error).__name__}"
