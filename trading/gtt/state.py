"""How a GTT stands, and what a reading of the broker's list says of it. Pure: no I/O, no clock.

A GTT has no tag, so one whose answer was lost is looked for by its content, among the rows that the list did not have
before it was sent and that are no other GTT's:

1. Exactly one such row with its content: that is it.
2. More than one, or one in its symbol that is something else: nothing is told. A human may say which it is.
3. None, in an unbroken row of readings through a settle window: it was not placed (`orders/absence.py` has the rule).
4. A row with its content that turns up after that, and that the broker made while it was being placed, is it after all,
   also where a human had said that it is none of those that the list showed.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from pydantic import AwareDatetime

from durable_orders.trading.gtt.gtt import (
    UNRESOLVED,
    BrokerGtt,
    GttIntent,
    GttLeg,
    GttStatus,
    LegResult,
    TriggerId,
)
from durable_orders.trading.orders.absence import CLOCKS_DIFFER_BY, Absence
from durable_orders.trading.orders.order import BrokerOrderId, Frozen, Price

NEVER_SENT = "deleted before it was sent"


class Result(Frozen):
    """What came of a leg that was triggered."""

    triggered_at: Decimal | None = None
    order_id: BrokerOrderId | None = None
    rejection_reason: str = ""
    at: AwareDatetime | None = None
    """When, as the broker says."""


class Change(Frozen):
    """A change that was asked for, and of which it is not known whether it was made."""

    legs: tuple[GttLeg, ...] | None
    """`None` to delete it."""
    asked_at: AwareDatetime
    last_price: Price | None = None
    change_id: str = ""
    """The first run of its workflow."""
    sent_at: AwareDatetime | None = None
    sent_by: str | None = None
    """The run of its workflow that has sent it, or may have."""
    is_accepted: bool = False
    """The broker took it, so that it is never said not to have been made."""
    is_told: bool = False
    """That the list does not show it all the same, through a settle window. After another one, nobody waits for it."""
    unchanged_since: AwareDatetime | None = None
    """The first of the readings in a row, after it was sent, that do not show it."""
    reads: int = 0
    held_up: str = ""
    """Of a delete: why it did not leave when it was asked for. It stands, and leaves as soon as it can."""

    @property
    def asked_for(self) -> str:
        return "delete" if self.legs is None else "change"

    def is_of(self, change_id: str) -> bool:
        """Whether it is that one. An older one has no id."""
        return self.change_id in ("", change_id)

    def is_being_sent(self, change_id: str, run_id: str | None) -> bool:
        """Whether it is that one, sent by that run."""
        return self.is_of(change_id) and self.sent_at is not None and self.sent_by == run_id

    def not_seen(self) -> "Change":
        """After a reading that tells nothing: proof begins anew."""
        return self.model_copy(update={"unchanged_since": None, "reads": 0})


class GttState(Frozen):
    """All that is known of a GTT."""

    intent: GttIntent
    status: GttStatus = GttStatus.PENDING
    trigger_id: TriggerId | None = None
    legs: tuple[GttLeg, ...]
    """As they stand: a change may have been made."""
    results: tuple[Result | None, ...] = ()
    """Of each leg, once the list shows it triggered."""
    reasons: tuple[str, ...] = ()
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    attempts: int = 0
    """How often it was sent, or may have been."""
    sent_at: AwareDatetime | None = None
    """Of the attempt of which it is not known that nothing came."""
    sent_by: str | None = None
    """The run of the workflow that makes this attempt: after a reset two of them may be at it."""
    before: tuple[TriggerId, ...] = ()
    """What the list had just before."""
    candidates: tuple[TriggerId, ...] = ()
    """Those that it may be, as a reading had them that did not tell (rule 2)."""
    absent_since: AwareDatetime | None = None
    reads: int = 0
    absent_at: AwareDatetime | None = None
    """When it was found not to have been placed: what the broker made long after that is another one."""
    change: Change | None = None
    is_external: bool = False
    is_settled: bool = False
    """Whether its trigger id is a human's word."""

    @classmethod
    def of(cls, intent: GttIntent, at: datetime) -> "GttState":
        return cls(intent=intent, legs=intent.legs, created_at=at)

    @property
    def is_unresolved(self) -> bool:
        """Whether it was sent, and no list has shown what came of it."""
        return self.status in UNRESOLVED and self.sent_at is not None

    @property
    def is_unproved(self) -> bool:
        """Whether its trigger id is a human's word, and no reading has shown that this row is it."""
        return self.is_settled and self.trigger_id is not None and self.status in UNRESOLVED

    def is_proved_to_be(self, trigger_id: TriggerId) -> bool:
        """Whether it is that row, by the broker's own word: what is sent to it meets no other one."""
        return self.trigger_id == trigger_id and not self.is_unproved

    def may_begin(self, number: int) -> bool:
        """Whether it may be sent in the attempt of that number: nobody has made it, and no other one is open."""
        return self.status is GttStatus.PENDING and self.attempts < number and self.sent_at is None

    def begun(self, number: int, run_id: str | None, at: datetime, before: tuple[TriggerId, ...]) -> "GttState":
        """In that attempt of that run, from now on."""
        return self.updated(attempts=number, sent_at=at, sent_by=run_id, before=before)

    def is_being_sent(self, number: int, run_id: str | None) -> bool:
        """Whether that attempt of that run is the one under way: nobody has given it up, and looks for it."""
        is_open = self.status is GttStatus.PENDING and self.sent_at is not None
        return is_open and (self.attempts, self.sent_by) == (number, run_id)

    def updated(self, **values: object) -> "GttState":
        return self.model_copy(update=values)

    def never_sent(self) -> "GttState":
        """Of one that was deleted before it left."""
        return self.updated(status=GttStatus.DELETED, reasons=(NEVER_SENT,), change=None, sent_at=None)

    def rejected(self, *reasons: str) -> "GttState":
        return self.updated(status=GttStatus.REJECTED, reasons=reasons)

    def said_to_be(self, trigger_id: TriggerId, evidence: str) -> "GttState":
        """By a human. It stays as it is until a reading shows that row."""
        words = f"settled by hand as {trigger_id} ({evidence}), which waits for the broker's list"
        return self.updated(trigger_id=trigger_id, is_settled=True, reasons=(words,), absent_since=None)

    def said_to_be_none(self, evidence: str, now: datetime, window: timedelta) -> "GttState":
        """By a human, of all that the list has shown so far. An id that a human had said goes with that."""
        return self.rejected(f"settled by hand, not at the broker: {evidence}").updated(
            trigger_id=None if self.is_settled else self.trigger_id,
            is_settled=False,
            before=(*self.before, *self.candidates),
            absent_at=None if self.sent_at is None else min(now, self.sent_at + window),
        )

    def could_be(self, row: BrokerGtt, claimed: Collection[str]) -> bool:
        """Whether the row came into the list since it was sent, in its symbol, and is no other GTT's."""
        is_new = row.trigger_id not in self.before and row.trigger_id not in claimed
        return self.is_unresolved and is_new and row.symbol in (self.intent.symbol, "")

    def was_forgotten(self, row: BrokerGtt, claimed: Collection[str]) -> bool:
        """Whether the row, made since this was asked for, is it, and the ledger was put back to before it was sent."""
        if self.status not in UNRESOLVED or self.sent_at is not None or row.created_at is None:
            return False
        is_new = row.created_at >= self.created_at - CLOCKS_DIFFER_BY and row.trigger_id not in claimed
        return is_new and row.has_content_of(self.intent)

    def was_late(self, row: BrokerGtt) -> bool:
        """Whether the row is this GTT after all, which was found not to have been placed (rule 4)."""
        if self.absent_at is None or self.sent_at is None or row.created_at is None or self.trigger_id is not None:
            return False
        begun, over = self.sent_at - CLOCKS_DIFFER_BY, self.absent_at + CLOCKS_DIFFER_BY
        is_new = row.trigger_id not in self.before and begun <= row.created_at <= over
        return is_new and row.has_content_of(self.intent)

    def shown(self, row: BrokerGtt) -> "GttState":
        """As the broker's row has it. What cannot be read of it stays as it was, also why it stands as it does. The row
        that a human said it is must have its content."""
        if self.status.is_final and row.status is not self.status:
            return self
        if self.is_settled and self.status in UNRESOLVED and not row.has_content_of(self.intent):
            words = f"it was settled by hand as {row.trigger_id}, which is another one at the broker: settle it again"
            return self.updated(trigger_id=None, is_settled=False, status=GttStatus.UNKNOWN, reasons=(words,))
        legs, results = self.legs, self.results
        with suppress(ValueError):
            legs = row.own_legs() or legs
        if any(leg.result is not None for leg in row.legs):
            results = tuple(_result(leg.result) for leg in row.legs)
        status = row.status or self.status
        return self.updated(
            trigger_id=row.trigger_id,
            status=status,
            legs=legs,
            results=results,
            expires_at=row.expires_at or self.expires_at,
            reasons=() if self.status in UNRESOLVED or status is not self.status else self.reasons,
            absent_since=None,
            absent_at=None,
            reads=0,
        )


