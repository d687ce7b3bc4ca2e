"""Placing a GTT, and changing one, as workflows: each ends when the broker's list has shown what came of it.

From then on the account's watch follows it, for as long as it waits at the broker. A workflow that is started again,
after whatever happened to it, finds in the ledger whether it was sent, and sends it only where it was not.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from durable_orders.activities.gtt import GttActivities, GttVerdict
    from durable_orders.activities.gtt_changes import ChangeSeen, ChangeVerdict, GttChangeActivities
    from durable_orders.trading.gtt.gtt import UNRESOLVED, GttChange, GttIntent, TriggerId
    from durable_orders.trading.gtt.outcome import GttAccepted, GttOutcome
    from durable_orders.trading.gtt.state import GttState
    from durable_orders.trading.orders import steps
    from durable_orders.trading.orders.order import Mode
    from durable_orders.trading.orders.outcome import Evidence, NotSent, Refused, SessionExpired, Unknown
    from durable_orders.workflows import calls, names

FIRST_LOOK = timedelta(milliseconds=200)
"""Between the first two readings; each further pause is twice as long, up to the settle interval."""
OTHER_RUN = "what another run has sent is settled"
DELETE_STANDS = "a delete that was held up stands"
GOES_ON = "a change continues as new"


@workflow.defn(name=names.GTT_WORKFLOW)
class GttWorkflow:
    """One GTT, under the id `gtt:ACCOUNT:GTT_ID`. Its result is how it stood when the list showed it, or why not."""

    @workflow.run
    async def run(self, intent: GttIntent) -> GttState:
        began = workflow.info().workflow_start_time
        verdict: GttVerdict = await _local(GttActivities.admit, intent, began, summary=f"check {intent.summary()}")
        if not verdict.same_content:
            words = f"{intent.gtt_id} is the id of another GTT: {verdict.state.intent.summary()}"
            raise ApplicationError(words, type="DuplicateOrder", non_retryable=True)
        state, trigger_id = verdict.state, None
        if state.status not in UNRESOLVED:
            return state
        if state.sent_at is None:
            outcome = await self._place(intent, verdict)
            if isinstance(outcome, GttState):
                return outcome
            trigger_id = outcome.trigger_id if isinstance(outcome, GttAccepted) else None
        return await self._settle(intent, verdict, trigger_id)

    async def _place(self, intent: GttIntent, verdict: GttVerdict) -> GttState | GttOutcome:
        """An answer, or none; or how it has ended, where it is proved that nothing was placed."""
        number, tried = verdict.state.attempts, 0
        while True:
            number += 1
            outcome = await _place(intent, verdict, number)
            if not isinstance(outcome, Refused | NotSent | SessionExpired):
                return outcome
            tried += isinstance(outcome, NotSent) and outcome.tried  # what was held back here was no attempt
            pause = timedelta(seconds=verdict.retry_delay * max(tried, 1))
            is_over = isinstance(outcome, Refused) or tried > verdict.max_retries
            is_over = is_over or workflow.now() + pause > verdict.place_by
            why = _why_not(outcome)
            words = why if is_over else None
            state: GttState = await _local(GttActivities.not_placed, intent, number, words, summary=why[:200])
            is_open = state.status in UNRESOLVED and (is_over or state.sent_at is not None)
            if is_open and workflow.patched(OTHER_RUN):
                return Unknown(evidence=Evidence(message="another run of this workflow has sent it"))
            if is_over or state.status not in UNRESOLVED:
                return state
            await workflow.sleep(pause)

    async def _settle(self, intent: GttIntent, verdict: GttVerdict, trigger_id: TriggerId | None) -> GttState:
        pause = FIRST_LOOK
        while True:
            state = await _look(intent, trigger_id)
            if state is not None and state.status not in UNRESOLVED:
                return state
            await workflow.sleep(pause)
            pause = min(2 * pause, timedelta(seconds=verdict.settle_interval))
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(intent)


@workflow.defn(name=names.GTT_CHANGE_WORKFLOW)
class GttChangeWorkflow:
    """One change of a GTT, under the id `gtt-change:ACCOUNT:GTT_ID`, or its end, under `gtt-delete:ACCOUNT:GTT_ID`. Its
    result is what the list showed."""

    @workflow.run
    async def run(self, change: GttChange) -> ChangeSeen:
        info = workflow.info()
        asked_at, own = change.asked_at or info.workflow_start_time, change.takes_up or info.first_execution_run_id
        again = change.model_copy(update={"asked_at": asked_at, "takes_up": own})
        pause = FIRST_LOOK
        while True:
            verdict = await self._admitted(change, asked_at, own, again)
            if verdict.seen is not None:
                return verdict.seen
            if verdict.refusal is not None or verdict.trigger_id is None:
                raise ApplicationError(f"{change.gtt_id}: {verdict.refusal}", type="InvalidOrder", non_retryable=True)
            outcome = await _change(change, verdict.trigger_id, own, verdict.send_by)
            if not await _stands(change, outcome, own):
                break
            pause = await _rest(pause, verdict.settle_interval, again)
        is_accepted, was_sent = isinstance(outcome, GttAccepted), isinstance(outcome, GttAccepted | Unknown)
        pause = FIRST_LOOK
        while True:
            seen = await _look_for_change(change, verdict.trigger_id, own, is_accepted, was_sent)
            if seen is not None and seen.is_unknown:
                raise ApplicationError(f"{change.gtt_id}: {seen.refusal}", type="UnknownError", non_retryable=True)
            if seen is not None and (seen.is_over or seen.state is None or seen.state.change is None):
                return seen
            pause = await _rest(pause, verdict.settle_interval, again)

    async def _admitted(self, change: GttChange, asked_at: datetime, own: str, again: GttChange) -> ChangeVerdict:
        """A delete of a GTT of which it is not known whether the broker has it waits for that."""
        pause = FIRST_LOOK
        while True:
            verdict: ChangeVerdict = await _local(
                GttChangeActivities.admit_change, change, asked_at, own, summary=f"check: {change.summary()}"[:200]
            )
            if not verdict.waits:
                return verdict
            pause = await _rest(pause, verdict.settle_interval, again)


def _why_not(outcome: Refused | NotSent | SessionExpired) -> str:
    if isinstance(outcome, Refused):
        return "; ".join(steps.refused(outcome.evidence).reasons)
    return str(outcome.evidence)


async def _stands(change: GttChange, outcome: GttOutcome, own: str) -> bool:
    """Whether it was held up, and is to be sent again, as a delete is until the broker has answered. Raises
    `ApplicationError` where it is over."""
    if not isinstance(outcome, Refused | NotSent | SessionExpired):
        return False
    is_held_up = change.legs is None and not isinstance(outcome, Refused)
    stands, words = is_held_up and workflow.patched(DELETE_STANDS), _why_not(outcome)
    arguments = (change.gtt_id, words, own, stands)
    is_proved = await _local(GttChangeActivities.not_changed, *arguments, summary=words[:200])
    if is_proved is False:
        return False
    if not stands:
        raise ApplicationError(f"{change.gtt_id}: {words}", type="InvalidOrder", non_retryable=True)
    return True


async def _rest(pause: timedelta, longest: float, again: GttChange) -> timedelta:
    """How long the next one is, with `longest` in seconds."""
    await workflow.sleep(pause)
    if workflow.info().is_continue_as_new_suggested() and workflow.patched(GOES_ON):
        workflow.continue_as_new(again)
    return min(2 * pause, timedelta(seconds=longest))


async def _place(intent: GttIntent, verdict: GttVerdict, number: int) -> GttOutcome:
    try:
        return await workflow.execute_activity_method(
            GttActivities.place,
            args=[intent, verdict.place_by, number],
            task_queue=names.broker_queue(intent.account, Mode.LIVE),
            schedule_to_start_timeout=max(verdict.place_by - workflow.now(), timedelta(seconds=1)),
            priority=calls.PLACE_LAST,
            summary=f"place GTT {intent.summary()}"[:200],
            **AT_THE_BROKER,
        )
    except ActivityError as error:
        return calls.without_answer(error)


async def _look(intent: GttIntent, trigger_id: TriggerId | None) -> GttState | None:
    """`None` for a reading that failed, which tells nothing."""
    try:
        return await workflow.execute_activity_method(
            GttActivities.look,
            args=[intent, trigger_id],
            task_queue=names.broker_queue(intent.account, Mode.LIVE),
            priority=calls.READ_NEXT,
            summary=f"look for GTT {trigger_id or intent.gtt_id} in the broker's list",
            **AT_THE_BROKER,
        )
    except ActivityError:
        return None


async def _change(change: GttChange, trigger_id: TriggerId, own: str, send_by: datetime | None) -> GttOutcome:
    within = None if send_by is None else max(send_by - workflow.now(), timedelta(seconds=1))
    try:
        return await workflow.execute_activity_method(
            GttChangeActivities.change,
            args=[change, trigger_id, own],
            task_queue=names.broker_queue(change.account, Mode.LIVE),
            schedule_to_start_timeout=within,
            priority=calls.CANCEL_FIRST if change.legs is None else calls.READ_NEXT,
            summary=change.summary()[:200],
            **AT_THE_BROKER,
        )
    except ActivityError as error:
        return calls.without_answer(error)


async def _look_for_change(
    change: GttChange, trigger_id: TriggerId, own: str, is_accepted: bool, was_sent: bool
) -> ChangeSeen | None:
    try:
        return await workflow.execute_activity_method(
            GttChangeActivities.look_for_change,
            args=[change.gtt_id, trigger_id, own, is_accepted, was_sent],
            task_queue=names.broker_queue(change.account, Mode.LIVE),
            priority=calls.READ_NEXT,
            summary=f"look at GTT {trigger_id}",
            **AT_THE_BROKER,
        )
    except ActivityError:
        return None


AT_THE_BROKER: dict[str, Any] = {
    "start_to_close_timeout": calls.BROKER_TIMEOUT,
    "heartbeat_timeout": calls.HEARTBEAT_TIMEOUT,
    "retry_policy": calls.ONCE,
}


async def _local(activity: Callable[..., Any], *arguments: Any, summary: str) -> Any:
    return await workflow.execute_local_activity_method(
        activity,
        args=list(arguments),
        start_to_close_timeout=calls.LOCAL_TIMEOUT,
        retry_policy=calls.UNTIL_DONE,
        local_retry_threshold=timedelta(seconds=1),
        summary=summary,
    )
