"""What happens next to a plan: the one decision, from its beginning to its end. No clock, no I/O, no await.

A driver asks `next` what is to be done, does it, and tells what came of it; what it hears meanwhile it tells with
`hear`. The plan's orders are ordinary ones, each with its own workflow; what is known of them is their workflows' word
or the ledger's.

Rules
-----
1. Never more out than in: filled and working exits, under any terms that they may have by an answer that was lost, come
   to no more than what is known to have been entered. So a leg has one exit at a time, and the next one only when the
   end of the one before is proved.
2. The stop goes out before the target: what is entered gets a stop first, and a target is that same order, changed.
3. An exit whose end nobody here asked for is not simply placed again: somebody may have closed the position. What there
   still is to close is looked at first. That nothing can be closed now is no proof that nothing is held.
4. What others have closed is let go of, also while an exit works: that one is made smaller.
5. What is held and not covered by a stop that is proved to work is unprotected: a state with an age, which is alerted.
6. What went out too much stands until it is gone: closed by the account's closing function, or by others.
7. An OCO that a person approves has its first exit wait for that, and no other goes out before. Where others close
   of it meanwhile, the person is asked anew about the rest. Declined, it is REJECTED, and what is held is not its own.
8. The plan is over when all its orders are, and what it still holds is said.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from durable_orders.trading.gtt.gtt import GttChange, GttIntent
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, PlanOrderIntent, Status
from durable_orders.trading.plans import actions, standing
from durable_orders.trading.plans.actions import Action
from durable_orders.trading.plans.by_gtt import order_of
from durable_orders.trading.plans.content import MARKET_DEADLINE
from durable_orders.trading.plans.exits import Exits
from durable_orders.trading.plans.news import (
    Admitted,
    Answered,
    CancelAsked,
    ChangeAsked,
    ExcessSeen,
    GttTold,
    News,
    Priced,
    Recalled,
    Seen,
    Surveyed,
    WasReset,
)
from durable_orders.trading.plans.plan import PlanChange, PlanIntent
from durable_orders.trading.plans.standing import entry_reason
from durable_orders.trading.plans.state import Child, LegState, PlanState, PlanView, entry_id, number_of

ANSWER = timedelta(seconds=45)
"""After which a change without an answer counts as one of unknown fate."""
CANCEL_AGAIN = timedelta(seconds=30)
"""Between two requests to cancel an order: the run that took the first may be gone."""
AMEND_EVERY = timedelta(seconds=1)
SYNC_EVERY, SYNC_SOON = timedelta(seconds=30), timedelta(seconds=5)
"""How often the ledger is asked for the orders: seldom, or while something is under way."""
REPLACE_AFTER = timedelta(seconds=30)
"""Before an exit that somebody else has cancelled is placed again: whoever did may be closing the position."""
LONGEST_PAUSE = timedelta(minutes=5)
MOST_AMENDMENTS = 25
"""Of one order (Kite)."""
KEPT_FOR_EXITS, KEPT_FOR_TARGETS = 3, 7
"""Amendments that are kept for going to the market, and beyond those for targets and quantities."""
TAKEN_WITHIN = timedelta(seconds=30)
"""In which a worker has recorded an order that was started, if all is well."""
MOST_WORDS = 300
UNPROTECTED_ALERT = timedelta(seconds=5)
READ_WITHIN = timedelta(seconds=3)
"""In which the broker's book is read once more, and what is in it is recorded."""
LAST_LOOK = timedelta(minutes=1)
"""So long a plan that has closed all it held waits for that."""
SURVEY_AGAIN = timedelta(seconds=10)
"""Before it is seen again whether an exit can be placed, where it could not."""
EXCESS_AGAIN = timedelta(seconds=2)
"""The first pause before what went out too much is looked at again; each is twice as long as the one before."""


