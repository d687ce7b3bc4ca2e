"""What plans of several lines have in common, baskets and schedules: how their orders are heard of, looked up,
cancelled and closed. No clock, no I/O, no await; driven as `process.py` says.

Rules
-----
1. What is told of an order is its workflow's word or the ledger's; after a reset or a kill the ledger is asked first.
2. An order of a line has a name of its own, and none is placed twice.
3. What is not to be kept is closed by the account's closing function, short positions first: what was bought may be
   their hedge. A long one is closed once no short one is held and none can come.
4. An order whose end is not proved counts with all that it may still trade.
5. One that a person approves has its first order wait for that. No other goes out before, and its time begins then.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from durable_orders.trading.orders.order import (
    CLOSING,
    Order,
    OrderIntent,
    OrderType,
    PlanOrderIntent,
    Product,
    Side,
    is_closing,
)
from durable_orders.trading.plans import actions, standing
from durable_orders.trading.plans.actions import Action
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.news import (
    CancelAsked,
    ChangeAsked,
    LineClosing,
    LinesAdmitted,
    News,
    Recalled,
    Seen,
    WasReset,
)
from durable_orders.trading.plans.pieces import LinesState, Piece, piece_name
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import Child, PlanView, number_of

CANCEL_AGAIN = timedelta(seconds=30)
CLOSE_AGAIN = timedelta(seconds=2)
"""The first pause before closing is tried again; each is twice as long as the one before."""
LONGEST_PAUSE = timedelta(minutes=5)
SYNC_EVERY, SYNC_SOON, SYNC_CLOSING = timedelta(seconds=30), timedelta(seconds=5), timedelta(seconds=1)
"""How often the ledger is asked for the orders: seldom, while something is under way, and while orders work that are
not the plan's by name, as those that close are."""
TAKEN_WITHIN = timedelta(seconds=30)
MOST_WORDS = 300
UNCHANGEABLE = "amendment: only a bracket and an OCO can be changed; cancel it, and start another one"
OF_LINE = re.compile(r"\.(?:leg|slice)-(\d+)-(\d+)$")


