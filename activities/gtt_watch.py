"""Follows the account's GTTs in the broker's list: what became of each, who placed those that are not ours, and which
order one of them has placed."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta
from enum import Enum, auto

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from durable_orders.activities.gtt_account import say
from durable_orders.activities.gtt_told import tell_results, tell_shown
from durable_orders.activities.last_look import now
from durable_orders.trading.brokers.broker import GttBroker
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.gtt.gtt import BrokerGtt, GttStatus, TriggerId
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.gtt_orders import keep_unproved
from durable_orders.trading.ledger.gtts import find_gtt, gtt_of_order, known_gtts, may_be_of_gtt, record_gtt
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import BrokerOrderId
from durable_orders.trading.orders.tags import may_be_ours

LONGEST = 10.0
"""Seconds between two readings, at most."""
AT_REST = 3
"""So many of the watch's intervals lie between them, unless that is longer."""
RESULT_WITHIN = timedelta(seconds=15)
"""How long the list may take to say which order a GTT has placed, from when that was first asked, before the order
counts as somebody else's. It is the GTT's again when the list says so."""
ADOPTED = (GttStatus.ACTIVE, GttStatus.TRIGGERED, GttStatus.DISABLED)
"""Those of others that something may still come of, or has just come."""

log = logging.getLogger(__name__)


class Placed(Enum):
    """What is said of an order that no GTT is known to have placed."""

    BY_NONE = auto()
    NOT_TOLD_YET = auto()


