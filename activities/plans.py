"""The effects of one plan: check it as a whole, record it, see what there still is to close, tell a human."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from temporalio import activity

from durable_orders.activities.plan_lines import BasketMargins, Lines, tick_of_now
from durable_orders.activities.positions import PositionReader
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.flatten.closing import closable
from durable_orders.trading.flatten.excess import closing_of
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState, halt_reason, last_book_read, permission_of
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.broker_positions import AtBroker
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.plan_claims import claim_problem, closed_by_others, excess_left
from durable_orders.trading.ledger.plan_gtts import other_legs
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
from durable_orders.trading.orders.order import Frozen, Price, Product
from durable_orders.trading.plans.claims import ByOthers
from durable_orders.trading.plans.kinds import AnyIntent, AnyState, is_its_own, lines_state
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.news import ExcessSeen, LineClosing, Recalled, Surveyed
from durable_orders.trading.plans.pieces import LineIntent, LinesState
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.state import PlanState


class PlanVerdict(Frozen):
    """What is said of a plan before anything of it is sent."""

    refusals: tuple[str, ...] = ()
    tick_size: Price | None = None
    terms: tuple[LineTerms, ...] = ()
    """Of a plan of several lines: what is known of each."""
    known: AnyState | None = None
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
        margins: BasketMargins | None = None,
    ) -> None:
        """`ensure_price` sees to it that a symbol has a last price, if one can be had. `margins` is the broker that is
        asked what a basket binds; `None` where it sets no limit."""
        self._settings = settings
        self._account = settings.account
        self._database = database
        self._guardian = guardian
        self._instruments = instruments
        self._sessions = sessions
        self._positions = positions
        self._ensure_price = ensure_price
        self._lines = Lines(settings, database, guardian, instruments, sessions, margins)

    @activity.defn(name="admit_plan")
    def admit(self, intent: AnyIntent, at: datetime, market: datetime | None = None) -> PlanVerdict:
        """Check a plan that is new, and record it whatever comes of that; or give it as it was recorded. `market` is
        the market's time, where the plan goes by that."""
        with self._database.read() as connection:
            known = find_plan(connection, self._account, intent.plan_id)
        if known is not None:
            return self._known(known[0], intent, known[1])
        if not isinstance(intent, PlanIntent):
            return self._admit_lines(intent, at, market)
        self._ensure_price(intent.symbol)
        instrument = self._instruments.get(intent.symbol)
        refusals = [*self._guardian.judge_plan(intent, self._sessions)]
        held, problem = self._closable_for(intent)
        refusals += [problem] if problem else []
        refusals += _lateness(intent, at)
        state = PlanState.of(intent, at)
        state.tick_size = instrument.tick_size if instrument is not None else None
        with self._database.write(self._account) as connection:
            known = find_plan(connection, self._account, intent.plan_id)
            if known is not None:
                return self._known(known[0], intent, known[1])
            claimed = claim_problem(connection, intent, held) if held is not None else None
            refusals += [*_taken_names(connection, intent), *([claimed] if claimed else [])]
            state.refusals = tuple(dict.fromkeys(refusals))
            receive_plan(connection, state, now())
        return PlanVerdict(refusals=state.refusals, tick_size=state.tick_size)

    def _admit_lines(self, intent: LineIntent, at: datetime, market: datetime | None) -> PlanVerdict:
        state = lines_state(intent, at)
        for piece in state.pieces:
            self._ensure_price(piece.symbol)
        refusals = [*self._lines.judge(state, market), *_lateness(intent, at)]
        with self._database.write(self._account) as connection:
            known = find_plan(connection, self._account, intent.plan_id)
            if known is not None:
                return self._known(known[0], intent, known[1])
            refusals += _taken_names(connection, intent)
            state.refusals = tuple(dict.fromkeys(refusals))
            receive_plan(connection, state, now())
        return PlanVerdict(refusals=state.refusals, terms=tuple(piece.terms for piece in state.pieces))

    def _known(self, state: AnyState, intent: AnyIntent, fingerprint: str) -> PlanVerdict:
        same = fingerprint == intent.fingerprint()
        if not isinstance(state, PlanState):
            return PlanVerdict(known=state, same_content=same)
        return PlanVerdict(known=state, tick_size=state.tick_size, same_content=same)

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
    def recall_plan(self, state: AnyState) -> Recalled:
        """What the ledger has of a plan, its orders included."""
        with self._database.read() as connection:
            by_others = closed_by_others(connection, state) if isinstance(state, PlanState) else ByOthers()
            return Recalled(
                orders=tuple(orders_of_plan(connection, state.intent)),
                missing=by_others.missing,
                oversold=by_others.oversold,
                book_read_at=last_book_read(connection, self._account),
                version=version_of(connection, state.intent),
                returned=by_others.returned,
                other_legs=other_legs(connection, state.intent),
            )

    @activity.defn
    def record_plan(self, state: AnyState, below: Price | None, above: Price | None) -> None:
        """Write down how it stands."""
        with self._database.write(self._account) as connection:
            record_plan(connection, state, below, above, now())

    @activity.defn
    def alert_of_plan(self, words: str) -> None:
        """Say something to a human."""
        alert(self._database, self._account, words, now())

    @activity.defn
    def survey_plan(self, state: PlanState) -> Surveyed:
        """How much of what the plan holds others have closed. Nothing is said of that while no exit can be placed: the
        account is halted, or what the broker has cannot be read, is less than the ledger has, or may not be sold."""
        return self._survey(state, None)

    @activity.defn
    def survey_paced_plan(self, state: PlanState, at: datetime) -> Surveyed:
        """The same of a plan whose time is the market's."""
        return self._survey(state, at)

    def _survey(self, state: PlanState, at: datetime | None) -> Surveyed:
        intent, moment = state.intent, at or now()
        session = self._sessions.of(intent.symbol).session_at_or_after(moment)
        is_told = at is not None or self._settings.execution.mode.value == "live"
        opens = session.opens if session.opens > moment and is_told else None
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

    @activity.defn
    def close_line(
        self,
        state: LinesState,
        symbol: str,
        product: Product,
        quantity: int,
        number: int,
        at: datetime | None = None,
    ) -> LineClosing:
        """What there still is of something that a plan is not to keep, and the orders that close it: no more than the
        account and its broker have. `quantity` is signed, `number` that of the first order, `at` the market's time,
        where the plan goes by that."""
        try:
            broker = self._positions.read().at_broker(symbol, product).closable
        except BookUnreadable as error:
            return LineClosing(left=abs(quantity), waits=f"what the broker has cannot be read: {error}")
        return self._lines.close(state, (symbol, product), quantity, number, broker, at)

    @activity.defn
    def prices_for_plan(self, symbols: tuple[str, ...], at: datetime | None = None) -> dict[str, Price]:
        """The last prices of these symbols, in rupees, of those that have one of now, or of the market's time `at`."""
        found = {symbol: tick_of_now(self._database, self._account, symbol, at) for symbol in symbols}
        return {symbol: tick.last_price for symbol, tick in found.items() if tick is not None}

    @activity.defn(name="price_for_plan")
    def price_now(self, symbol: str) -> Price | None:
        """The last price of a symbol, in rupees, if it is one of now."""
        return self.prices_for_plan((symbol,)).get(symbol)

    @activity.defn
    def exit_time_problem(self, intent: PlanIntent, exit_at: datetime, at: datetime | None) -> str | None:
        """What is against another time to exit, as at a plan's beginning. `at` is the market's time, where the plan has
        its own."""
        asked = intent.model_copy(update={"exit_at": exit_at})
        return next(iter(self._guardian.judge_exit_time(asked, self._sessions, at)), None)

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
        return ExcessSeen(left=left, closing=closing_of(intent, number, left, ours, broker))

    def local(self) -> Sequence[Callable[..., object]]:
        return (
            self.admit,
            self.recall_plan,
            self.record_plan,
            self.alert_of_plan,
            self.survey_plan,
            self.survey_paced_plan,
            self.close_excess,
            self.close_line,
            self.price_now,
            self.exit_time_problem,
            self.prices_for_plan,
        )


def _lateness(intent: AnyIntent, asked_at: datetime) -> Iterator[str]:
    """Whether it is too late to begin it."""
    by = intent.begin_by(asked_at)
    if by is not None and now() >= by:
        yield f"TOO_LATE: it was to begin before {by.astimezone(IST).isoformat(timespec='seconds')}"


def _taken_names(connection: sa.Connection, intent: AnyIntent) -> Iterator[str]:
    """A plan takes only orders that it has started."""
    for order in orders_named_after(connection, intent):
        if not is_its_own(intent, order):
            yield f"plan_id: the order {order.client_order_id} is there already, and not a plan's"