class LinesProcess(ABC):
    """One plan's."""

    def __init__(self, state: LinesState, *, is_admitted: bool = False) -> None:
        self.state = state
        self._is_admitted = is_admitted
        self._heard: list[News] = []
        self._alerts: list[str] = []
        self._recorded: object = None
        self._timers: list[datetime] = []
        self._next_sync: datetime | None = None
        self._was_synced = False
        self._untaken: list[Child] = []
        self._to_place: list[OrderIntent] = []
        self._prices: dict[str, Decimal] = {}
        self.changes = 0

    def hear(self, news: News) -> None:
        self._heard.append(news)

    @property
    def is_interrupted(self) -> bool:
        """Whether what was heard ends the wait."""
        return bool(self._heard)

    @property
    def is_admitted(self) -> bool:
        """Whether it was checked."""
        return self._is_admitted

    @property
    def due(self) -> datetime | None:
        """The next moment at which time alone has it do something; the ledger may be read before."""
        return min(self._timers, default=None)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way: all that was asked of its orders is answered."""
        live = (child for child in self.state.children() if child.is_live)
        is_answered = all(child.is_working and child.cancel_asked_at is None for child in live)
        return is_answered and not (self._heard or self._to_place)

    def has_ended(self, client_order_id: str) -> bool:
        """Whether that order of its has, as far as it was told."""
        told = [news.order for news in self._heard if isinstance(news, Seen)]
        child = self.state.child(client_order_id)
        known = [*told, child.order] if child is not None else told
        return any(order.client_order_id == client_order_id and order.status.terminal for order in known)

    @property
    def band(self) -> tuple[Decimal | None, Decimal | None]:
        return None, None

    @property
    def view(self) -> PlanView:
        return self.state.view()

    def problem_with(self, change: PlanChange, price: Decimal | None) -> str | None:
        """Why a change cannot be made; field and rule."""
        return UNCHANGEABLE

    def next(self, now: datetime) -> Action:
        """What is to be done now. It counts as begun: asked again, the next thing is given."""
        if not self._is_admitted and not self._verdict_taken(now):
            return actions.ADMIT
        heard, self._heard = self._heard, []
        for news in heard:
            self._take(news, now)
        if not self._was_synced:
            return self._sync()
        self._timers = []
        return self._order_action(now) or self._words() or self._rest(now)

    def _verdict_taken(self, now: datetime) -> bool:
        heard, self._heard = self._heard, []
        for news in heard:
            if isinstance(news, LinesAdmitted):
                self._take(news, now)
            else:
                self._heard.append(news)
        return self._is_admitted

    def take_heard(self) -> list[News]:
        """What it has heard and not taken in: another one goes on in its place."""
        heard, self._heard = self._heard, []
        return heard

    def synced(self, found: Recalled, now: datetime) -> None:
        """What the ledger has of the plan, all of its orders included."""
        self._was_synced = True
        recorded = set()
        for order in found.orders:
            recorded.add(order.client_order_id)
            self._see(order)
        missing = [each for each in self.state.children() if each.is_live and each.client_order_id not in recorded]
        self._untaken = [each for each in missing if now - (each.started_at or each.order.created_at) >= TAKEN_WITHIN]
        if found.version != self.state.version:
            self._recorded = None

    def closing_seen(self, of: actions.CloseLine, found: LineClosing, now: datetime) -> None:
        """What the account's closing function says of what is not to be kept."""
        state, key = self.state, f"{of.symbol} {of.product}"
        gone = max(abs(of.quantity) - found.left, 0)
        if gone:
            state.covered[key] = state.covered.get(key, 0) + gone
            self._alerts.append(f"others have closed {gone} of {key} that it held: it lets go of them")
        if found.waits and found.waits != state.waits:
            self._alerts.append(f"{key} cannot be closed: {found.waits}")
        state.waits = found.waits
        for intent in found.orders:
            state.closings.append(Child(order=Order.from_intent(intent, now)))
            self._to_place.append(intent)

    def quoted(self, prices: dict[str, Decimal]) -> None:
        """The last prices of the instruments that were asked for, those that are known and of now."""
        self._prices = prices

    def to_record(self) -> LinesState:
        self.state.version += 1
        self._recorded = self.state.recordable()
        return self.state

    # What is heard.

    def _take(self, news: News, now: datetime) -> None:
        state = self.state
        match news:
            case LinesAdmitted(refusals, terms):
                self._is_admitted, state.refusals = True, refusals
                for piece, known in zip(state.pieces, terms, strict=False):
                    piece.terms = known
                    if isinstance(state.intent, ScheduleIntent):
                        piece.quantity = sum(known.sizes) or piece.quantity
            case Seen(order):
                self._see(order)
            case CancelAsked(reason, flatten):
                state.is_cancelled, state.is_leaving = True, state.is_leaving or flatten
                state.why = reason[:MOST_WORDS].replace("\x00", " ")
                if flatten:
                    state.next_try = {}
            case ChangeAsked():
                self.changes += 1
                self._recorded = None
            case WasReset():
                self._was_synced, self._recorded = False, None
            case _:
                return

    def _see(self, order: Order) -> None:
        child, waited = self.state.child(order.client_order_id), self.state.awaits_approval
        if child is None:
            adopt(self.state, order)
        elif standing.is_news(child.order, order):
            child.order = order
        if waited and order.approval is not None:
            self.state.began_at = order.approval.approved_at or self.state.began_at

    # What is done about the orders.

    def _order_action(self, now: datetime) -> Action | None:
        state = self.state
        if state.refusals:
            return None
        if self._to_place:
            return actions.Place(self._to_place.pop(0))
        if self._untaken:
            return self._start_again(self._untaken.pop(0), now)
        if not (state.closes or state.is_cancelled):
            if state.awaits_approval and (first := next(state.children(), None)) is not None:
                return self._await_approval(first, now)
            found = self._go_on(now)
            if found is not None or not (state.closes or state.is_cancelled):
                return found
        return self._stop(now)

    def _start_again(self, child: Child, now: datetime) -> Action:
        child.started_at, child.starts = now, child.starts + 1
        if child.starts == 2:
            age = (now - child.order.created_at).total_seconds()
            self._alerts.append(f"{child.client_order_id} is not in the ledger, {age:.0f} s after it was started")
        closes = is_closing(child.client_order_id)
        again = standing.asked_again(child.order, None if closes else self._place_by(child.order))
        if self.state.intent.approve and child.order.approval is not None:
            again = self._waiting(again)
        return actions.Place(again)

    def _await_approval(self, first: Child, now: datetime) -> Action | None:
        state, intent = self.state, self.state.intent
        if not first.is_live:
            state.is_cancelled, state.why = True, "; ".join(first.order.reasons)[:MOST_WORDS]
        elif isinstance(intent, ScheduleIntent):
            if now >= intent.ends_at:
                return self._cancel(first, now)
            self._timers.append(intent.ends_at)
        return None

    def _waiting(self, order: OrderIntent) -> OrderIntent:
        """The first order as one that waits for a person: that of a schedule until its end, that of a basket until the
        latest moment it may begin at. Approved, it has the time of approved orders where it is at the market: a short
        one."""
        intent = self.state.intent
        until = intent.enter_by if isinstance(intent, BasketIntent) else intent.ends_at
        place_by = until if order.order_type.has_price else None
        return order.model_copy(update={"approve": True, "approve_by": until, "place_by": place_by})

    @abstractmethod
    def _place_by(self, order: Order) -> datetime:
        """The moment after which an order of a line is not sent any more."""

    @abstractmethod
    def _go_on(self, now: datetime) -> Action | None:
        """The next thing while neither a cancel nor a failure was heard of. It may give up by itself."""

    def _give_up(self, why: str) -> None:
        self.state.gives_up = why[:MOST_WORDS]
        self._alerts.append(f"{why}: what was had is closed")

    def _stop(self, now: datetime) -> Action | None:
        state, leaves = self.state, self.state.is_cancelled and not self.state.is_leaving
        for piece in state.pieces:
            for child in piece.children:
                if child.is_live and (found := self._cancel(child, now)) is not None:
                    return found
        if leaves:
            live = [child for child in state.closings if child.is_live]
            return next((found for child in live if (found := self._cancel(child, now)) is not None), None)
        return self._close(now)

    def _cancel(self, child: Child, now: datetime) -> Action | None:
        if child.cancel_asked_at is not None and now - child.cancel_asked_at < CANCEL_AGAIN:
            self._timers.append(child.cancel_asked_at + CANCEL_AGAIN)
            return None
        child.cancel_asked_at = now
        why = self.state.gives_up or self.state.why or "its time is over"
        return actions.Cancel(child.client_order_id, f"by plan {self.state.intent.plan_id}: {why}"[:MOST_WORDS])

    def _close(self, now: datetime) -> Action | None:
        state = self.state
        for (symbol, product), quantity in self._closable():
            key = f"{symbol} {product}"
            live = [child for child in state.closings if child.is_live and _key(child.order) == (symbol, product)]
            rest = abs(quantity) - sum(child.may_fill - child.filled for child in live)
            if rest <= 0:
                continue
            due = state.next_try.get(key)
            if due is not None and now < due:
                self._timers.append(due)
                continue
            tries = state.tries.get(key, 0)
            state.next_try[key] = now + min(CLOSE_AGAIN * 2 ** min(tries, 10), LONGEST_PAUSE)
            state.tries[key] = tries + 1
            if tries == 1:
                self._alerts.append(f"{quantity} of {key} are not to be kept, and still held: closing goes on")
            number = max((number_of(child.client_order_id) for child in state.closings), default=0) + 1
            return actions.CloseLine(symbol, product, rest if quantity > 0 else -rest, number)
        return None

    def _closable(self) -> Iterator[tuple[tuple[str, Product], int]]:
        """What is held and may be closed now, of which no order of its own can change any more."""
        state, held = self.state, self.state.held()
        working = {(piece.key, piece.side) for piece in state.pieces if any(child.is_live for child in piece.children)}
        instruments = {key for key, _ in working}
        yield from ((key, held[key]) for key in held if held[key] < 0 and key not in instruments)
        if all(quantity > 0 for quantity in held.values()) and all(side is Side.BUY for _, side in working):
            yield from ((key, held[key]) for key in held if key not in instruments)

    def _new(self, piece: Piece, name: str, quantity: int, price: Decimal | None, place_by: datetime) -> OrderIntent:
        intent = self.state.intent
        order = PlanOrderIntent(
            account=intent.account,
            mode=intent.mode,
            strategy=intent.strategy,
            plan_id=intent.plan_id,
            client_order_id=name,
            reason=reason_of(self.state),
            symbol=piece.symbol,
            side=piece.side,
            quantity=quantity,
            product=piece.product,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
            tags=intent.tags,
            place_by=place_by,
        )
        return self._waiting(order) if self.state.awaits_approval else order

    # What is said, and the wait.

    def _words(self) -> Action | None:
        if self._alerts:
            return actions.Alert(f"plan {self.state.intent.plan_id}: {self._alerts.pop(0)}")
        return actions.RECORD if self.state.recordable() != self._recorded else None

    def _rest(self, now: datetime) -> Action:
        state = self.state
        if state.is_over:
            return actions.DONE
        if self._next_sync is None:
            is_busy = any(child.is_live for piece in state.pieces for child in piece.children)
            is_closing = any(child.is_live for child in state.closings)
            self._next_sync = now + (SYNC_CLOSING if is_closing else SYNC_SOON if is_busy else SYNC_EVERY)
        if now >= self._next_sync:
            return self._sync()
        return actions.Wait(min([*self._timers, self._next_sync]))

    def _sync(self) -> Action:
        self._next_sync = None
        return actions.SYNC


