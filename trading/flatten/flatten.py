"""The way to flat, one step at a time: which orders to cancel and which to send now, and when it is done.

`Flatten` decides and does nothing; whoever drives it (a workflow, a backtest) shows it how the account stands and does
what it says. A position is closed only while nothing else of its symbol and product is open within the request: what an
open or unknown order may still trade would make the size wrong. One order closes at a time, and what becomes of that is
decided by `exits.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, Field

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.flatten import deleting
from durable_orders.trading.flatten.closing import AT_MARKET, closing_order
from durable_orders.trading.flatten.exits import Exit, Reprice, Rest, Send, Waiting, Withdraw, WorkingExit, next_step
from durable_orders.trading.flatten.request import FlattenRequest, OrderOutcome, joined
from durable_orders.trading.flatten.snapshot import Closing, OpenGtt, OpenOrder, Snapshot, position_name
from durable_orders.trading.flatten.telling import LastTold, is_due, not_closed
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import CLOSING, Amendment, Frozen, Order, OrderIntent, OrderType, Status

ATTEMPTS = 5
"""So often in a row an order may fail to close a position, before a human is asked to look."""
AFTER_A_FAILURE = timedelta(seconds=1)
"""Before a position that an order did not close is tried again; doubled each time, to 64 s."""
MOST_DOUBLED = 6
LOOK_AGAIN, LOOK_AT_NIGHT = timedelta(seconds=5), timedelta(seconds=60)
"""The longest pause between two looks; at night, where everything waits for a session."""
MARKET_DEADLINE = timedelta(seconds=30)
"""After so long a closing order is not sent any more: its limit is of another market."""
ASK_AGAIN = timedelta(seconds=5)
"""Between two requests to cancel an order that nobody else asks for."""
SIGNAL_AGAIN = timedelta(seconds=30)
"""Between two requests to the workflow of an order."""
NEVER = datetime.min.replace(tzinfo=UTC)
AGREEMENT_LASTS = "a difference that went away is settled"
"""Of a flatten that began without it, as with `workflow.patched`."""


class Placed(Frozen):
    """A closing order: what it closes."""

    key: str
    position: str
    at_market: bool = True


class Differing(Frozen):
    """By how much the broker has more of a position than the ledger, and since when that has been the same. Nothing
    more where they agree, and did not when an order that closes it was last sent."""

    quantity: int
    since: AwareDatetime


class Progress(Frozen):
    """What was asked for and done so far."""

    requests: tuple[FlattenRequest, ...]
    """The latest last; none asks for the same as another."""
    asked: tuple[str, ...] = ()
    """Orders that were open, and were asked to end."""
    signalled: dict[str, AwareDatetime] = Field(default_factory=dict)
    """When the workflows of those that have one were last asked."""
    alone: dict[str, AwareDatetime] = Field(default_factory=dict)
    """Those of them that no workflow follows, and when the broker was last asked to cancel each."""
    placed: dict[str, Placed] = Field(default_factory=dict)
    """Closing orders that may be open, by order id."""
    closed: tuple[str, ...] = ()
    """All closing orders."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Orders in a row that did not close all they were for, by key."""
    next_attempt: dict[str, AwareDatetime] = Field(default_factory=dict)
    differing: dict[str, Differing] = Field(default_factory=dict)
    """By position."""
    settled: dict[str, int] = Field(default_factory=dict)
    """By how much the broker had more of a position when an order that closes it was last sent."""
    alerted: tuple[str, ...] = ()
    exits: dict[str, Exit] = Field(default_factory=dict)
    """By key."""
    refusals: dict[str, str] = Field(default_factory=dict)
    """Why the last order that failed did, by key."""
    told: dict[str, LastTold] = Field(default_factory=dict)
    """What was last said of a position that is not closed yet, by key."""
    quiet_since: dict[str, AwareDatetime] = Field(default_factory=dict)
    """Since when nothing was said of what is not closed yet, by key."""
    gtts: dict[str, deleting.AskedGtt] = Field(default_factory=dict)
    """GTTs that were asked to be deleted, by their id."""


@dataclass(frozen=True, slots=True)
class Cancel:
    order: OpenOrder
    at_broker: bool
    """Whether the broker is to be asked: no workflow follows the order."""
    again: bool = False
    """Whether its workflow was asked before."""


