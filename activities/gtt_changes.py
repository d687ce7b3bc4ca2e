"""The effects of one change of a GTT, or of its end: check it, ask the broker for it once, see in its list what came of
that.

A change is known by the first run of its workflow (`change_id`), also after a reset. The ledger keeps each that was
ever admitted: one that has come to its end, or in whose place another one was asked for, is never sent again.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic import AwareDatetime, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from durable_orders.activities.gtt_account import GttAccount, say
from durable_orders.activities.gtt_told import tell_shown
from durable_orders.activities.last_look import (
    HeartbeatClock,
    PlacementLook,
    beating,
    no_ledger,
    not_approved,
    not_now,
    now,
)
from durable_orders.trading.errors import BookUnreadable, NotApproved
from durable_orders.trading.explained import explained
from durable_orders.trading.gtt.gtt import UNRESOLVED, GttChange, GttIntent, GttLeg, GttStatus, TriggerId, stays
from durable_orders.trading.gtt.outcome import ApprovedGtt, GttAccepted, GttOutcome
from durable_orders.trading.gtt.state import Change, GttState, change_shown
from durable_orders.trading.ledger.gtt_changes import keep_admitted, was_admitted
from durable_orders.trading.ledger.gtts import find_gtt, record_gtt
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Frozen
from durable_orders.trading.orders.outcome import ATTEMPT_USED, Evidence, Held, Unknown

FORGOTTEN = "the ledger is older than this change: the broker's list tells what came of it"
OVER = "this change has come to its end, or another one was asked for after it"
NOT_FOUND = "what came of the placing is not known so far"
SUPERSEDED = "it was sent, and another one was asked for before the list showed what came of it"
ANOTHER = "the ledger has it as another one at the broker by now: the broker's list tells what came of this change"


class ChangeSeen(Frozen):
    """What a reading says of a change that was sent."""

    state: GttState | None
    """`None` where the ledger has no such GTT any more."""
    refusal: str | None = None
    """Why it was not made, or why that is not known."""
    is_over: bool = False
    """Nothing of it is on its way any more, whatever else is."""
    is_unknown: bool = False
    """Nobody can tell what came of it."""


class ChangeVerdict(Frozen):
    """Whether a change may be sent, or why not."""

    refusal: str | None = None
    trigger_id: TriggerId | None = None
    settle_interval: float = 15.0
    send_by: AwareDatetime | None = None
    """After this moment it is not sent any more; a delete always is."""
    waits: bool = False
    """It is a delete, and what came of the placing is not known yet, or not which one it is at the broker."""
    seen: ChangeSeen | None = None
    """How it has ended, where nothing had to be sent."""


class GttChangeActivities(GttAccount):
    """One account's. All of them block. What reaches the broker is never repeated by a retry policy."""

    @activity.defn(name="admit_gtt_change")
    def admit_change(self, asked: GttChange, at: datetime, change_id: str = "") -> ChangeVerdict:
        """Check a change that is new, and record that it is on its way; or say how it stands. Against a delete stands
        nothing but a dry run: it takes the place of a change, and waits for a GTT of which it is not known whether the
        broker has it."""
        problems = self._against_change(asked)
        with self._database.write(self._account) as connection:
            found = find_gtt(connection, self._account, asked.gtt_id)
            if found is None:
                return ChangeVerdict(refusal=f"no GTT {asked.gtt_id[:64]!r}")
            state, own = found[0], found[0].change
            if own is None or not own.is_of(change_id):
                if was_admitted(connection, self._account, change_id):
                    return _ended(asked, state, is_ours=True)
                if asked.legs is not None and own is not None and own.legs is None:
                    problems.append("it is being deleted")
                if not _may_be_changed(state, asked.legs is None):
                    problems.append(_stands(state))
                if problems:
                    return ChangeVerdict(refusal="; ".join(problems))
                own = Change(legs=asked.legs, asked_at=at, last_price=asked.last_price, change_id=change_id)
                keep_admitted(connection, asked, change_id, at)
            if own.legs is None and (state.trigger_id is None or state.is_unproved):
                own = own.model_copy(update={"held_up": own.held_up or NOT_FOUND})
            after = _on_its_way(state, own)
            record_gtt(connection, after, now())
        if after.change is None:
            return _ended(asked, after, is_ours=False)
        return self._standing(after, after.change)

    def _against_change(self, asked: GttChange) -> list[str]:
        """What stands against it, but for how the GTT stands."""
        if asked.legs is None:
            outside = self.outside()
            return [outside] if outside is not None else []
        with self._database.read() as connection:
            known = find_gtt(connection, self._account, asked.gtt_id)
        if known is None:
            return []
        try:
            wanted = known[0].intent.with_legs(asked.legs, asked.last_price)
        except ValidationError as error:
            return [str(explained(error))]
        turned = wanted.type is not known[0].intent.type
        problems = [f"trigger_price: {stays(known[0].intent.type)}"] if turned else []
        return problems + self.problems(wanted)

    def _standing(self, state: GttState, change: Change) -> ChangeVerdict:
        """What is to be done about the one that is on its way."""
        return ChangeVerdict(
            trigger_id=state.trigger_id,
            settle_interval=self.interval,
            send_by=None if change.legs is None else self._send_by(change),
            waits=state.trigger_id is None or state.is_unproved,
        )

    def _send_by(self, change: Change) -> datetime:
        """The price moves on, as for a new one."""
        return change.asked_at + timedelta(seconds=self._settings.placing.market_deadline)

    @activity.defn(name="change_gtt")
    async def change(self, asked: GttChange, trigger_id: TriggerId, change_id: str = "") -> GttOutcome:
        """Ask the broker for it, once."""
        info = activity.info()
        beat, run_id = HeartbeatClock(info.started_time), info.workflow_run_id
        return await beating(self._executor, lambda: self._change(asked, trigger_id, change_id, run_id, beat), beat)

    def _change(
        self, asked: GttChange, trigger_id: TriggerId, change_id: str, run_id: str | None, beat: HeartbeatClock
    ) -> GttOutcome:
        broker = self.needed()
        try:
            if asked.legs is None and (outside := self.outside()) is not None:
                return not_approved(outside)
            approved = None if asked.legs is None else self._approved(asked, asked.legs)
            begun = self._begin_change(asked, trigger_id, change_id, run_id)
        except (NotApproved, ValidationError) as error:
            return not_approved(str(error))
        except BookUnreadable as error:
            return not_now(str(error))
        except SQLAlchemyError as error:
            return no_ledger(error)
        if not isinstance(begun, Change):
            return begun

        def against(connection: sa.Connection) -> Held | None:
            words = None if approved is None else self._guardian.gtt_withheld(connection, approved.intent)
            if words is not None:
                return not_approved(words)
            return self._given_up(connection, asked, trigger_id, change_id, run_id)

        send_by = None if approved is None else self._send_by(begun)
        look = PlacementLook(send_by, beat, self._database, self._account, against)
        if approved is None:
            outcome = broker.delete_gtt(trigger_id, look)
        else:
            outcome = broker.modify_gtt(trigger_id, approved, look)
        self._keep_answer(asked, change_id, outcome)
        return outcome

    def _given_up(
        self, connection: sa.Connection, asked: GttChange, trigger_id: TriggerId, change_id: str, run_id: str | None
    ) -> Held | None:
        """Why it must not leave, in the last moment."""
        known = find_gtt(connection, self._account, asked.gtt_id)
        if known is None or known[0].change is None or not known[0].change.is_being_sent(change_id, run_id):
            return not_approved(OVER)
        return None if known[0].is_proved_to_be(trigger_id) else not_now(ANOTHER)

    def _keep_answer(self, asked: GttChange, change_id: str, outcome: GttOutcome) -> None:
        """That the broker took it: the answer may be lost on the way to the workflow."""
        if not isinstance(outcome, GttAccepted):
            return
        with suppress(SQLAlchemyError), self._database.write(self._account) as connection:  # the answer tells the same
            known = find_gtt(connection, self._account, asked.gtt_id)
            own = known[0].change if known is not None else None
            if known is not None and own is not None and own.is_of(change_id):
                own = own.model_copy(update={"is_accepted": True})
                record_gtt(connection, known[0].updated(change=own), now())

    def _approved(self, asked: GttChange, legs: Sequence[GttLeg]) -> ApprovedGtt:
        """Raises `NotApproved`, `ValidationError`, `BookUnreadable`."""
        with self._database.read() as connection:
            known = find_gtt(connection, self._account, asked.gtt_id)
        if known is None:
            raise NotApproved(f"no GTT {asked.gtt_id[:64]!r}")
        wanted: GttIntent = known[0].intent.with_legs(tuple(legs), asked.last_price)
        return self._guardian.approve_gtt(wanted, self.last_price(wanted))

    def _begin_change(
        self, asked: GttChange, trigger_id: TriggerId, change_id: str, run_id: str | None
    ) -> Change | GttOutcome:
        """Mark it as sent, by that run; or why it is not to be sent."""
        with self._database.write(self._account) as connection:
            known = find_gtt(connection, self._account, asked.gtt_id)
            own = known[0].change if known is not None else None
            if known is None or own is None or not own.is_of(change_id):
                return not_approved(OVER)
            if own.sent_at is not None:
                return Unknown(evidence=Evidence(message="it was sent already", error_type=ATTEMPT_USED))
            if not known[0].is_proved_to_be(trigger_id):
                return not_now(ANOTHER)
            own = own.model_copy(update={"sent_at": now(), "sent_by": run_id})
            record_gtt(connection, known[0].updated(change=own), now())
        return own

    @activity.defn(name="look_for_gtt_change")
    async def look_for_change(
        self,
        gtt_id: str,
        trigger_id: TriggerId,
        change_id: str = "",
        is_accepted: bool = False,
        was_sent: bool = False,
    ) -> ChangeSeen | None:
        """Read what came of a change; `None` if it cannot be read now. `is_accepted`: the broker has taken it.
        `was_sent`: it was sent, or may have been."""
        return await beating(
            self._executor, lambda: self._look_for_change(gtt_id, trigger_id, change_id, is_accepted, was_sent)
        )

    def _look_for_change(
        self, gtt_id: str, trigger_id: TriggerId, change_id: str, is_accepted: bool, was_sent: bool
    ) -> ChangeSeen | None:
        try:
            row = self.needed().gtt(trigger_id)
        except BookUnreadable:
            row = None
        with self._database.write(self._account) as connection:
            known = find_gtt(connection, self._account, gtt_id)
            if known is None:
                return ChangeSeen(state=None, refusal=FORGOTTEN, is_over=True, is_unknown=True)
            before, own = known[0], known[0].change
            if own is None or not own.is_of(change_id):
                if was_admitted(connection, self._account, change_id):
                    words = SUPERSEDED if was_sent else OVER
                    return ChangeSeen(state=before, refusal=words, is_over=True, is_unknown=was_sent)
                return ChangeSeen(state=before, refusal=FORGOTTEN, is_over=True, is_unknown=True)
            if not before.is_proved_to_be(trigger_id):
                return ChangeSeen(state=before, refusal=ANOTHER, is_over=True, is_unknown=True)
            own = own.model_copy(update={"is_accepted": own.is_accepted or is_accepted})
            before = before.updated(change=own)
            if row is None:
                record_gtt(connection, before.updated(change=own.not_seen()), now())
                return None
            after, refusal, is_unknown = change_shown(before, row, now(), self._window)
            record_gtt(connection, after, now())
            if is_unknown:
                say(connection, after, f"{own.asked_for}: {refusal}", EventType.ALERT)
            else:
                self._tell_change(connection, own, after, refusal)
            tell_shown(connection, before, after)
        return ChangeSeen(state=after, refusal=refusal, is_over=after.change is None, is_unknown=is_unknown)

    def _tell_change(self, connection: sa.Connection, own: Change, after: GttState, refusal: str | None) -> None:
        what = "deleted" if own.legs is None else "changed"
        if after.change is None:
            legs = ", or ".join(leg.summary() for leg in after.legs)
            done = what if own.legs is None else f"{what}: {legs}"
            say(connection, after, f"not {what}: {refusal}" if refusal else done)
        elif after.change.is_told and not own.is_told:
            words = (
                f"the broker took the {own.asked_for}, and its list does not show it: look at {after.trigger_id} there"
            )
            say(connection, after, words, EventType.ALERT)

    @activity.defn(name="gtt_not_changed")
    def not_changed(self, gtt_id: str, words: str, change_id: str = "", is_sent_again: bool = False) -> bool:
        """Nothing came of what this run has sent, which is proved: it is over, or stands and is sent again. `False`
        where it is another change that is on its way, or another run that has sent it: of that, nothing is proved."""
        run_id = activity.info().workflow_run_id
        with self._database.write(self._account) as connection:
            known = find_gtt(connection, self._account, gtt_id)
            own = known[0].change if known is not None else None
            if known is None or own is None or not own.is_of(change_id) or own.sent_by not in (None, run_id):
                return False
            what = "deleted" if own.legs is None else "changed"
            held_up = {"sent_at": None, "sent_by": None, "held_up": words}
            state = known[0].updated(change=own.model_copy(update=held_up) if is_sent_again else None)
            record_gtt(connection, state, now())
            if not is_sent_again:
                # who asked for one that was held up does not wait for an answer any more
                kind = EventType.ALERT if own.held_up else EventType.GTT_UPDATED
                say(connection, state, f"not {what}: {words}", kind)
            elif own.held_up != words:
                say(connection, state, f"not {what} so far: {words}")
        return True

    def at_the_broker(self) -> Sequence[Callable[..., object]]:
        """What runs on the broker's own task queue."""
        return (self.change, self.look_for_change)

    def local(self) -> Sequence[Callable[..., object]]:
        """What runs as local activities, beside the workflow."""
        return (self.admit_change, self.not_changed)


def _ended(asked: GttChange, state: GttState, *, is_ours: bool) -> ChangeVerdict:
    """Nothing of it is on its way. `is_ours`: it was admitted before."""
    if asked.legs is None and is_ours and state.status is GttStatus.DELETED:
        return ChangeVerdict(seen=ChangeSeen(state=state, is_over=True))
    is_open = state.status is GttStatus.ACTIVE
    return ChangeVerdict(refusal=OVER if is_open else _stands(state))


def _stands(state: GttState) -> str:
    return f"it is {state.status}, and not ACTIVE"


def _may_be_changed(state: GttState, is_delete: bool) -> bool:
    """A delete stands also for one that is being placed, which is not sent any more, and for one of which it is not
    known whether it was."""
    is_there = state.status is GttStatus.ACTIVE and state.trigger_id is not None
    return is_there or (is_delete and state.status in UNRESOLVED)


def _on_its_way(state: GttState, change: Change) -> GttState:
    """With that change; without it where nothing can be changed any more, and it was not sent."""
    goes_on = change.sent_at is not None or _may_be_changed(state, change.legs is None)
    return state.updated(change=change if goes_on else None)