class PlanProcess:
    """One plan's."""

    def __init__(self, state: PlanState, *, is_admitted: bool = False) -> None:
        """`is_admitted` says of a state that was recorded or handed over that its plan was checked then."""
        self.state = state
        self._exits = Exits(state)
        self.is_admitted = is_admitted
        self._heard: list[News] = []
        self._alerts: list[str] = []
        self._recorded: object = None
        self._timers: list[datetime] = []
        self._next_sync: datetime | None = None
        self._was_synced = False
        self._book_read_at: datetime | None = None
        self._over_since: datetime | None = None
        self._untaken: list[Child] = []
        self.changes = 0
        """How many changes of the plan it has taken in."""

    def hear(self, news: News) -> None:
        self._heard.append(news)

    @property
    def is_interrupted(self) -> bool:
        """Whether what was heard ends the wait."""
        return bool(self._heard)

    @property
    def due(self) -> datetime | None:
        """The next moment at which time alone has it do something; the ledger may be read before."""
        return min(self._timers, default=None)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way: all that was asked of its orders is answered."""
        live = (child for child in self.state.children() if child.is_live)
        return not self._heard and all(
            child.is_working and child.asked is None and child.cancel_asked_at is None for child in live
        )

    def next(self, now: datetime) -> Action:
        """What is to be done now. It counts as begun: asked again, the next thing is given."""
        if not self.is_admitted and not self._verdict_taken(now):
            return actions.ADMIT
        heard, self._heard = self._heard, []
        for news in heard:
            self._take(news, now)
        if not self._was_synced:  # what an earlier run did is known before anything is done
            return self._sync(now)
        self._timers = self._exits.time_passed(now)
        self._mind_protection(now)
        action = self._order_action(now) or self._words()
        return action or self._rest(now)

    def _verdict_taken(self, now: datetime) -> bool:
        """What else was heard waits: the plan may be known from an earlier run, and it is for that one."""
        heard, self._heard = self._heard, []
        for news in heard:
            if isinstance(news, Admitted):
                self._take(news, now)
            else:
                self._heard.append(news)
        return self.is_admitted

    def synced(self, found: Recalled, now: datetime) -> None:
        """What the ledger has of the plan, all of its orders included. One that no worker has taken yet may have lost
        its workflow: it is started again, under its name, which a running one keeps."""
        self._was_synced = True
        recorded, before = set(), self._sold_by_gtts
        for order in found.orders:
            recorded.add(order.client_order_id)
            self._see(order, now)
        for child in self.state.exits():
            child.other_leg = found.other_legs.get(child.client_order_id, 0)
        missing = [each for each in self.state.children() if each.is_live and each.client_order_id not in recorded]
        self._untaken = [each for each in missing if now - (each.started_at or each.order.created_at) >= TAKEN_WITHIN]
        if found.version != self.state.version:  # an older ledger, or an earlier run of this plan
            self._recorded = None
        self._take_back(min(found.returned, self._sold_by_gtts - before))
        self._lose(found.missing)
        if found.oversold:
            self.state.oversold += found.oversold
            self._alerts.append(f"its exits have closed {found.oversold} that others had closed already")
        self._book_read_at = found.book_read_at

    def excess_seen(self, found: ExcessSeen, now: datetime) -> None:
        """What the account's closing function says of what went out too much."""
        state = self.state
        state.covered += max(self._unclosed - found.left, 0)
        if found.closing is not None:
            state.closings.append(Child(order=Order.from_intent(found.closing, now)))

    @property
    def _unclosed(self) -> int:
        """What went out too much, beyond what the closings that work may still fill."""
        return self.state.excess - sum(child.may_fill - child.filled for child in self.state.closings)

    @property
    def view(self) -> PlanView:
        return standing.view_of(self.state)

    def problem_with(self, change: PlanChange, price: Decimal | None) -> str | None:
        """Why a change cannot be made; field and rule. `price` is the one now, if it is known."""
        return standing.problem_with(self.state, change, price)

    def undone_at_once(self, change: PlanChange, price: Decimal | None, now: datetime) -> str | None:
        """Why a stop would not stay where it is asked for; field and rule."""
        return standing.undone_at_once(self.state, change, price, now)

    @property
    def band(self) -> tuple[Decimal | None, Decimal | None]:
        """A price at or beyond one of the two, the lower and the higher, is to be told."""
        return self._exits.band()

    def take_heard(self) -> list[News]:
        """What it has heard and not taken in: another one goes on in its place."""
        heard, self._heard = self._heard, []
        return heard

    def to_record(self) -> PlanState:
        """How it stands, to be written down with the prices that concern it."""
        self.state.version += 1
        self._recorded = self._recordable()
        return self.state

    def _recordable(self) -> object:
        return standing.recordable(self.state), self.band

    # What is heard.

    def _take(self, news: News, now: datetime) -> None:
        state = self.state
        match news:
            case Admitted(refusals, tick_size):
                self.is_admitted, state.refusals, state.tick_size = True, refusals, tick_size
            case Seen(order):
                self._see(order, now)
            case Answered():
                self._answered(news, now)
            case Priced(price):
                self._exits.priced(price, now)
                self._look_for_trigger(now)
            case CancelAsked(reason, flatten):
                state.is_cancelled, state.is_leaving = True, state.is_leaving or flatten
                state.why = reason[:MOST_WORDS].replace("\x00", " ")  # it becomes a part of its orders' reasons
                if flatten:
                    self._try_anew()
            case ChangeAsked(change):
                standing.change(state, change, now)
                self.changes += 1
                self._recorded = None  # whoever asked is answered once it is recorded, also if nothing changes
            case Surveyed():
                self._surveyed(news, now)
            case GttTold() | WasReset():
                self._was_synced = False
                self._recorded = None if isinstance(news, WasReset) else self._recorded
            case _:
                return

    def _look_for_trigger(self, now: datetime) -> None:
        """The price concerns the plan: a GTT of it may have placed its order, which the ledger knows first."""
        if any(child.is_live and child.is_gtt for child in self.state.exits()):
            self._next_sync = min(self._next_sync or now + SYNC_SOON, now + SYNC_SOON)

    def _try_anew(self) -> None:
        for leg in self.state.legs:
            leg.failures, leg.next_place = 0, None

    def _see(self, order: Order, now: datetime) -> None:
        child = self.state.child(order.client_order_id)
        if child is None:
            child = standing.adopt(self.state, order)
            if child is None:
                return
        elif not standing.is_news(child.order, order):
            return
        was_live, was_triggered, child.order = child.is_live, child.is_triggered, order
        if child.most <= order.quantity:
            child.most = 0
        if child.is_triggered and not was_triggered:
            child.cancel_asked_at = None  # what was asked for was the end of its GTT
        if was_live and not child.is_live and child.leg is not None:
            self._exit_ended(child, self.state.legs[child.leg], now)

    def _exit_ended(self, child: Child, leg: LegState, now: datetime) -> None:
        order = child.order
        if order.status is Status.FILLED:
            leg.failures = 0
            return
        if child.cancel_asked_at is not None and order.status is Status.CANCELLED:
            return
        leg.failures += 1
        pause = min(timedelta(seconds=2.0 ** min(leg.failures - 1, 10)), LONGEST_PAUSE)
        if order.status is not Status.REJECTED:
            leg.is_to_be_surveyed, pause = True, max(pause, REPLACE_AFTER)
        leg.next_place = now + pause
        why = order.reasons[-1] if order.reasons else "no reason was given"
        self._alerts.append(f"the exit {child.client_order_id} is {order.status}: {why}")

    def _answered(self, answer: Answered, now: datetime) -> None:
        child = self.state.child(answer.client_order_id)
        if child is None or child.asked is None:
            return
        change, child.asked, child.asked_at = child.asked, None, None
        child.next_amendment = now + AMEND_EVERY
        if answer.refusal is None or answer.is_unknown:  # the order may have yet to show it
            wanted = change.quantity or 0
            child.most = max(child.most, wanted) if wanted > child.order.quantity else child.most
        if answer.refusal is None:
            child.refusals = 0
            return
        child.refusals += 1
        child.next_amendment = now + min(AMEND_EVERY * 2 ** min(child.refusals, 6), timedelta(seconds=30))
        if child.refusals == 1 or answer.is_unknown:
            self._alerts.append(f"{child.client_order_id} was not changed ({change.summary()}): {answer.refusal}")

    def _surveyed(self, found: Surveyed, now: datetime) -> None:
        """The position may be less than the plan has entered: others may have closed it."""
        asked = [leg for leg in self.state.legs if leg.is_to_be_surveyed]
        is_closed = found.opens_at is not None and found.opens_at > now
        if found.waits and found.waits != self.state.waits:
            self._alerts.append(f"no exit can be placed: {found.waits}")
        self.state.waits = found.waits
        for leg in asked:
            leg.is_to_be_surveyed = is_closed or bool(found.waits)
            if leg.is_to_be_surveyed:
                leg.next_place = found.opens_at if is_closed else now + SURVEY_AGAIN
        if not found.waits:
            self._lose(found.missing)

    def _lose(self, missing: int) -> None:
        """Others have closed so much: what has no exit first, then the last legs."""
        numbers = range(len(self.state.legs))
        for number in sorted(numbers, key=lambda each: (self.state.legs[each].live is not None, -each)):
            lost = min(missing, self.state.remaining(number))
            if lost > 0:
                missing -= lost
                self.state.legs[number].lost += lost
                self._alerts.append(f"others have closed {lost} that it held: it lets go of them")

    @property
    def _sold_by_gtts(self) -> int:
        return sum(child.filled for child in self.state.exits() if child.is_gtt)

    def _take_back(self, returned: int) -> None:
        """What the order of its GTT has traded was taken for others', while the broker did not say whose it is."""
        for leg in self.state.legs:
            back = min(returned, leg.lost)
            if back > 0:
                returned -= back
                leg.lost -= back
                self._alerts.append(f"{back} that others were said to have closed were closed by its own GTT")

    # What is done about the orders.

    def _order_action(self, now: datetime) -> Action | None:
        state = self.state
        if state.refusals:
            return None
        if state.exit_at is not None and not state.is_leaving and not state.is_cancelled:
            if now >= state.exit_at:
                state.is_leaving, state.why = True, "its time to exit has come"
            else:
                self._timers.append(state.exit_at)
        if self._untaken:
            child = self._untaken.pop(0)
            child.started_at, child.starts = now, child.starts + 1
            if child.starts == 2:
                age = (now - child.order.created_at).total_seconds()
                self._alerts.append(f"{child.client_order_id} is not in the ledger, {age:.0f} s after it was started")
            if child.is_gtt and child.leg is not None:
                return actions.PlaceGtt(self._exits.gtt_again(state.legs[child.leg], child))
            return actions.Place(asked_for_again(child.order, state.intent))
        if state.awaits_approval and (asked := state.exits()) and not self._is_asked_anew(asked):
            return self._await_approval(asked, now)
        found = self._entry(now)
        for number in range(len(state.legs)):
            found = found or self._leg(number, now)
        return found or self._excess(now)

    def _is_asked_anew(self, asked: list[Child]) -> bool:
        """Whether the plan itself has withdrawn what waited for a person, and nothing was declined."""
        return all(child.order.status is Status.CANCELLED and child.cancel_asked_at is not None for child in asked)

    def _await_approval(self, asked: list[Child], now: datetime) -> Action | None:
        """What others close while it waits is not sent: the person is asked anew about what is left."""
        state = self.state
        waiting = next((child for child in asked if child.is_live), None)
        if waiting is None:
            last = asked[-1].order
            state.refusals = last.reasons or (f"{last.client_order_id} is {last.status}",)
        elif waiting.leg is not None and state.room(waiting.leg) < 0:
            return self._cancel(waiting, now)
        return None

    def _entry(self, now: datetime) -> Action | None:
        state, intent = self.state, self.state.intent
        is_over = state.is_cancelled or state.is_leaving
        if state.entry is None:
            terms = intent.entry_terms()
            if is_over or terms is None:
                return None
            own = {"account": intent.account, "mode": intent.mode, "strategy": intent.strategy, "tags": intent.tags}
            reason = entry_reason(intent)
            named = {"plan_id": intent.plan_id, "client_order_id": entry_id(intent.plan_id), "reason": reason}
            by = _entry_deadline(intent, terms.order_type, state.created_at)
            entry = PlanOrderIntent(**own, **dict(terms), **named, place_by=by, approve=intent.approve)
            state.entry = Child(order=Order.from_intent(entry, now))
            return actions.Place(entry)
        return self._cancel(state.entry, now) if is_over and state.entry.is_live else None

    def _leg(self, number: int, now: datetime) -> Action | None:
        leg = self.state.legs[number]
        live = leg.live
        if live is None:
            return self._place(number, now)
        if self.state.is_cancelled and not self.state.is_leaving:
            return self._cancel(live, now)
        if live.is_gtt and (leg.out or self.state.is_leaving):
            return self._cancel(live, now)
        if live.asked is not None:
            return self._await_answer(live, now)
        if self.state.is_leaving and live.order.awaits_approval:
            return self._cancel(live, now)
        if not live.is_working and not (live.is_gtt and self.state.room(number) + live.may_fill <= live.filled):
            return None
        return self._amend(number, leg, live, now)

    def _place(self, number: int, now: datetime) -> Action | None:
        state, leg = self.state, self.state.legs[number]
        needed = state.room(number)
        if needed <= 0 or (state.is_cancelled and not state.is_leaving):
            return None
        if leg.next_place is not None and now < leg.next_place:
            self._timers.append(leg.next_place)
            return None
        if leg.is_to_be_surveyed:
            return actions.SURVEY
        intent = self._exits.new(number, needed, now)
        if isinstance(intent, GttIntent):
            leg.children.append(Child(order=order_of(GttState.of(intent, now), now), leg=number))
            return actions.PlaceGtt(intent)
        if state.awaits_approval:
            intent = intent.model_copy(update={"approve": True})
        leg.children.append(Child(order=Order.from_intent(intent, now), leg=number))
        return actions.Place(intent)

    def _await_answer(self, live: Child, now: datetime) -> Action | None:
        asked_at = live.asked_at or now
        if now - asked_at >= ANSWER:
            self._answered(Answered(live.client_order_id, "no answer came", is_unknown=True), now)
        else:
            self._timers.append(asked_at + ANSWER)
        return None

    def _amend(self, number: int, leg: LegState, live: Child, now: datetime) -> Action | None:
        if live.cancel_asked_at is not None:
            return self._cancel(live, now)
        wanted = self.state.room(number) + live.may_fill
        if wanted <= live.filled:
            return self._cancel(live, now)
        if live.is_triggered:  # it cannot be made smaller
            return self._cancel(live, now) if wanted < live.order.quantity else None
        change = self._exits.change(leg, live, wanted)
        if change is None:
            live.refusals = 0
            return None
        is_urgent = change.order_type not in (live.order.order_type, live.asked_type)
        if live.next_amendment is not None and now < live.next_amendment and not is_urgent:
            self._timers.append(live.next_amendment)
            return None
        if self._only_trails(leg, live, wanted) and live.amendments >= MOST_AMENDMENTS - KEPT_FOR_TARGETS:
            return None  # ticks see to the rest of the way
        is_leaving = leg.out or self.state.is_leaving
        kept = 0 if is_leaving else KEPT_FOR_EXITS
        if live.amendments >= MOST_AMENDMENTS - kept or (is_leaving and live.refusals >= KEPT_FOR_EXITS):
            return self._cancel(live, now)
        live.asked, live.asked_at, live.asked_type = change, now, change.order_type
        live.amendments += 1
        if live.is_gtt:
            return actions.ChangeGtt(self._exits.change_of_gtt(leg, live, wanted))
        return actions.Amend(live.client_order_id, change)

    def _only_trails(self, leg: LegState, live: Child, wanted: int) -> bool:
        is_stop = leg.taking_since is None and live.order.order_type.has_trigger and live.order.quantity == wanted
        is_stop = is_stop and not live.other_leg
        return is_stop and not (leg.out or self.state.is_leaving)

    def _cancel(self, child: Child, now: datetime) -> Action | None:
        if child.is_triggered and not child.is_working:
            return None  # its order is looked for, or a human says what became of it
        if child.cancel_asked_at is not None and now - child.cancel_asked_at < CANCEL_AGAIN:
            self._timers.append(child.cancel_asked_at + CANCEL_AGAIN)
            return None
        child.cancel_asked_at = now
        why = f"by plan {self.state.intent.plan_id}: {self.state.why or 'its exit is placed anew'}"
        if child.is_triggered:
            return actions.CancelPlaced(child.order)
        if child.is_gtt:
            own = {"account": self.state.intent.account, "gtt_id": child.client_order_id}
            return actions.ChangeGtt(GttChange(**own, reason=why[:MOST_WORDS]))
        return actions.Cancel(child.client_order_id, why)

    def _excess(self, now: datetime) -> Action | None:
        state = self.state
        excess = self._unclosed
        if state.next_excess is not None and state.excess == 0:
            state.excess_tries, state.next_excess = 0, None
        if excess <= 0:
            return None
        if state.next_excess is not None and now < state.next_excess:
            self._timers.append(state.next_excess)
            return None
        state.next_excess = now + min(EXCESS_AGAIN * 2 ** min(state.excess_tries, 10), LONGEST_PAUSE)
        state.excess_tries += 1
        self._alerts.append(f"{excess} more went out than came in: the account's closing function is to close them")
        number = max((number_of(child.client_order_id) for child in state.closings), default=0) + 1
        return actions.CloseExcess(excess, number)

    # What is said, and the wait.

    def _words(self) -> Action | None:
        if self._alerts:
            return actions.Alert(f"plan {self.state.intent.plan_id}: {self._alerts.pop(0)}")
        return actions.RECORD if self._recordable() != self._recorded else None

    def _mind_protection(self, now: datetime) -> None:
        state = self.state
        is_nobodys = state.awaits_approval or (state.intent.stop is None and not state.is_leaving)
        if state.is_protected or is_nobodys:
            if state.unprotected_since is not None or state.alerts:
                state.unprotected_since, state.alerts = None, 0
            return
        state.unprotected_since = since = state.unprotected_since or now
        due = since + UNPROTECTED_ALERT * 4**state.alerts
        if now >= due:
            state.alerts += 1
            age = (now - since).total_seconds()
            self._alerts.append(f"UNPROTECTED for {age:.0f} s: {state.exposed} of {state.intent.symbol} without a stop")
        else:
            self._timers.append(due)

    def _rest(self, now: datetime) -> Action:
        if standing.is_over(self.state):
            return self._last_look(now)
        self._over_since = None
        is_busy = any(child.is_under_way for child in self.state.children())
        if self._next_sync is None:
            self._next_sync = now + (SYNC_SOON if is_busy else SYNC_EVERY)
        if now >= self._next_sync:
            return self._sync(now)
        return actions.Wait(min([*self._timers, self._next_sync]), *self.band)

    def _last_look(self, now: datetime) -> Action:
        """What others closed in the seconds before its exit traded is known once the book has been read since."""
        self._over_since = over = self._over_since or now
        read = self._book_read_at
        is_known = read is not None and read >= over + READ_WITHIN
        if self.state.closed == 0 or self.state.held or is_known or now - over >= LAST_LOOK:
            return actions.DONE
        if self._next_sync is None:
            self._next_sync = now + READ_WITHIN
        return self._sync(now) if now >= self._next_sync else actions.Wait(min(self._next_sync, over + LAST_LOOK))

    def _sync(self, now: datetime) -> Action:
        self._next_sync = None
        return actions.SYNC


def asked_for_again(order: Order, intent: PlanIntent) -> OrderIntent:
    """The same order of the plan, of which nobody knows yet."""
    if order.client_order_id != entry_id(intent.plan_id):
        waits = intent.approve and order.approval is not None
        return standing.asked_again(order, None).model_copy(update={"approve": waits})
    again = standing.asked_again(order, _entry_deadline(intent, order.order_type, order.created_at))
    return again.model_copy(update={"approve": intent.approve})


def _entry_deadline(intent: PlanIntent, kind: OrderType, asked_at: datetime) -> datetime | None:
    """At the market the price would soon be of another market. What waits for a person has that of approved orders."""
    return None if kind.has_price or intent.approve else asked_at + MARKET_DEADLINE