def _result(found: LegResult | None) -> Result | None:
    if found is None:
        return None
    return Result(
        triggered_at=found.triggered_at, order_id=found.order_id, rejection_reason=found.rejection_reason, at=found.at
    )


def settled(
    state: GttState, rows: Sequence[BrokerGtt], claimed: Collection[str], now: datetime, window: timedelta
) -> GttState:
    """What a whole reading says of a GTT that is not resolved (rules 1 to 3). `claimed` are the ids of all others."""
    if state.trigger_id is not None:
        own = next((row for row in rows if row.trigger_id == state.trigger_id), None)
        if own is not None:
            return state.shown(own)
        return _not_shown(state, "does not show it", now, window)
    found = [row for row in rows if state.could_be(row, claimed) or state.was_forgotten(row, claimed)]
    alike = [row for row in found if row.has_content_of(state.intent)]
    if len(alike) == 1:
        return state.shown(alike[0])
    if found:
        ids = tuple(row.trigger_id for row in alike or found)
        words = f"its answer was lost, and it may be any or none of {', '.join(ids)}: settle it by hand"
        return _untold(state, words).updated(candidates=tuple(row.trigger_id for row in found))
    absence = Absence(window, tags_may_be_dropped=True, absent_since=state.absent_since, reads=state.reads)
    is_absent = absence.is_absent(now)
    after = state.updated(status=GttStatus.UNKNOWN, absent_since=absence.since, reads=absence.reads)
    if not is_absent:
        return after.updated(reasons=("its answer was lost; the broker's list does not show it so far",))
    words = f"its answer was lost, and the broker's list did not show it in {absence.reads} readings through"
    return after.rejected(f"{words} {window.total_seconds():g} s: it was not placed").updated(absent_at=now)