@dataclass(frozen=True, slots=True)
class Change:
    """A closing order that rests gets another limit."""

    order_id: str
    amendment: Amendment
    number: int
    """Of the changes of that order."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, in this order."""

    cancels: tuple[Cancel, ...] = ()
    changes: tuple[Change, ...] = ()
    orders: tuple[OrderIntent, ...] = ()
    """To be sent, through the guardian."""
    alerts: tuple[str, ...] = ()
    """What a human should know, each once."""
    reminders: tuple[str, ...] = ()
    """What is not closed yet, and of which nothing was said for a while."""
    is_done: bool = False
    pause: timedelta = LOOK_AGAIN
    """The longest before the next look."""
    deletes: tuple[OpenGtt, ...] = ()
    """GTTs whose delete is to be asked for, before anything else."""

    def __bool__(self) -> bool:
        return bool(self.cancels or self.deletes or self.changes or self.orders)


@dataclass(slots=True)
class _Taken:
    """The steps of all exits at one moment."""

    cancels: list[Cancel] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    orders: list[OrderIntent] = field(default_factory=list)
    waiting: dict[str, Rest] = field(default_factory=dict)

    @property
    def all_wait_for_the_session(self) -> bool:
        kinds = {each.waiting for each in self.waiting.values()}
        return kinds == {Waiting.FOR_THE_SESSION} and not (self.orders or self.changes or self.cancels)