class GttWatch:
    """One account's. Its methods block, but for `run`."""

    def __init__(
        self, account: str, database: Database, broker: GttBroker, interval: float, executor: Executor
    ) -> None:
        """`interval` is that of the watch, in seconds."""
        self._executor = executor
        self._account = account
        self._database = database
        self._broker = broker
        self._every = min(AT_REST * interval, LONGEST)
        self._is_unreadable = False
        self._shown: tuple[TriggerId, ...] = ()
        self._asked: dict[BrokerOrderId, datetime] = {}
        self._untold: dict[TriggerId, datetime | None] = {}
        self._odd: set[str] = set()
        self._lost: set[str] = set()

    async def run(self) -> None:
        """Beside the watch over the orders, which waits for none of this. Until it is cancelled."""
        while True:
            await asyncio.get_running_loop().run_in_executor(self._executor, self.look)
            await asyncio.sleep(self._every)

    def look(self) -> None:
        """A list that cannot be read, or not be recorded now, costs nothing but that: whatever fails here, the
        watch over the orders goes on."""
        try:
            self.read()
        except (BookUnreadable, SQLAlchemyError) as error:
            if not self._is_unreadable:
                reason = getattr(error, "orig", None) or error
                log.warning("the GTTs of %s cannot be read now: %s", self._account, reason)
            self._is_unreadable = True
        except Exception:
            if not self._is_unreadable:
                log.exception("the GTTs of %s cannot be followed now", self._account)
            self._is_unreadable = True
        else:
            self._is_unreadable = False

    def read(self) -> None:
        """Read the list, and record what it says. What was recorded since the reading began is newer, and is left
        alone. Raises `BookUnreadable`."""
        begun = {state.intent.gtt_id: state for state in self._recorded(self._shown)}
        rows = self._broker.gtts()
        known = self._recorded([row.trigger_id for row in rows])
        shown = {row.trigger_id for row in rows}
        open_ones = [state for state in known if state.status.is_open and state.trigger_id is not None]
        rows = [*rows, *self._not_shown([state for state in open_ones if state.trigger_id not in shown])]
        with self._database.write(self._account) as connection:
            # what was placed and answered since the list was read is in the ledger by now
            known = known_gtts(connection, self._account, [row.trigger_id for row in rows], now())
            known.sort(key=lambda state: not state.is_external)  # of two, the one of ours that is to be proved
            by_id = {state.trigger_id: state for state in known if state.trigger_id is not None}
            for row in rows:
                own = by_id.get(row.trigger_id)
                if own is None:
                    self._meet(connection, row, known)
                elif begun.get(own.intent.gtt_id) == own:
                    self._follow(connection, own, row)
        self._shown = tuple(row.trigger_id for row in rows)

    def _recorded(self, shown: Sequence[TriggerId]) -> list[GttState]:
        with self._database.read() as connection:
            return known_gtts(connection, self._account, shown, now())

    def placed(self, row: BrokerOrder) -> GttState | Placed:
        """The GTT that an order of the broker's book came of."""
        if may_be_ours(row.tag):
            return Placed.BY_NONE
        found, may_come = self._of(row)
        if found is None and may_come:
            try:
                self.read()
            except BookUnreadable as error:
                log.warning("which GTT placed %s cannot be read now: %s", row.broker_order_id, error)
            found, may_come = self._of(row)
        if found is not None:
            return found
        waits = may_come and now() - self._asked.setdefault(row.broker_order_id, now()) < RESULT_WITHIN
        return Placed.NOT_TOLD_YET if waits else Placed.BY_NONE

    def _of(self, row: BrokerOrder) -> tuple[GttState | None, bool]:
        with self._database.read() as connection:
            found = gtt_of_order(connection, self._account, row.symbol, row.broker_order_id, row.placed_at)
            return found, found is None and may_be_of_gtt(connection, self._account, row)

    def _not_shown(self, states: Sequence[GttState]) -> list[BrokerGtt]:
        """Those that the list has not, each asked for by itself: it leaves out what has ended a week ago."""
        found: list[BrokerGtt] = []
        for state in states:
            if state.trigger_id is None:
                continue
            try:
                found.append(self._broker.gtt(state.trigger_id))
            except BookUnreadable as error:
                self._tell_lost(state, str(error))
            else:
                self._lost.discard(state.trigger_id)
        return found

    def _tell_lost(self, state: GttState, words: str) -> None:
        """Once. It stands as it was: what the broker does not show is not proved to have ended, nor to be there."""
        if state.trigger_id is None or (state.trigger_id in self._lost and state.absent_since is not None):
            return
        is_told = state.trigger_id in self._lost
        self._lost.add(state.trigger_id)
        with self._database.write(self._account) as connection:
            known = find_gtt(connection, self._account, state.intent.gtt_id)
            if known is not None and known[0] == state and state.status is GttStatus.ACTIVE:
                record_gtt(connection, state.updated(absent_since=now()), now())
            if is_told:
                return
            said = f"the broker does not show it as {state.trigger_id} ({words}): look at it there"
            say(connection, state, said, EventType.ALERT)

    def _follow(self, connection: sa.Connection, state: GttState, row: BrokerGtt) -> None:
        after = state.shown(row)
        if not after.is_external:
            keep_unproved(connection, after, now())
        if after.status is GttStatus.TRIGGERED and not any(after.results):
            self._tell_untold(connection, after, row.trigger_id)
        if after == state:
            return
        record_gtt(connection, after, now())
        if after.legs != state.legs and state.change is None:
            legs = ", or ".join(leg.summary() for leg in after.legs)
            say(connection, after, f"changed at the broker: {legs}")
        tell_shown(connection, state, after)

    def _tell_untold(self, connection: sa.Connection, state: GttState, trigger_id: TriggerId) -> None:
        """Once, of one whose result does not come."""
        since = self._untold.setdefault(trigger_id, now())
        if since is not None and now() - since >= RESULT_WITHIN:
            self._untold[trigger_id] = None
            words = "TRIGGERED at the broker, which does not say what came of its order: look at it there"
            say(connection, state, words, EventType.ALERT)

    def _meet(self, connection: sa.Connection, row: BrokerGtt, known: Sequence[GttState]) -> None:
        """A row that is no GTT's so far."""
        if any(state.could_be(row, ()) for state in known):
            return  # whoever looks for that one decides
        if (late := next((state for state in known if state.was_late(row)), None)) is not None:
            after = late.shown(row)
            record_gtt(connection, after, now())
            tell_shown(connection, late, after)
            return
        if row.status in ADOPTED:
            self._adopt(connection, row)

    def _adopt(self, connection: sa.Connection, row: BrokerGtt) -> None:
        """One that somebody placed at the broker, past this system."""
        try:
            intent = row.as_intent(self._account)
        except ValueError:
            if row.trigger_id not in self._odd:
                self._odd.add(row.trigger_id)
                words = f"the GTT {row.trigger_id} of {row.symbol} at the broker is of a kind that is not followed here"
                add_event(connection, self._account, EventType.GTT_UPDATED, words, now())
            return
        met = GttState.of(intent, row.created_at or now()).updated(is_external=True)
        state = met.shown(row)
        record_gtt(connection, state, now())
        say(connection, state, f"found at the broker, not placed by this system: {intent.summary()}")
        tell_results(connection, met, state)