def reason_of(state: LinesState) -> str:
    return state.intent.reason or f"plan {state.intent.plan_id}"


def is_of_line(state: LinesState, order: Order) -> bool:
    """Whether the plan has started an order that is named as one of its own."""
    intent, own = state.intent, order.client_order_id
    asked = (intent.account, intent.mode, intent.strategy)
    if (order.account, order.mode, order.strategy) != asked:
        return False
    if re.fullmatch(rf"{re.escape(CLOSING + intent.plan_id)}-\d+", own):
        return order.reason.startswith(f"plan {intent.plan_id}:")
    piece = _piece_of(state, own)
    return piece is not None and (order.reason, _key(order), order.side) == (reason_of(state), piece.key, piece.side)


def adopt(state: LinesState, order: Order) -> Child | None:
    """An order of the plan's that an earlier run has placed; `None` for one that the plan did not start."""
    if not is_of_line(state, order):
        return None
    child = Child(order=order)
    piece = _piece_of(state, order.client_order_id)
    children = piece.children if piece is not None else state.closings
    children.append(child)
    children.sort(key=lambda each: number_of(each.client_order_id))
    if state.began_at is None:
        state.began_at = order.created_at
    if piece is None and not state.closes:  # an earlier run has found that it is not to be kept
        state.gives_up = order.reason.partition(": ")[2] or "an earlier run has closed it"
    return child


def refreshed_lines(state: LinesState, orders: list[Order]) -> LinesState:
    """With its orders as they are told now."""
    for order in orders:
        child = state.child(order.client_order_id)
        if child is None:
            adopt(state, order)
        elif standing.is_news(child.order, order):
            child.order = order
    return state


def _piece_of(state: LinesState, own: str) -> Piece | None:
    named, lines = OF_LINE.search(own), state.pieces
    if named is None or own != piece_name(state.intent, int(named[1]), int(named[2])):
        return None
    return lines[int(named[1]) - 1] if 1 <= int(named[1]) <= len(lines) else None


def _key(order: Order) -> tuple[str, Product]:
    return order.symbol, order.product