class Flatten:
    """One account's."""

    def __init__(self, progress: Progress, key: str, follows: Callable[[str], bool] = lambda _rule: True) -> None:
        """`key` makes the names of the closing orders its own. `follows` says whether a rule is followed."""
        self.progress = progress
        self.key = key
        self._follows = follows

    @property
    def request(self) -> FlattenRequest:
        """The latest."""
        return self.progress.requests[-1]

    def join(self, request: FlattenRequest) -> None:
        """Somebody asks for more, or for the same again: what was given up is tried anew."""
        self._note(requests=joined(self.progress.requests, request), failures={}, next_attempt={})

    def is_not_followed(self, order: OpenOrder, now: datetime) -> None:
        """The order was to be cancelled by its workflow, which is gone. The broker has been asked now."""
        self._note(alone=self.progress.alone | {order.order_id: now})

    def was_placed_before(self, order_id: str, stored: Order | None) -> None:
        """An order of that name is there already: of a run that was reset. One of another position is no closing order
        of this run, but an open order like any other."""
        placed = self.progress.placed[order_id]
        if stored is None or position_name(stored.symbol, stored.product) != placed.position:
            self._note(placed={own: each for own, each in self.progress.placed.items() if own != order_id})

    def step(self, seen: Snapshot, now: datetime) -> Step:
        """What is to be done, as the account stands now."""
        step = self._decided(seen, now)
        if self._stands(seen.state):
            step = replace(step, deletes=self._deletes(seen, now))
        return step if step.is_done else replace(step, reminders=tuple(self._reminders(seen, now)))

    def _decided(self, seen: Snapshot, now: datetime) -> Step:
        self._take_in(seen, now)
        self._compare(seen, now)
        if not self._stands(seen.state):
            return self._left(seen, now)
        cancels = tuple(self._cancels(seen, now))
        if seen.exits is None:
            orders = tuple(self._orders(seen, now))
            return Step(cancels, (), orders, tuple(self._alerts(seen)), is_done=self._is_done(seen, now))
        if seen.state is AccountState.HALTED:
            left = self._left(seen, now)
            return Step(
                (*cancels, *left.cancels), is_done=left.is_done and not (seen.open or self._gtts_wait(seen, now))
            )
        taken = _Taken()
        for key in self._keys(seen):
            self._exit(seen, seen.exits, key, now, taken)
        alerts = (*self._alerts(seen), *self._still_held(seen, seen.exits, now, taken))
        changes, orders = tuple(taken.changes), tuple(taken.orders)
        is_asleep = bool(seen.closings) and not (seen.open or self.progress.placed) and taken.all_wait_for_the_session
        pause = LOOK_AT_NIGHT if is_asleep else LOOK_AGAIN
        is_done = self._is_done(seen, now)
        return Step((*cancels, *taken.cancels), changes, orders, alerts, is_done=is_done, pause=pause)

    def problems(self, seen: Snapshot, now: datetime) -> list[str]:
        """What could not be closed, and what is not proved at the end, however it came to that."""
        unread = [seen.waits] if seen.waits else []
        lagging = [
            f"{key}: the broker's position may lag behind its trades: look again"
            for key, each in self.progress.differing.items()
            if not self._lasts(each, seen, now)
        ]
        held = [
            f"{each.quantity} {each.symbol} {each.product} cannot be sold now: pledged, or not free at the depository"
            for each in seen.stuck
        ]
        failed = [
            f"{key} could not be closed in {ATTEMPTS} tries: look at it; closing orders are still taken"
            for key, failures in self.progress.failures.items()
            if failures >= ATTEMPTS and key not in self.progress.exits
        ]
        return unread + lagging + held + failed + deleting.problems(seen.gtts)

    def _take_in(self, seen: Snapshot, now: datetime) -> None:
        """Closing orders that have ended."""
        outcomes = {outcome.order_id: outcome for outcome in seen.outcomes}
        for own in seen.over:
            if (ended := self.progress.placed.get(own)) is None:
                continue
            self._note(placed={other: each for other, each in self.progress.placed.items() if other != own})
            if own in outcomes:
                self._end(ended, outcomes[own], now)

    def _end(self, placed: Placed, outcome: OrderOutcome, now: datetime) -> None:
        """One that was withdrawn, to be placed anew, has not failed."""
        filled, key = outcome.status is Status.FILLED, placed.key
        known = self.progress.exits.get(key)
        self._count(key, now, closed=filled or (known is not None and known.withdrawn))
        if known is not None:
            refused = placed.at_market and outcome.status is Status.REJECTED
            self._keep(key, known.ended(filled=filled, refused_market=refused))
            if not filled and outcome.words:
                self._note(refusals=self.progress.refusals | {key: outcome.words})

    def _count(self, key: str, now: datetime, *, closed: bool) -> None:
        failures = 0 if closed else self.progress.failures.get(key, 0) + 1
        due = now if closed else now + AFTER_A_FAILURE * 2 ** min(failures, MOST_DOUBLED)
        self._note(
            failures=self.progress.failures | {key: failures}, next_attempt=self.progress.next_attempt | {key: due}
        )

    def _compare(self, seen: Snapshot, now: datetime) -> None:
        differing = {}
        for each in seen.differences:
            known = self.progress.differing.get(each.key)
            is_same = known is not None and known.quantity == each.quantity
            differing[each.key] = known if known and is_same else Differing(quantity=each.quantity, since=now)
        for position, quantity in self.progress.settled.items():
            if quantity and position not in differing and self._follows(AGREEMENT_LASTS):
                known = self.progress.differing.get(position)
                agrees = known is not None and not known.quantity
                differing[position] = known if known and agrees else Differing(quantity=0, since=now)
        self._note(differing=differing)

    def _lasts(self, each: Differing, seen: Snapshot, now: datetime) -> bool:
        return now - each.since >= timedelta(seconds=seen.settle_seconds)

    def _is_settled(self, position: str, seen: Snapshot, now: datetime) -> bool:
        """Whether the broker's word on the position can be trusted to have all that was traded.

        Its positions lag behind its trades: then it seems to have what an order has just closed. That changes by how
        much it differs from the ledger, and a change counts only when it lasts.
        """
        differing = self.progress.differing.get(position)
        if (differing.quantity if differing else 0) == self.progress.settled.get(position, 0):
            return True
        return differing is not None and self._lasts(differing, seen, now)

    def _alerts(self, seen: Snapshot) -> Iterator[str]:
        if seen.waits and seen.waits not in self.progress.alerted:
            self._note(alerted=(*self.progress.alerted, seen.waits))
            yield f"closing positions waits: {seen.waits}"

    def _stands(self, state: AccountState) -> bool:
        """Whether there is anything to do still: an account that was stopped for it may trade again."""
        if state is AccountState.ACTIVE:
            left = tuple(each for each in self.progress.requests if not each.until_resumed)
            if left:
                self._note(requests=left)
            return bool(left)
        return True

    def _cancels(self, seen: Snapshot, now: datetime) -> Iterator[Cancel]:
        """All are asked until they are gone; one with a workflow seldom, as its request stands. But the run that took
        it may have been terminated, and the next one knows nothing of it."""
        for order in seen.open:
            known = self.progress
            if order.order_id not in known.asked:
                self._note(asked=(*known.asked, order.order_id))
            if order.followed and order.order_id not in known.alone:
                if now - known.signalled.get(order.order_id, NEVER) >= SIGNAL_AGAIN:
                    self._note(signalled=known.signalled | {order.order_id: now})
                    yield Cancel(order, at_broker=False, again=order.order_id in known.asked)
                continue
            asked_at = known.alone.get(order.order_id)
            if asked_at is None or now - asked_at >= ASK_AGAIN:
                self.is_not_followed(order, now)
                yield Cancel(order, at_broker=True)

    def _orders(self, seen: Snapshot, now: datetime) -> Iterator[OrderIntent]:
        if seen.state is AccountState.HALTED:
            return
        for closing in self._due(seen):
            if closing.position in self._busy(seen, now) or now < self.progress.next_attempt.get(closing.key, now):
                continue
            if not self._is_settled(closing.position, seen, now):
                continue
            yield self._order(seen, closing)

    def _keys(self, seen: Snapshot) -> list[str]:
        """Of what is to be closed, and of what orders that close work for."""
        held = [each.key for each in seen.closings]
        return list(dict.fromkeys([*held, *(each.key for each in self.progress.placed.values())]))

    def _exit(self, seen: Snapshot, how: Exits, key: str, now: datetime, taken: "_Taken") -> None:
        """The next step of one exit."""
        closing = next((each for each in seen.closings if each.key == key), None)
        own = next((name for name, each in self.progress.placed.items() if each.key == key), None)
        working = next((each for each in seen.working if each.order_id == own), None)
        quote = closing.quote if closing is not None else None
        if own is not None and working is None:
            return  # it is on its way
        known = self.progress.exits.get(key) or Exit.begun(now, quote.last if quote is not None else None)
        quantity = closing.quantity if closing is not None else None if seen.waits else 0
        if working is None and closing is not None and not self._may_begin(seen, closing, now):
            self._keep(key, known)
            return
        after, action = next_step(known, quantity, working, quote, how, now, timedelta(seconds=seen.settle_seconds))
        self._keep(key, after)
        match action:
            case Send() if closing is not None:
                taken.orders.append(self._order(seen, closing, action, now))
            case Reprice(price) if working is not None:
                kind = OrderType.LIMIT if working.order_type is not OrderType.LIMIT else None
                change = Amendment(price=price, order_type=kind)
                taken.changes.append(Change(working.order_id, change, after.changes))
                words = f"{working.summary} rests, {working.remaining} of it are left: its limit is now {price}"
                taken.waiting[key] = Rest(Waiting.FOR_A_TRADE, words)
            case Withdraw() if working is not None:
                taken.cancels += self._withdrawals(seen, [working], now)
            case Rest(waiting) if waiting is not Waiting.FOR_NOTHING:
                taken.waiting[key] = action
            case _:
                return

    def _may_begin(self, seen: Snapshot, closing: Closing, now: datetime) -> bool:
        if closing.position in self._busy(seen, now) or now < self.progress.next_attempt.get(closing.key, now):
            return False
        return self._is_settled(closing.position, seen, now)

    def _withdrawals(self, seen: Snapshot, working: Iterable[WorkingExit], now: datetime) -> Iterator[Cancel]:
        """As `_cancels`, of closing orders."""
        for each in working:
            known = self.progress
            position = known.placed[each.order_id].position
            order = OpenOrder(
                order_id=each.order_id, summary=each.summary, status=each.status, position=position, followed=True
            )
            if each.order_id in known.alone:
                if now - known.alone[each.order_id] >= ASK_AGAIN:
                    self.is_not_followed(order, now)
                    yield Cancel(order, at_broker=True)
            elif now - known.signalled.get(each.order_id, NEVER) >= SIGNAL_AGAIN:
                again = each.order_id in known.signalled
                self._note(signalled=known.signalled | {each.order_id: now})
                yield Cancel(order, at_broker=False, again=again)

    def _left(self, seen: Snapshot, now: datetime) -> Step:
        """Somebody has stopped it: what works to close ends."""
        if seen.exits is None:
            return Step(is_done=True)
        own = [each for each in seen.working if each.order_id in self.progress.placed]
        return Step(tuple(self._withdrawals(seen, own, now)), is_done=not self.progress.placed)

    def _still_held(self, seen: Snapshot, how: Exits, now: datetime, taken: "_Taken") -> Iterator[str]:
        """What is not closed yet, and why: when that begins, and again and again."""
        every = timedelta(seconds=how.alert_interval)
        for key in self._keys(seen):
            failures = self.progress.failures.get(key, 0)
            waiting = taken.waiting.get(key)
            if waiting is None and failures >= ATTEMPTS:
                words = f"{failures} closing orders in a row did not close it: {self.progress.refusals.get(key, '')}"
                waiting = Rest(Waiting.FOR_A_TRADE, words)
            if waiting is None:
                continue
            if is_due(self.progress.told.get(key), waiting.waiting, now, every):
                self._note(told=self.progress.told | {key: LastTold(kind=waiting.waiting, at=now)})
                yield f"{key} is not closed yet: {waiting.why}"

    def _reminders(self, seen: Snapshot, now: datetime) -> Iterator[str]:
        """Whatever it is that lasts: an order that does not end, or whose outcome is unknown, positions that cannot be
        read or do not settle. What waits for a session was told once."""
        how = seen.exits or Exits()
        longest = timedelta(seconds=how.alert_interval + how.interval)
        for key, words in not_closed(seen, {own: each.key for own, each in self.progress.placed.items()}).items():
            last = self.progress.told.get(key)
            since = self.progress.quiet_since.get(key, now)
            if last is not None and last.at == now:
                since = now
            elif now - since >= longest:
                since = now
                yield f"{key} is not closed yet: {words}"
            if self.progress.quiet_since.get(key) != since:
                self._note(quiet_since=self.progress.quiet_since | {key: since})

    def _keep(self, key: str, known: Exit) -> None:
        if self.progress.exits.get(key) != known:
            self._note(exits=self.progress.exits | {key: known})

    def _order(
        self, seen: Snapshot, closing: Closing, how: Send = AT_MARKET, now: datetime | None = None
    ) -> OrderIntent:
        name = f"{CLOSING}{self.key}-{len(self.progress.closed) + 1}"
        request, at_market = self.request, how.order_type is OrderType.MARKET
        place_by = None if at_market or now is None else now + MARKET_DEADLINE
        quantity = closing.slices[0]
        intent = closing_order(
            request.account, seen.mode, name, closing.reason or request.reason, closing, quantity, how, place_by
        )
        differing = self.progress.differing.get(closing.position)
        self._note(
            settled=self.progress.settled | {closing.position: differing.quantity if differing else 0},
            placed=self.progress.placed
            | {intent.order_id: Placed(key=closing.key, position=closing.position, at_market=at_market)},
            closed=(*self.progress.closed, intent.order_id),
        )
        return intent

    def _deletes(self, seen: Snapshot, now: datetime) -> tuple[OpenGtt, ...]:
        found = tuple(deleting.to_ask(seen.gtts, self.progress.gtts, now))
        if found:
            known = self.progress.gtts
            since = {each.gtt_id: known[each.gtt_id].since if each.gtt_id in known else now for each in found}
            again = {own: deleting.AskedGtt(since=at, last=now) for own, at in since.items()}
            self._note(gtts=known | again)
        return found

    def _gtts_wait(self, seen: Snapshot, now: datetime) -> bool:
        return bool(deleting.holding(seen.gtts, self.progress.gtts, now, deleting.GIVEN_UP))

    def _busy(self, seen: Snapshot, now: datetime) -> set[str]:
        """The positions that something is open in. A closing order that the ledger does not have yet is open, too."""
        waiting = deleting.holding(seen.gtts, self.progress.gtts, now, deleting.HOLDS)
        closings = {each.position for each in self.progress.placed.values()}
        return {order.position for order in seen.open} | closings | waiting

    def _due(self, seen: Snapshot) -> list[Closing]:
        """What is to be closed, and was not given up."""
        if seen.exits is not None:
            return list(seen.closings)
        return [each for each in seen.closings if self.progress.failures.get(each.key, 0) < ATTEMPTS]

    def _is_done(self, seen: Snapshot, now: datetime) -> bool:
        """Whether nothing is open, and everything that was to be closed is closed or was given up: by the broker's own
        positions, and where those differ, after they had the time to catch up."""
        if seen.open or self.progress.placed or self._gtts_wait(seen, now):
            return False
        if seen.state is AccountState.HALTED:
            return True
        differences_last = all(self._lasts(each, seen, now) for each in self.progress.differing.values())
        return not (seen.waits or self._due(seen)) and differences_last

    def _note(self, **changes: object) -> None:
        self.progress = self.progress.model_copy(update=changes)
