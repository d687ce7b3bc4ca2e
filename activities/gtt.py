"""The effects of one GTT: check it, place it, see in the broker's list what came of that."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic import AwareDatetime
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from durable_orders.activities.gtt_account import GttAccount, is_disproved, say
from durable_orders.activities.gtt_changes import GttChangeActivities
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
from durable_orders.trading.brokers.broker import GttBroker
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BookUnreadable, LoginNeeded, NotApproved
from durable_orders.trading.gtt.gtt import UNRESOLVED, BrokerGtt, GttIntent, GttStatus, TriggerId
from durable_orders.trading.gtt.outcome import GttOutcome
from durable_orders.trading.gtt.state import NEVER_SENT, GttState, settled, unread
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.gtts import claimed_ids, find_gtt, record_gtt, unresolved_gtt
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Frozen
from durable_orders.trading.orders.outcome import (
    ATTEMPT_USED,
    Evidence,
    Held,
    Refused,
    SessionExpired,
    Unknown,
)


class GttVerdict(Frozen):
    """What is said of a GTT before anything of it is sent, and how it is to be placed and settled."""

    state: GttState
    same_content: bool = True
    place_by: AwareDatetime
    max_retries: int = 0
    retry_delay: float = 1.0
    """Seconds."""
    settle_interval: float = 15.0
    """Seconds between two readings of the list."""


class GttActivities(GttAccount):
    """One account's. All of them block. What reaches the broker is never repeated by a retry policy."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        guardian: Guardian,
        broker: GttBroker | None,
        executor: Executor,
        ensure_price: Callable[[str], None] = lambda _symbol: None,
    ) -> None:
        """`broker` is `None` where there is nobody who keeps one, as on paper."""
        super().__init__(settings, database, guardian, broker, executor)
        self._ensure_price = ensure_price
        self._changes = GttChangeActivities(settings, database, guardian, broker, executor)

    @activity.defn(name="admit_gtt")
    def admit(self, intent: GttIntent, at: datetime) -> GttVerdict:
        """Check one that is new, and record it whatever comes of that; or give it as it was recorded."""
        self._ensure_price(intent.symbol)
        problems = self.problems(intent)
        with self._database.write(self._account) as connection:
            known = find_gtt(connection, self._account, intent.gtt_id)
            if known is not None:
                return self._verdict(known[0], intent, same_content=known[1] == intent.fingerprint())
            if (other := unresolved_gtt(connection, intent)) is not None and other.status is GttStatus.UNKNOWN:
                problems.append(_waits_for(other))
            state = GttState.of(intent, at)
            state = state.rejected(*problems) if problems else state
            record_gtt(connection, state, now())
            said = f"REJECTED: {'; '.join(problems)}" if problems else intent.summary()
            say(connection, state, said)
        return self._verdict(state, intent)

    def _verdict(self, state: GttState, intent: GttIntent, *, same_content: bool = True) -> GttVerdict:
        placing = self._settings.placing
        return GttVerdict(
            state=state,
            same_content=same_content,
            place_by=intent.place_by or state.created_at + timedelta(seconds=placing.market_deadline),
            max_retries=placing.max_retries,
            retry_delay=placing.retry_delay,
            settle_interval=self.interval,
        )

    @activity.defn(name="place_gtt")
    async def place(self, intent: GttIntent, place_by: datetime, number: int) -> GttOutcome:
        """Send it, once, in its attempt of that number."""
        info = activity.info()
        beat, run_id = HeartbeatClock(info.started_time), info.workflow_run_id
        return await beating(self._executor, lambda: self._place(intent, place_by, number, run_id, beat), beat)

    def _place(
        self, intent: GttIntent, place_by: datetime, number: int, run_id: str | None, beat: HeartbeatClock
    ) -> GttOutcome:
        broker = self.needed()
        try:
            with self._database.read() as connection:
                used = self._used(connection, intent, number)
            if used is not None:
                return used
            approved = self._guardian.approve_gtt(intent, self.last_price(intent))
            if (held := self._begin(intent, number, run_id, broker.gtts())) is not None:
                return held
        except NotApproved as error:
            return not_approved(str(error))
        except LoginNeeded as error:
            return SessionExpired(evidence=Evidence(message=str(error)))
        except BookUnreadable as error:
            return not_now(f"nothing is sent before the broker's list was read: {error}")
        except SQLAlchemyError as error:
            return no_ledger(error)

        def against(connection: sa.Connection) -> Held | None:
            return self._withheld(connection, intent, number, run_id)

        return broker.place_gtt(approved, PlacementLook(place_by, beat, self._database, self._account, against))

    def _withheld(self, connection: sa.Connection, intent: GttIntent, number: int, run_id: str | None) -> Held | None:
        """Why it must not leave, in the last moment."""
        if (words := self._guardian.gtt_withheld(connection, intent)) is not None:
            return not_approved(words)
        known = find_gtt(connection, self._account, intent.gtt_id)
        if known is None or not known[0].is_being_sent(number, run_id):
            return not_now("this attempt was given up before it could be sent")
        return not_approved(NEVER_SENT) if known[0].change is not None else None

    def _used(self, connection: sa.Connection, intent: GttIntent, number: int) -> Unknown | None:
        """What is answered where that attempt, or another one, was made already: nobody knows here what came of it."""
        known = find_gtt(connection, self._account, intent.gtt_id)
        if known is not None and known[0].may_begin(number):
            return None
        words = f"attempt {number} to send it, or another one, was made already, or is not known"
        return Unknown(evidence=Evidence(message=words, error_type=ATTEMPT_USED))

    def _begin(
        self, intent: GttIntent, number: int, run_id: str | None, rows: Sequence[BrokerGtt]
    ) -> GttOutcome | None:
        """Use the attempt up, with what the list had before it; or why nothing may be sent."""
        with self._database.write(self._account) as connection:
            if (used := self._used(connection, intent, number)) is not None:
                return used
            twin, known = _there_already(intent, rows), find_gtt(connection, self._account, intent.gtt_id)
            claimed = claimed_ids(connection, self._account, intent.gtt_id)
            if known is not None and (own := _sent_before(known[0], rows, claimed)) is not None:
                return own
            if known is not None and known[0].change is not None:
                return not_approved(NEVER_SENT) if twin is None else Unknown(evidence=twin.evidence)
            if twin is not None:
                return twin
            if (other := unresolved_gtt(connection, intent)) is not None:
                words = _waits_for(other)
                return not_approved(words) if other.status is GttStatus.UNKNOWN else not_now(words)
            if known is not None:
                before = tuple(row.trigger_id for row in rows)
                record_gtt(connection, known[0].begun(number, run_id, now(), before), now())
        return None

    @activity.defn(name="gtt_not_placed")
    def not_placed(self, intent: GttIntent, number: int, words: str | None) -> GttState:
        """Nothing came of this run's attempt, which is proved: it may be tried again, or with `words` has come to its
        end. What another run of the workflow has sent is left as it is: of that, nothing is proved."""
        run_id = activity.info().workflow_run_id
        with self._database.write(self._account) as connection:
            known = find_gtt(connection, self._account, intent.gtt_id)
            state = known[0] if known is not None else GttState.of(intent, now())
            if not (state.may_begin(number) or state.is_being_sent(number, run_id)):
                return state
            state = state.updated(sent_at=None, sent_by=None, before=())
            if words is not None:
                state = state.rejected(words) if state.change is None else state.never_sent()
                say(connection, state, f"{state.status}: {'; '.join(state.reasons)}")
            record_gtt(connection, state, now())
        return state

    @activity.defn(name="look_for_gtt")
    async def look(self, intent: GttIntent, trigger_id: TriggerId | None) -> GttState:
        """Read the list for what came of it. `trigger_id` is of the broker's answer, if there was one."""
        return await beating(self._executor, lambda: self._look(intent, trigger_id))

    def _look(self, intent: GttIntent, trigger_id: TriggerId | None) -> GttState:
        try:
            rows, words = self.needed().gtts(), ""
        except BookUnreadable as error:
            rows, words = None, str(error)
        with self._database.write(self._account) as connection:
            known = find_gtt(connection, self._account, intent.gtt_id)
            before = known[0] if known is not None else GttState.of(intent, now()).updated(sent_at=now())
            if before.status not in UNRESOLVED:
                return before  # the watch has seen it, or a human has settled it
            state = before.updated(trigger_id=trigger_id or before.trigger_id)
            if rows is None:
                state = unread(state, words, now(), self._window)
            else:
                claimed = claimed_ids(connection, self._account, intent.gtt_id)
                state = settled(state, rows, claimed, now(), self._window)
            record_gtt(connection, state, now())
            self._tell(connection, before, state)
        return state

    def _tell(self, connection: sa.Connection, before: GttState, after: GttState) -> None:
        is_news = before.status is not GttStatus.UNKNOWN or is_disproved(before, after)
        if after.status is GttStatus.UNKNOWN and is_news:
            say(connection, after, f"UNKNOWN: {'; '.join(after.reasons)}", EventType.ALERT)
        elif after.status not in UNRESOLVED and after.trigger_id is None:
            say(connection, after, f"{after.status}: {'; '.join(after.reasons)}")
        elif after.status not in UNRESOLVED:
            tell_shown(connection, before, after)

    def at_the_broker(self) -> Sequence[Callable[..., object]]:
        """What runs on the broker's own task queue."""
        return (self.place, self.look, *self._changes.at_the_broker())

    def local(self) -> Sequence[Callable[..., object]]:
        """What runs as local activities, beside the workflow."""
        return (self.admit, self.not_placed, *self._changes.local())


def _there_already(intent: GttIntent, rows: Sequence[BrokerGtt]) -> Refused | None:
    """Two of the same content could not be told from each other, and are seldom meant: a ledger that was put back has
    forgotten the first one."""
    alike = next((row for row in rows if row.status is GttStatus.ACTIVE and row.has_content_of(intent)), None)
    if alike is None:
        return None
    return not_approved(f"gtt: the broker has one of just this content, ACTIVE as {alike.trigger_id}")


def _sent_before(state: GttState, rows: Sequence[BrokerGtt], claimed: Collection[str]) -> Unknown | None:
    """Where the ledger was put back to before it was sent, the list tells what came of that. One that was deleted is
    more likely what somebody wants anew."""
    own = next((row for row in rows if row.status is not GttStatus.DELETED and state.was_forgotten(row, claimed)), None)
    if own is None:
        return None
    words = f"the broker has it already, as {own.trigger_id}, and the ledger does not know that it was sent"
    return Unknown(evidence=Evidence(message=words, error_type=ATTEMPT_USED))


def _waits_for(other: GttState) -> str:
    why = f" ({'; '.join(other.reasons)})" if other.reasons else ""
    return f"gtt: what came of {other.intent.gtt_id} of {other.intent.symbol} is not known yet{why}"