def unread(state: GttState, words: str, now: datetime, window: timedelta) -> GttState:
    """The list could not be read."""
    if state.trigger_id is not None:
        return _not_shown(state, f"cannot be read: {words}", now, window)
    return _untold(state, f"its answer was lost, and the broker's list cannot be read: {words}")


def _not_shown(state: GttState, words: str, now: datetime, window: timedelta) -> GttState:
    """Of one that the broker took: it is there, and a list that lags behind is no trouble before a settle window."""
    since = state.absent_since or now
    status = GttStatus.UNKNOWN if now - since >= window else state.status
    said = "it was settled by hand as" if state.is_settled else "the broker took it as"
    why = f"{said} {state.trigger_id}, and the broker's list {words}"
    return state.updated(status=status, reasons=(why,), absent_since=since)


def _untold(state: GttState, words: str) -> GttState:
    return state.updated(status=GttStatus.UNKNOWN, reasons=(words,), absent_since=None, reads=0)


class ChangeReading(NamedTuple):
    """What a reading says of a change that was sent."""

    state: GttState
    """With `change` as long as it is waited for."""
    refusal: str | None = None
    """Why it was not made, or why that is not known."""
    is_unknown: bool = False


def change_shown(state: GttState, row: BrokerGtt, now: datetime, window: timedelta) -> ChangeReading:
    """`window` is the settle window."""
    change, after = state.change, state.shown(row)
    if change is None or after.trigger_id != row.trigger_id:
        return ChangeReading(after)
    if change.legs is not None and row.has_content_of(state.intent, change.legs):
        return ChangeReading(after.updated(change=None))
    if row.status is not None and row.status is not GttStatus.ACTIVE:
        is_made = change.legs is None and row.status is GttStatus.DELETED
        return ChangeReading(after.updated(change=None), None if is_made else f"it is {row.status} at the broker")
    absence = Absence(window, tags_may_be_dropped=True, absent_since=change.unchanged_since, reads=change.reads)
    is_absent = absence.is_absent(now)
    words = f"the broker's list did not show it in {absence.reads} readings through {window.total_seconds():g} s"
    if is_absent and not change.is_accepted:
        return ChangeReading(after.updated(change=None), f"{words}: it was not made")
    if is_absent and change.is_told:
        unknown = f"{words}, though the broker took it: nobody waits for it any more"
        return ChangeReading(after.updated(change=None), unknown, is_unknown=True)
    if is_absent:
        return ChangeReading(after.updated(change=change.not_seen().model_copy(update={"is_told": True})))
    going_on = change.model_copy(update={"unchanged_since": absence.since, "reads": absence.reads})
    return ChangeReading(after.updated(change=going_on))
