"""The effects of one plan: check it as a whole, record it, see what there still is to close, tell a human."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from temporalio import activity

from durable_orders.activities.plan_prices import FRESH
from durable_orders.activities.positions import PositionReader
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.flatten.closing import closable, closing_order
from durable_orders.trading.flatten.snapshot import Closing
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.accounts import AccountState, halt_reason, last_book_read, permission_of
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.broker_positions import AtBroker
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import last_tick
from durable_orders.trading.ledger.plan_claims import closed_by_others, excess_left, unclaimed
from durable_orders.trading.ledger.plans import (
    find_plan,
    orders_named_after,
    orders_of_plan,
    receive_plan,
    record_plan,
    version_of,
)
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Frozen, Price
from durable_orders.trading.plans.news import ExcessSeen, Recalled, Surveyed
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.standing import is_its_own
from durable_orders.trading.plans.state import PlanState, closing_id


class PlanVerdict(Frozen):
    """What is said of a plan before anything of it is sent."""

    refusals: tuple[str, ...] = ()
    tick_size: Price | None = None
    known: PlanState | None = None
    """The plan as it was recorded, where an earlier run has begun it."""
    same_content: bool = True


def now() -> datetime:
    return datetime.now(UTC)


class PlanActivities:
    """One account's. All of them block, and may be repeated."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        guardian: Guardian,
        instruments: Instruments,
        sessions: SessionSource,
        positions: PositionReader,
        ensure_price: Callable[[str], None] = lambda _symbol: None,
    ) -> None:
        """`ensure_price` sees to it that a symbol has a last price, if one can be had."""
        self._settings = settings
        self._account = settings.account
        self._database = database
        self._guardian = guardian
        self._instruments = instruments
        self._sessions = sessions
        self._positions = positions
        self._ensure_price = ensure_price

    @activity.defn(name="admit_plan")
    def admit(self, intent: PlanIntent, at: datetime) -> PlanVerdict:
        """Check a plan that is new, and record it whatever comes of that; or give it as it was recorded."""
        with self._database.read() as connection:
            known = find_plan(connection, self._account, intent.plan_id)
        if known is not None:
            return self._known(known[0], intent, known[1])
        self._ensure_price(intent.symbol)
        instrument = self._instruments.get(intent.symbol)
        refusals = [*self._guardian.judge_plan(intent, self._sessions)]
        held, problem = self._closable_for(intent)
        refusals += [problem] if problem else []
        state = PlanState.of(intent, at)
        state.tick_size = instrument.tick_size if instrument is not None else None
        with self._database.write() as connection:
            known = find_plan(connection, self._account, intent.plan_id)
            if known is not None:
                return self._known(known[0], intent, known[1])
            refusals += [*_taken_names(connection, intent), *_claimed(connection, intent, held)]
            state.refusals = tuple(dict.fromkeys(refusals))
            receive_plan(connection, state, now())
        return PlanVerdict(refusals=state.refusals, tick_size=state.tick_size)

    def _known(self, state: PlanState, intent: PlanIntent, fingerprint: str) -> PlanVerdict:
        return PlanVerdict(known=state, tick_size=state.tick_size, same_content=fingerprint == intent.fingerprint())

    def _closable_for(self, intent: PlanIntent) -> tuple[int | None, str]:
        """What an OCO may close, and why it cannot be told."""
        if intent.entry is not None:
            return None, ""
        try:
            broker = self._at_broker(intent).closable
        except BookUnreadable as error:
            return None, f"quantity: what is held cannot be read now: {error}"
        with self._database.read() as connection:
            ours, halted = self._ours(connection, intent), halt_reason(connection, self._account)
        if halted is not None:
            return None, f"the account is halted: {halted}"
        return max(closable(intent.product, ours, broker) * intent.side.sign, 0), ""

    @activity.defn(name="orders_of_plan")
    def recall_plan(self, state: PlanState) -> Recalled:
        """What the ledger has of a plan, its orders included."""
        with self._database.read() as connection:
            by_others = closed_by_others(connection, state)
            return Recalled(
                orders=tuple(orders_of_plan(connection, state.intent)),
                missing=by_others.missing,
                oversold=by_others.oversold,
                book_read_at=last_book_read(connection, self._account),
                version=version_of(connection, state.intent),
            )

    @activity.defn
    def record_plan(self, state: PlanState, below: Price | None, above: Price | None) -> None:
        """Write down how it stands."""
        with self._database.write() as connection:
            record_plan(connection, state, below, above, now())

    @activity.defn
    def alert_of_plan(self, words: str) -> None:
        """Say something to a human."""
        alert(self._database, self._account, words, now())

    @activity.defn
    def survey_plan(self, state: PlanState) -> Surveyed:
        """How much of what the plan holds others have closed. Nothing is said of that while no exit can be placed: the
        account is halted, or what the broker has cannot be read, is less than the ledger has, or may not be sold."""
        intent = state.intent
        session = self._sessions.of(intent.symbol).session_at_or_after(now())
        opens = session.opens if session.opens > now() and self._settings.execution.mode.value == "live" else None
        try:
            broker = self._at_broker(intent)
        except BookUnreadable as error:
            return Surveyed(waits=f"what the broker has cannot be read: {error}", opens_at=opens)
        with self._database.read() as connection:
            standing, ours = permission_of(connection, self._account), self._ours(connection, intent)
            missing = closed_by_others(connection, state).missing
        if standing.state is AccountState.HALTED:
            return Surveyed(waits=f"the account is halted: {standing.reason}", opens_at=opens)
        named = f"{intent.symbol} {intent.product}"
        if (ours - broker.total) * intent.side.sign > 0:
            words = f"the broker has {broker.total} of {named}, and the ledger {ours}"
            return Surveyed(waits=words, opens_at=opens)
        if intent.product.is_delivery and broker.closable < state.exposed - missing:  # the others are pledged
            return Surveyed(waits=f"only {broker.closable} of {named} can be sold now", opens_at=opens)
        return Surveyed(missing=missing, opens_at=opens)

    @activity.defn(name="price_for_plan")
    def price_now(self, symbol: str) -> Price | None:
        """The last price of a symbol, in rupees, if it is one of now."""
        with self._database.read() as connection:
            tick = last_tick(connection, self._account, symbol)
        return tick.last_price if tick is not None and now() - tick.received_at <= FRESH else None

    def _at_broker(self, intent: PlanIntent) -> AtBroker:
        """Raises `BookUnreadable`."""
        return self._positions.read().at_broker(intent.symbol, intent.product)

    def _ours(self, connection: sa.Connection, intent: PlanIntent) -> int:
        """What the account has of the plan's symbol and product, signed."""
        held = {(each.symbol, each.product): each.quantity for each in positions_of(connection, self._account)}
        return held.get((intent.symbol, intent.product), 0)

    @activity.defn
    def close_excess(self, intent: PlanIntent, quantity: int, number: int) -> ExcessSeen:
        """What there still is of what went out too much, and the order that closes it: no more than the account and its
        broker have."""
        with self._database.read() as connection:
            ours, left = self._ours(connection, intent), excess_left(connection, intent, quantity)
        try:
            broker = self._at_broker(intent).closable
        except BookUnreadable:
            return ExcessSeen(left=left)
        wanted = min(closable(intent.product, ours, broker) * -intent.side.sign, left)
        if wanted <= 0:
            return ExcessSeen(left=left)
        closing = Closing(
            symbol=intent.symbol,
            product=intent.product,
            side=intent.side,
            slices=(wanted,),
            strategy=intent.strategy,
        )
        name = closing_id(intent.plan_id, number)
        reason = f"plan {intent.plan_id}: more went out than came in"
        order = closing_order(intent.account, intent.mode, name, reason, closing, wanted)
        return ExcessSeen(left=left, closing=order)

    def local(self) -> Sequence[Callable[..., object]]:
        return (
            self.admit,
            self.recall_plan,
            self.record_plan,
            self.alert_of_plan,
            self.survey_plan,
            self.close_excess,
            self.price_now,
        )


def _taken_names(connection: sa.Connection, intent: PlanIntent) -> Iterator[str]:
    """A plan takes only orders that it has started."""
    for order in orders_named_after(connection, intent):
        if not is_its_own(intent, order):
            yield f"plan_id: the order {order.client_order_id} is there already, and not a plan's"


def _claimed(connection: sa.Connection, intent: PlanIntent, held: int | None) -> Iterator[str]:
    """An OCO closes what is there already, and what no other open exit closes."""
    if held is None:
        return
    free = unclaimed(connection, intent, held)
    if free < intent.quantity:
        of_others = f", {held - free} of {held} are closed by other open exits" if free < held else ""
        yield f"quantity: {intent.quantity} are to be closed, and {free} of {intent.symbol} can be{of_others}"
