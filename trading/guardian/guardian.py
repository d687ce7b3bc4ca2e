"""The guardian: checks and reserves in one transaction, and alone makes the value that placing accepts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import NotApproved
from durable_orders.trading.guardian import worst_case
from durable_orders.trading.guardian.breakers import DayBreakers
from durable_orders.trading.guardian.catalogue import day_limits
from durable_orders.trading.guardian.changing import NOT_OPEN, NOTHING_RESERVED, changed_terms
from durable_orders.trading.guardian.judging import Plan, Plans
from durable_orders.trading.guardian.survey import Subject, Surveyor
from durable_orders.trading.ledger import attempts, reservations
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.deliverable import with_deliverable
from durable_orders.trading.ledger.exposure import Held, Pending, held_in_symbol, own_of
from durable_orders.trading.ledger.last_ticks import last_offer
from durable_orders.trading.ledger.reading import events_of, fingerprint_of, tag_recorded
from durable_orders.trading.ledger.recording import receive
from durable_orders.trading.ledger.reservations import Arrival, own_price
from durable_orders.trading.ledger.surroundings import Surroundings, surroundings
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.approval import DRY_RUN, Approved, approve
from durable_orders.trading.orders.order import Amendment, Mode, Order, OrderType, PlanOrderIntent, is_closing
from durable_orders.trading.orders.tags import marked
from durable_orders.trading.orders.verdict import Approval, Existing, Policy, Refusal, Refusals, Verdict
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.state import entry_id

SETTLE_READS = 4
"""The settle window is divided into this many readings of the book."""

SessionEnd = Callable[[sa.Connection, Order], datetime]


class Guardian:
    """Thread-safe; holds no state of its own, so any number of workers may each have one."""

    def __init__(
        self,
        database: Database,
        instruments: Instruments,
        settings: Settings,
        session_end: SessionEnd,
        clock: Callable[[], datetime],
        mark: str | None = None,
    ) -> None:
        """`session_end(connection, order)` is the end of the session that the order is for, on the wall's clock. `mark`
        is the home's, for the tags of its orders at a real broker.

        Raises `InvalidSettings` for a strategy rule that cannot be had.
        """
        self._database = database
        self._settings = settings
        self._session_end = session_end
        self._clock = clock
        self._mark = mark
        self._surveyor = Surveyor(instruments, clock, settings.ledger.realized_by)
        self._plans = Plans(settings, instruments)
        self.breakers = DayBreakers(day_limits(settings), settings.guardian.on_trip, settings.ledger.realized_by)
        self._with_rules = {code for code, strategy in settings.guardian.strategies.items() if strategy.rules}

    def has_rules(self, strategy: str) -> bool:
        """Whether checks that other packages bring along are asked about its orders: those may take their time."""
        return strategy in self._with_rules

    def admit(self, order: Order, run_id: str, fingerprint: str, place_by: datetime | None) -> Verdict:
        """Record a new order, check it and reserve what it needs, or give all the reasons against it.

        Repeating the call is harmless: an order that was approved stays so. An order id that an earlier workflow run
        used gives that order back, and so does one that was adopted from the broker's book under its tag. In a dry run,
        the order is marked as one before anything of it is recorded.
        """
        if self._settings.execution.dry_run:
            order = order.model_copy(update={"dry_run": True})
        tag = marked(order.tag, self._mark) if self._mark is not None else None
        order = order.model_copy(update={"tag": tag}) if tag is not None else order
        with self._database.write() as connection:
            existing = receive(connection, order, run_id, fingerprint)
            if existing is not None:
                return self._known(connection, existing, fingerprint, place_by)
            deadline = place_by or self._deadline(connection, order)
            around = surroundings(connection, order, self._clock())
            if around.is_reserved:
                tag = tag and tag_recorded(connection, order.order_id)
                return Approval(policy=self._policy(deadline), dry_run=order.dry_run, tag=tag)
            price = own_price(order) or around.last_price or Decimal(0)
            asked = Pending.quoted(order.symbol, order.quantity, order.quantity * price, price)
            plan = self._plans.of_new(order.strategy)
            refusals = self._judge(connection, Subject(order, order, deadline, asked), around, plan)
            if refusals:
                return Refusals(refusals=refusals, dry_run=order.dry_run, tag=tag)
            reservations.reserve(connection, order, price, self._clock(), _arrival(around))
            return Approval(policy=self._policy(deadline), dry_run=order.dry_run, tag=tag)

    def judge_plan(self, intent: PlanIntent, sessions: SessionSource) -> tuple[str, ...]:
        """Everything against a plan as a whole, each as a field and a rule: its entry as if it were sent now, its exits
        as they would be, and its loss at the stop. Nothing is reserved or recorded."""
        checks = self._plans.of_new(intent.strategy)
        now, terms = self._clock(), intent.entry_terms() or next(worst_case.exits_of(intent))[1]
        named = {"plan_id": intent.plan_id, "client_order_id": entry_id(intent.plan_id), "strategy": intent.strategy}
        asked_for = PlanOrderIntent(account=intent.account, mode=intent.mode, **named, **dict(terms))
        order = Order.from_intent(asked_for, now)
        with self._database.read() as connection:
            around = surroundings(connection, order, now)
            offer = last_offer(connection, intent.account, intent.symbol)
            price = own_price(order) or around.last_price or Decimal(0)
            asked = Pending.quoted(order.symbol, order.quantity, order.quantity * price, price)
            subject = Subject(order, order, self._deadline(connection, order), asked)
            situation = self._surveyor.survey(connection, subject, around, checks.needs)
            realized = self.breakers.realized(connection, intent.account, now)
        entry = checks.judge(order, situation) if intent.entry is not None else ()
        return (
            *(f"entry: {refusal}" for refusal in entry),
            *worst_case.exit_problems(intent, checks.checks, situation),
            *worst_case.spread_problems(intent, offer[0].tick if offer is not None else None),
            *worst_case.time_problems(intent, situation.instrument, sessions, situation.market_time),
            *worst_case.loss_problems(intent, self.breakers.limits, situation, realized),
        )

    def check_amendment(self, order: Order, change: Amendment) -> tuple[Refusal, ...]:
        """Check a change of a working order and reserve what it needs beyond what stands, or give the reasons against
        it. Repeating the call is harmless: it counts one more change.

        Until the book shows the change, or `withdraw_amendment` says that it was not made, enough is reserved for the
        order with and without it.
        """
        terms = changed_terms(order, change)
        if isinstance(terms, Refusal):
            return (terms,)
        with self._database.write() as connection:
            stands = reservations.standing(connection, order.order_id)
            if stands is None:
                return (Refusal(code=NOT_OPEN, message=NOTHING_RESERVED),)
            around = surroundings(connection, order, self._clock())
            price = own_price(terms) or around.last_price or stands.price
            needed = stands.with_change(terms.quantity, price)
            asked, own = needed.pending(order.symbol), stands.pending(order.symbol)
            plan = self._plans.of_change(order, terms, raises=needed != stands)
            subject = Subject(order, terms, self._clock(), asked, own, stands.changes)
            refusals = self._judge(connection, subject, around, plan)
            if not refusals:
                reservations.change(connection, order.order_id, needed.counted(1))
        return refusals

    def withdraw_amendment(self, order: Order, change: Amendment) -> None:
        """The change was certainly not made: what `check_amendment` reserved for it alone is free again, and it
        does not count."""
        terms = change.applied_to(order)
        with self._database.write() as connection:
            stands = reservations.standing(connection, order.order_id)
            if stands is None:
                return
            left = stands
            if stands.amended_quantity == terms.quantity and own_price(terms) in (None, stands.amended_price):
                left = stands.of_terms(order.quantity, own_price(order) or stands.price)
            reservations.change(connection, order.order_id, left.counted(-1))

    def permission(self, order: Order, number: int, proved: int = 0) -> Approved:
        """The permission to send an order that `admit` approved, in its attempt of that number, not yet redeemed.
        `proved` is up to which number it is proved that nothing is at the broker.

        Redeeming it raises `NotApproved` for an order that has ended, or was never approved, and `AttemptUsed` for one
        that is at the broker, or may be. A halt of the account that came in the meantime counts, too: what has not been
        sent by then is not sent. Nor is an order of a dry run, whoever says so: these settings, or those under which it
        was placed; that is raised at once.
        """
        if order.dry_run or self._settings.execution.dry_run:
            raise NotApproved(DRY_RUN)
        return approve(order, lambda connection: self._redeem(connection, order, number, proved))

    def redeem(self, order: Order, number: int = 1, proved: int = 0) -> Approved:
        """The same, redeemed in a transaction of its own."""
        approved = self.permission(order, number, proved)
        with self._database.write() as connection:
            approved.redeem(connection)
        return approved

    def _redeem(self, connection: sa.Connection, order: Order, number: int, proved: int) -> None:
        if not attempts.use(connection, order.order_id, number, proved, self._clock()):
            raise NotApproved(f"{order.order_id}: no reservation stands for it")
        if (words := self.withheld(connection, order)) is not None:
            raise NotApproved(words)

    def withheld(self, connection: sa.Connection, order: Order) -> str | None:
        """Why the account does not let an approved order leave now, as it was halted meanwhile; `None` if it does."""
        standing = permission_of(connection, order.account, self._clock())
        if standing.state is AccountState.HALTED:
            return f"the account is halted: {standing.reason}"
        side, quantity = order.side, order.quantity
        if is_closing(order.client_order_id) and not self._held(connection, order).is_closed_by(side, quantity):
            return f"{order.order_id}: it may only close a position, and would open one now"
        if standing.state is AccountState.REDUCING and not self._held(connection, order).only_reduced_by(order.side, 0):
            return f"the account only takes orders that reduce a position: {standing.reason}"
        return None

    def _held(self, connection: sa.Connection, order: Order) -> Held:
        """What is held of the order's symbol and product, with its own reservation and the others that stand."""
        held = held_in_symbol(connection, order.account, order.symbol)
        own = own_of(held, order.symbol, order.product, None)
        if order.mode is not Mode.LIVE:
            return own
        [own] = with_deliverable(connection, order.account, [own], self._clock())
        return own

    def _judge(
        self, connection: sa.Connection, subject: Subject, around: Surroundings, plan: Plan
    ) -> tuple[Refusal, ...]:
        situation = self._surveyor.survey(connection, subject, around, plan.needs)
        return plan.judge(subject.terms, situation)

    def _known(
        self, connection: sa.Connection, existing: Order, fingerprint: str, place_by: datetime | None
    ) -> Existing:
        return Existing(
            order=existing,
            same_content=fingerprint_of(connection, existing.order_id) == fingerprint,
            sequence=max((event.sequence for event in events_of(connection, existing.order_id)), default=0),
            policy=self._policy(place_by or self._deadline(connection, existing)),
        )

    def _deadline(self, connection: sa.Connection, order: Order) -> datetime:
        """30 s by default for what fires at the market, the end of the session for the rest, from its creation."""
        if order.order_type in (OrderType.MARKET, OrderType.SL_M):
            return order.created_at + timedelta(seconds=self._settings.placing.market_deadline)
        return self._session_end(connection, order)

    def _policy(self, place_by: datetime) -> Policy:
        placing = self._settings.placing
        return Policy(
            place_by=place_by,
            max_retries=placing.max_retries,
            retry_delay=placing.retry_delay,
            settle_window=placing.settle_window,
            settle_interval=max(placing.settle_window / SETTLE_READS, 0.1),
            resend_after_settle=placing.resend_after_settle,
            safety_interval=placing.safety_interval,
            unreadable_interval=placing.unreadable_interval,
        )


def _arrival(around: Surroundings) -> Arrival:
    return Arrival(around.last_price, around.bid, around.ask, around.price_received_at)
