"""What happens next to an order: the one decision, from its intent to its proved end. No clock, no I/O, no await.

A driver asks `next` what is to be done, does it, and tells what came of it; what it hears meanwhile it tells with
`hear`. What any of that changes of the order is the lifecycle's to say (`lifecycle.step`), and what readings of the
book prove is `absence`'s. The drivers decide nothing: the durable workflow, whose every step survives a crash
(`workflows/order.py`), and the one in memory, which backtests and simulated engines are made of (`backtest/core.py`).

Rules
-----
1. It is sent only while it is PENDING, before its deadline, and while nobody wants it cancelled. After an answer that
   leaves open whether it was sent, it is PENDING again only once it is proved never to have been placed.
2. What is heard is taken in between two steps, in the order in which it came, and never within one: a step that is
   done again (a workflow's task that is repeated) has heard more by then, and must count its events alike.
3. What happened is recorded before the next step is taken; but a cancel that was asked for waits for no ledger.
4. It is done when the order's end is proved and recorded.
5. An order that a person has to approve waits for that, PENDING and with nothing reserved, until its deadline. Once it
   is approved, the guardian judges again, and only by that is it sent.
6. Where the ledger has more of it than it knows, the ledger is right: it goes on from there, and the book tells the
   rest. So a run that somebody has reset to an earlier moment reads the ledger before it decides anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from durable_orders.trading.ist import IST
from durable_orders.trading.orders import lifecycle, outcome
from durable_orders.trading.orders.actions import (
    ADMIT,
    CANCEL,
    CHECK_WATCH,
    DONE,
    FIND,
    HAND_OVER,
    PLACE,
    RECALL,
    WAIT,
    Action,
    Record,
    Reply,
    Wait,
)
from durable_orders.trading.orders.amending import Amendments
from durable_orders.trading.orders.book import OrderReport
from durable_orders.trading.orders.decision import sign_off_words
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.lookup import BookLookup, Found
from durable_orders.trading.orders.order import Amendment, Order, OrderType, SignOff, Status
from durable_orders.trading.orders.record import OnRecord, OrderRecord
from durable_orders.trading.orders.settling import Settling
from durable_orders.trading.orders.steps import BACKOFF_LIMIT, Unsent, backoff, cancel_not_taken, next_step, refused
from durable_orders.trading.orders.verdict import Existing, Policy, Refusal, Refusals, Verdict

WATCH_SILENT_SECONDS = 30.0
"""A book that the watch has not read for this long means that the order looks for itself."""
TAKEN_UP = "its earlier workflow is gone: it goes on from what the ledger has, is looked up in the book, and never sent"
NEVER_SENT = "what is taken up is told, looked up and never sent"
RECORDED_FIRST = "a new run records what it heard first"
CANCELLED_FIRST = "a cancel goes out before it is recorded"
GOES_ON = "it goes on from what the ledger has"
BEHIND = "its workflow was behind the ledger: it goes on from what the ledger has, and is looked up in the book"
RECALLS = "a run that was reset reads what the ledger has"
"""Rules that the replay of an older history does without."""
PENDING, UNKNOWN = Status.PENDING, Status.UNKNOWN


@dataclass(frozen=True, slots=True)
class Misread:
    """A message that did not fit."""

    words: str


News = (
    lifecycle.Reported
    | lifecycle.MissingFromBook
    | lifecycle.Settled
    | lifecycle.CancelRequested
    | lifecycle.Approved
    | lifecycle.Declined
    | Misread
)
"""What may be heard at any time: what the account's watch saw, and what somebody says or wants."""


@dataclass(slots=True)
class Attempts:
    """What is known of the attempts to send an order."""

    failed: int = 0
    """Those that count against `max_retries`."""
    pauses: int = 0
    """How often it waited to be sent."""
    number: int = 0
    """Of the last one that was made."""
    proved: int = 0
    """Nothing came of any attempt up to this one."""


class OrderProcess:
    """One order's. A new one knows what the one that handed over to it had known (`HandOver`)."""

    def __init__(
        self,
        record: OrderRecord,
        policy: Policy | None = None,
        attempts: Attempts | None = None,
        *,
        was_taken_up: bool = False,
        follows: Callable[[str], bool] = lambda _rule: True,
    ) -> None:
        """`policy` is that of an order which the guardian has approved. `follows` says whether a rule is followed."""
        self.record = record
        self.policy = policy
        self.attempts = attempts or Attempts()
        self.was_taken_up = was_taken_up
        """Whether an earlier process of it was lost: it is not sent again, whatever the book proves."""
        self._follows = follows
        self._status = record.order.status
        self._sent_at = record.order.updated_at
        self._settling = self._new_settling()
        self._amendments = Amendments()
        self._heard: list[News] = []
        self._unwritten: list[News] = []
        """What was taken in and is not recorded yet."""
        self._woken = self._was_reset = False
        self._is_new_run = self._is_between_steps = policy is not None
        self._records_first = self._records_later = False
        self._owed: Action | None = None
        """What the last answer asks for before anything else."""
        self._pause: timedelta | None = None
        self._until: datetime | None = None
        self._cancels = 0
        self._next_cancel: datetime | None = None
        self._cancel_taken = False
        """Whether the broker took one: what its book then shows to have run out was cancelled."""

    @property
    def order(self) -> Order:
        return self.record.order

    @property
    def approved(self) -> Policy:
        if self.policy is None:
            raise RuntimeError("the order has not been approved")
        return self.policy

    @property
    def _place_by(self) -> datetime | None:
        return None if self.policy is None else self.policy.place_by

    @property
    def is_unsettled(self) -> bool:
        """Whether the account takes no new risk over it, and a human may settle it."""
        return self._settling is not None and self._settling.is_unsettled

    # What is heard.

    def hear(self, news: News) -> None:
        self._heard.append(news)

    def hear_amendment(self, change: Amendment) -> None:
        """Somebody wants it changed, and waits for the `Reply`."""
        self._amendments.ask(change)

    def wake(self) -> None:
        """What it waits for may have come, such as a new login."""
        self._woken = True

    def was_reset(self) -> None:
        """Somebody has set it back to an earlier moment: what happened since, the ledger may know."""
        self._was_reset = True

    @property
    def _is_working(self) -> bool:
        return not (self._status in (PENDING, UNKNOWN) or self._status.terminal)

    @property
    def _recalls(self) -> bool:
        return self._was_reset and self.policy is not None and self._follows(RECALLS)

    @property
    def is_interrupted(self) -> bool:
        """Whether what was heard ends the wait."""
        if self._recalls:
            return True
        if self._settling is not None and self._settling.is_in_review:
            return bool(self._heard)
        if self._status in (PENDING, UNKNOWN):
            return bool(self._heard) or self._woken
        return bool(self._heard) or self._amendments.are_asked

    # What is to be done.

    def next(self, now: datetime, *, hand_over: bool = False) -> Action:
        """What is to be done now; the same, if it is asked again before that is done. With `hand_over`, `HandOver` as
        soon as nothing is under way."""
        if self._recalls:
            return RECALL
        if self._owed is not None:
            return self._owed
        if self._records_first and self.record.entries:
            return self._to_record()
        if self._amendments.is_answered:
            self._judge_amendment(now)
        if self._is_between_steps:
            self._take_in(now)
        if self.record.entries and not self._records_later:
            return CANCEL if self._cancels_first(now) else self._to_record()
        if self._amendments.reply is not None:
            return self._amendments.reply
        return self._next_step(now, hand_over=hand_over)

    def _cancels_first(self, now: datetime) -> bool:
        if self._status is UNKNOWN or next_step(self.order, self._place_by, now, self._next_cancel) is not CANCEL:
            return False
        return self._follows(CANCELLED_FIRST)

    def _to_record(self) -> Record:
        return Record(self.record.entries, self.is_unsettled)

    def _next_step(self, now: datetime, *, hand_over: bool) -> Action:
        if self._needs_the_guardian:
            return ADMIT
        if self._pause is not None:
            self._until = self._until or self._end_of(self._pause, now)
            return Wait(self._until)
        if hand_over and not self._is_under_way:
            return HAND_OVER
        if self._settling is not None:
            return self._settle(self._settling, now)
        if self.order.awaits_approval:
            return self._await_approval(self.approved.place_by, now)
        step = next_step(self.order, self._place_by, now, self._next_cancel)
        if isinstance(step, Unsent):
            self._apply(step, now)
            return self._to_record()
        if step is DONE and self._amendments.are_asked:
            return Reply(f"the order has ended: {self._status}")
        if step is PLACE:
            self._woken = False
        return self._follow(now) if step is WAIT else step

    @property
    def _is_under_way(self) -> bool:
        is_told = bool(self._heard or self.record.entries) or self._amendments.are_asked
        has_begun = self._settling is not None and self._settling.has_begun
        return is_told or has_begun or self._needs_the_guardian or self._status.terminal

    @property
    def _needs_the_guardian(self) -> bool:
        """Before anything else, whatever its status: one that is taken up goes on from what the guardian gives. And
        again once a person has approved it."""
        if self.policy is None:
            return not self._status.terminal
        return self.policy.is_before_sign_off and self._status is PENDING and not self.order.awaits_approval

    def _await_approval(self, needed_by: datetime, now: datetime) -> Action:
        self._woken = False
        if self.order.cancel_requested:
            self._apply(lifecycle.Withdrawn("cancelled before it was sent"), now)
        elif now >= needed_by:
            self._apply(lifecycle.Refused((f"NOT_APPROVED: nobody approved it before {_clock(needed_by)}",)), now)
        else:
            return Wait(needed_by)
        return self._to_record()

    def _end_of(self, pause: timedelta, now: datetime) -> datetime:
        return min(now + pause, self.approved.place_by) if self._status is PENDING else now + pause

    def _settle(self, settling: Settling, now: datetime) -> Action:
        action = settling.next(now)
        if self.record.entries:
            return self._to_record()
        self._woken = self._woken and action is not FIND
        return action

    def _follow(self, now: datetime) -> Action:
        """Do what is asked of a working order, or wait for the watch to report."""
        if self._amendments.are_asked:
            return self._amendments.first()
        if self._until is None:
            quiet = now + timedelta(seconds=self.approved.safety_interval)
            again = self._next_cancel if self.order.cancel_requested else None
            self._until = quiet if again is None else min(quiet, again)
        return Wait(self._until)

    # What came of it.

    def admitted(self, verdict: Verdict, now: datetime, *, takes_up: bool = False) -> None:
        """An order that exists has to be the same one: whoever asks the guardian sees to that. `takes_up` says of one
        that no guardian had received that an earlier process of it may have sent it all the same."""
        if isinstance(verdict, Existing):
            self.record.order, self.record.sequence = verdict.order, verdict.sequence
            takes_up, self._was_reset = not verdict.policy.is_before_sign_off, False
        elif verdict.dry_run or verdict.tag is not None or verdict.approval is not None:
            told = {"dry_run": verdict.dry_run or self.order.dry_run, "tag": verdict.tag or self.order.tag}
            self.record.order = self.order.model_copy(
                update=told | {"approval": verdict.approval or self.order.approval}
            )
        if isinstance(verdict, Refusals):
            self._records_first = self._is_between_steps = True
            self._apply(lifecycle.Refused(tuple(str(refusal) for refusal in verdict.refusals)), now)
            return
        self.policy = verdict.policy
        if takes_up:
            self._take_up(now)
            return
        self._take_in(now)
        if verdict.policy.is_before_sign_off:
            if self.order.awaits_approval:
                words = sign_off_words(SignOff(needed_by=verdict.policy.place_by))
                if isinstance(verdict, Existing):
                    self.record.note(f"{GOES_ON}, and {words}", EventType.ORDER_UPDATED, now)
                else:
                    self.record.note(words, EventType.APPROVAL_ASKED, now)
            return
        unsent = next_step(self.order, self._place_by, now)
        if isinstance(unsent, Unsent):
            self._apply(unsent, now)

    def _take_up(self, now: datetime) -> None:
        """It goes on from what was recorded. One that was not seen at the broker by then may have been sent since, and
        of another nobody may tell again what happened meanwhile."""
        self._sent_at, self._is_between_steps = self.order.created_at, True
        self._enter(self.order.status)
        if not self.order.status.terminal and self._follows(NEVER_SENT):
            self.was_taken_up = self._records_first = True
            self.record.alert(TAKEN_UP, now)
        self._apply(lifecycle.AnswerLost("its earlier workflow is gone"), now)
        if self.was_taken_up and self._status is not UNKNOWN:
            self._owed = FIND

    def place_answered(self, answer: outcome.Outcome, now: datetime) -> None:
        self._is_between_steps = True
        self.attempts.number += 1
        if isinstance(answer, outcome.NothingCameOfIt):
            self.attempts.proved = max(self.attempts.proved, answer.attempt)
        if isinstance(answer, outcome.Accepted):
            self._apply(lifecycle.Receipt(answer.broker_order_id, answer.slices, answer.refusals), now)
            self._read(answer.report, now)
        elif isinstance(answer, outcome.Refused):
            self._apply(refused(answer.evidence), now)
        elif isinstance(answer, outcome.Unknown):
            self._sent_at = now
            self._apply(lifecycle.AnswerLost(_lost(answer.evidence)), now)
        else:
            self._try_later(answer, now)

    def _try_later(self, answer: outcome.NotSent | outcome.SessionExpired, now: datetime) -> None:
        """Provably not sent: once more after a pause, which ends at the deadline at the latest; or given up."""
        attempts = self.attempts
        attempts.pauses += 1
        if isinstance(answer, outcome.NotSent) and answer.tried:
            attempts.failed += 1
        if attempts.failed > self.approved.max_retries:
            self._apply(lifecycle.Refused((f"not sent in {attempts.failed} attempts: {answer.evidence}",)), now)
            return
        self._apply(lifecycle.Noted(f"not sent: {answer.evidence}"), now)
        self._pause = backoff(self.approved.retry_delay, attempts.pauses)
        self._is_between_steps = False

    def looked(self, look: BookLookup, now: datetime) -> None:
        is_owed, self._owed = self._owed is not None, None
        self._is_between_steps = not self._amendments.is_answered
        settling = self._settling
        if settling is None or is_owed:
            self._read(look.report if isinstance(look, Found) else None, now)
            return
        was_unsettled = settling.is_unsettled
        proof = settling.looked(look, now)
        if proof is not None:
            self._apply(proof, now)
        if isinstance(look, Found):
            self._read(look.report, now)
        elif isinstance(proof, lifecycle.ProvedAbsent):
            self._end_if_not_sent_again(proof, now)
        if self._status is UNKNOWN:
            self._records_first = settling.is_unsettled and not was_unsettled
            limit = timedelta(seconds=self.approved.unreadable_interval) if settling.misses else BACKOFF_LIMIT
            self._pause = backoff(self.approved.settle_interval, max(settling.misses, 1), limit)

    def _end_if_not_sent_again(self, proof: lifecycle.ProvedAbsent, now: datetime) -> None:
        """What fires at the market is sent once; what may rest, again."""
        self.attempts.proved = self.attempts.number
        self.attempts.failed += 1
        may_rest = self.order.order_type in (OrderType.LIMIT, OrderType.SL) and not self.was_taken_up
        policy = self.approved
        if not (may_rest and policy.resend_after_settle and self.attempts.failed <= policy.max_retries):
            self._apply(lifecycle.Refused((f"not placed: {proof.reason}",)), now)

    def cancel_answered(self, answer: outcome.Outcome, now: datetime) -> None:
        """The book tells what came of it. It is asked again, ever more slowly, until that shows an end."""
        self._cancels += 1
        self._next_cancel = now + backoff(1.0, self._cancels)
        self._is_between_steps = True
        self._cancel_taken = self._cancel_taken or isinstance(answer, outcome.Accepted)
        if isinstance(answer, outcome.Accepted) and answer.report:
            self._read(answer.report, now)
            return
        if not isinstance(answer, outcome.Accepted):
            self._apply(cancel_not_taken(answer.evidence), now)
        self._owed = FIND

    @property
    def wants_cancel(self) -> bool:
        """Whether a cancel of what works at the broker was asked for that it has not taken in."""
        if not self._is_working or self.order.cancel_requested:
            return False
        return any(isinstance(news, lifecycle.CancelRequested) for news in self._heard)

    def cancelled_meanwhile(self, answer: outcome.Outcome, now: datetime) -> None:
        """The broker was asked while the ledger hung: what asked for it is taken in first."""
        self._take_in(now)
        if not self._status.terminal and self.order.cancel_requested:
            self.cancel_answered(answer, now)
        self._is_between_steps = True

    def amendment_checked(self, refusals: Sequence[Refusal]) -> None:
        self._owed = self._amendments.checked(refusals)

    def modify_answered(self, answer: outcome.Outcome, now: datetime) -> None:
        self._amendments.answered(answer)
        has_report = isinstance(answer, outcome.Accepted) and answer.report is not None
        self._owed = None if has_report else FIND
        if isinstance(answer, outcome.Accepted):
            self._read(answer.report, now)

    def _judge_amendment(self, now: datetime) -> None:
        noted = self._amendments.judge(self.order)
        if noted is not None:
            self._apply(noted, now)

    def replied(self) -> None:
        self._amendments.replied()
        self._is_between_steps = True

    def recorded(self) -> None:
        self.record.entries, self._records_first, self._unwritten = (), False, []

    def recalled(self, known: OnRecord | None, now: datetime) -> None:
        """`None` for an order that the ledger does not know."""
        self._was_reset, self._is_between_steps = False, True
        if known is not None and (self.record.is_behind(known) or known.attempt > self.attempts.number):
            self.was_behind(known, now)
        elif self._is_working:
            self._owed = self._owed or FIND

    def was_behind(self, known: OnRecord, now: datetime) -> None:
        """The ledger has more of it, or something else. An attempt to send it whose outcome is open may be at the
        broker, and when it was made is not told."""
        self.record.go_on_from(known)
        self._heard[:0], self._unwritten = self._unwritten, []
        attempts = self.attempts
        attempts.proved = max(attempts.proved, known.not_sent)
        is_open = known.attempt > attempts.proved
        attempts.number = max(attempts.number, known.attempt)
        self._sent_at, self._records_first, self._is_between_steps = known.order.created_at, False, True
        self._enter(self.order.status)
        if self._status.terminal:
            return
        self.record.alert(BEHIND, now)
        if is_open:
            self._apply(lifecycle.AnswerLost(f"attempt {known.attempt} to send it may have reached the broker"), now)
        if self._is_working:
            self._owed = self._owed or FIND

    def watch_checked(self, age: float | None) -> None:
        """`age` is in seconds; `None` for a book that was never read."""
        is_silent = age is None or age > WATCH_SILENT_SECONDS
        self._owed, self._is_between_steps = FIND if is_silent else None, True

    def interrupted(self) -> None:
        self._pause = self._until = None
        self._is_between_steps = True

    def time_passed(self) -> None:
        """A working order of which nothing was heard for so long sees whether anybody watches."""
        self.interrupted()
        if self._status not in (PENDING, UNKNOWN) and not self.order.cancel_requested:
            self._owed = CHECK_WATCH

    # What the above are made of.

    def _take_in(self, now: datetime) -> None:
        heard, self._heard, self._is_between_steps = self._heard, [], False
        for news in heard:
            self._take(news, now)
        self._unwritten = [*self._unwritten, *heard] if self.record.entries else []
        self._records_later = self._is_new_run and bool(heard) and not self._follows(RECORDED_FIRST)
        self._is_new_run = False

    def _take(self, news: News, now: datetime) -> None:
        """Whoever saw it, this process or the watch: a lost order that is there again is told as found."""
        if isinstance(news, Misread):
            self.record.alert(news.words, now)
            return
        if isinstance(news, lifecycle.Reported) and self._settling is not None:
            self._settling.saw_it(news, now)
        self._apply(news, now)

    def _read(self, report: OrderReport | None, now: datetime) -> None:
        if report is not None:
            self._take(lifecycle.Reported(report), now)

    def _apply(self, event: lifecycle.Event, now: datetime) -> None:
        """Nothing that was begun in one status goes on in the next."""
        if isinstance(event, lifecycle.Reported) and self._cancel_taken:
            event = lifecycle.Reported(event.report.as_asked_for())
        self.record.apply(event, now)
        status = self.record.order.status
        if status is not self._status:
            self._enter(status)

    def _enter(self, status: Status) -> None:
        self._status = status
        self._pause = self._until = None
        self._settling = self._new_settling()

    def _new_settling(self) -> Settling | None:
        """`None` for what is not UNKNOWN, or goes on from what the guardian has yet to give."""
        if self._status is not UNKNOWN or self.policy is None:
            return None
        return Settling(self.record, self.approved, self._sent_at, self._follows)


def _clock(at: datetime) -> str:
    return f"{at.astimezone(IST):%H:%M:%S} IST"


def _lost(evidence: outcome.Evidence) -> str:
    if evidence.error_type == outcome.ATTEMPT_USED:
        return f"not sent again, it may be at the broker: {evidence.message}"
    return f"answer lost after sending: {evidence}"
