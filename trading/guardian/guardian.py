"""The guardian: checks and reserves in one transaction, and alone makes the value that placing accepts."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import NotApproved
from durable_orders.trading.gtt.gtt import GttIntent
from durable_orders.trading.gtt.outcome import ApprovedGtt, grant_gtt
from durable_orders.trading.guardian import worst_case
from durable_orders.trading.guardian.breakers import DayBreakers
from durable_orders.trading.guardian.catalogue import day_limits
from durable_orders.trading.guardian.changing import NOT_OPEN, NOTHING_RESERVED, changed_terms
from durable_orders.trading.guardian.checks.account import WithinHoldings
from durable_orders.trading.guardian.checks.terms import PricesOnTick
from durable_orders.trading.guardian.facts_reader import FactsReader, Subject, market_time
from durable_orders.trading.guardian.judging import Plan, Plans, run
from durable_orders.trading.ledger import attempts, reservations
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.deliverable import with_deliverable
from durable_orders.trading.ledger.exposure import Held, Pending, held_in_symbol, own_of
from durable_orders.trading.ledger.gtts import waiting_beside
from durable_orders.trading.ledger.last_ticks import last_offer
from durable_orders.trading.ledger.reading import (
    events_of,
    find_order,
    fingerprint_of,
    last_sequence,
    tag_recorded,
)
from durable_orders.trading.ledger.recording import claim, receive
from durable_orders.trading.ledger.reservations import Arrival, own_price
from durable_orders.trading.ledger.surroundings import Surroundings, surroundings
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.absence import is_of_an_earlier_book
from durable_orders.trading.orders.approval import DRY_RUN, Approved, grant
from durable_orders.trading.orders.order import (
    Amendment,
    Mode,
    Order,
    OrderType,
    SignOff,
    is_closing,
    only_closes,
)
from durable_orders.trading.orders.tags import marked
from durable_orders.trading.orders.verdict import Approval, Existing, Policy, Refusal, Refusals, Verdict
from durable_orders.trading.plans.plan import PlanIntent

SETTLE_READS = 4
"""The settle window is divided into this many readings of the book."""

SessionEnd = Callable[[sa.Connection, Order], datetime]
JUDGED = "judged"
NO_SIGN_OFF = "strategy: a person approves the orders of {}, and a GTT's orders would go past that: it has none"
HELD_FOR = timedelta(days=365)
"""How long a GTT waits at most (Zerodha support, validity of a GTT order)."""


def _of_gtt(refusal: Refusal, beside: int) -> str:
    is_told = beside and refusal.code == WithinHoldings.code
    return f"{refusal}; other GTTs, which count as offered, sell {beside}" if is_told else str(refusal)


class _Undone(Exception):
    """The transaction is not to be kept."""


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
        self._instruments = instruments
        self._surveyor = FactsReader(instruments, clock, settings.ledger.realized_by)
        self._plans = Plans(settings, instruments)
        self.breakers = DayBreakers(day_limits(settings), settings.guardian.on_trip, settings.ledger.realized_by)
        own = settings.guardian.strategies
        self._approved_by_people = {code for code, strategy in own.items() if strategy.approve}
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
        with self._database.write(order.account) as connection:
            approval = self._sign_off(connection, order, place_by)
            order = order.model_copy(update={"approval": approval}) if approval is not None else order
            existing = receive(connection, order, run_id, fingerprint)
            if existing is None and order.awaits_approval and last_sequence(connection, order.order_id) > 0:
                existing = find_order(connection, order.order_id)  # an earlier try of this run has it further on
            if existing is not None:
                return self._known(connection, existing, run_id, fingerprint, place_by)
            deadline = self._deadline(connection, order, place_by)
            around = surroundings(connection, order, self._clock())
            if around.is_reserved:
                tag = tag and tag_recorded(connection, order.order_id)
                return Approval(policy=self._policy(deadline), dry_run=order.dry_run, tag=tag)
            price = own_price(order) or around.last_price or Decimal(0)
            asked = Pending.quoted(order.symbol, order.quantity, order.quantity * price, price)
            plan = self._plans.of_new(order.strategy)
            situation = self._surveyor.survey(connection, Subject(order, order, deadline, asked), around, plan.needs)
            refusals = plan.judge(order, situation)
            if refusals:
                return Refusals(refusals=refusals, dry_run=order.dry_run, tag=tag, approval=approval)
            if order.awaits_approval:
                policy = self._policy(deadline, is_before_sign_off=True)
                return Approval(policy=policy, dry_run=order.dry_run, tag=tag, approval=approval)
            judged = plan.judged(order, situation)
            reservations.reserve(connection, order, price, self._clock(), _arrival(around), judged)
            return Approval(policy=self._policy(deadline), dry_run=order.dry_run, tag=tag)

    def judge_plan(self, intent: PlanIntent, sessions: SessionSource) -> tuple[str, ...]:
        """Everything against a plan as a whole, each as a field and a rule: its entry as if it were sent now, its exits
        as they would be, and its loss at the stop. Nothing is reserved or recorded."""
        if intent.by_gtt and intent.strategy in self._approved_by_people:
            return (NO_SIGN_OFF.format(intent.strategy),)
        checks, now = self._plans.of_new(intent.strategy), self._clock()
        order = Order.from_intent(worst_case.first_order(intent), now)
        with self._database.read() as connection:
            around = surroundings(connection, order, now)
            offer = last_offer(connection, intent.account, intent.symbol)
            price = own_price(order) or around.last_price or Decimal(0)
            asked = Pending.quoted(order.symbol, order.quantity, order.quantity * price, price)
            subject = Subject(order, order, self._deadline(connection, order), asked)
            situation = self._surveyor.survey(connection, subject, around, checks.needs)
            realized = self.breakers.realized(connection, intent.account, now)
        tick = offer[0].tick if offer is not None else None
        limits = self.breakers.limits
        return worst_case.problems(intent, order, checks, situation, tick, sessions, limits, realized)

    def judge_exit_time(
        self, intent: PlanIntent, sessions: SessionSource, at: datetime | None = None
    ) -> tuple[str, ...]:
        """What of `judge_plan` is against its time to exit. `at` is the market's time, where the plan has its own."""
        now = self._clock()
        if at is None:
            with self._database.read() as connection:
                around = surroundings(connection, Order.from_intent(worst_case.first_order(intent), now), now)
            at = market_time(intent.mode, around, now)
        return tuple(worst_case.time_problems(intent, self._instruments.get(intent.symbol), sessions, at))

    def judge_together(self, orders: Sequence[Order]) -> list[tuple[Refusal, ...]]:
        """What is against each of the orders, if they were sent now, one after the other: each is judged with those
        before it reserved. Nothing of it is kept."""
        found: list[tuple[Refusal, ...]] = []
        with suppress(_Undone), self._database.write(self._settings.account) as connection:
            for order in orders:
                receive(connection, order, JUDGED, JUDGED)
                around = surroundings(connection, order, self._clock())
                price = own_price(order) or around.last_price or Decimal(0)
                asked = Pending.quoted(order.symbol, order.quantity, order.quantity * price, price)
                subject = Subject(order, order, self._deadline(connection, order), asked)
                found.append(self._judge(connection, subject, around, self._plans.of_new(order.strategy)))
                reservations.reserve(connection, order, price, self._clock(), _arrival(around))
            raise _Undone
        return found

    def judge_gtt(self, intent: GttIntent) -> tuple[str, ...]:
        """Everything against the orders that a GTT is to place: each is judged as if it were sent at its trigger, and
        the other GTTs of its side, symbol and product had placed theirs. Nothing of it is kept."""
        plan, now = self._plans.of_gtt(intent.strategy), self._clock()
        found = [NO_SIGN_OFF.format(intent.strategy)] if intent.strategy in self._approved_by_people else []
        with self._database.read() as connection:
            beside = waiting_beside(connection, intent)
            for order, leg in zip(intent.orders(now), intent.legs, strict=True):
                around = replace(surroundings(connection, order, now), last_price=leg.trigger_price)
                asked = Pending.quoted(order.symbol, leg.quantity, leg.quantity * leg.price, leg.price)
                situation = self._surveyor.survey(
                    connection, Subject(order, order, now + HELD_FOR, asked), around, plan.needs
                )
                situation = situation.beside(Pending.quoted(order.symbol, beside, beside * leg.price, leg.price))
                found += [_of_gtt(refusal, beside) for refusal in plan.judge(order, situation)]
                at_trigger = order.model_copy(update={"price": leg.trigger_price})
                if (off_tick := run(PricesOnTick(), at_trigger, situation)) is not None:
                    found.append(f"trigger_price: {off_tick}")
        return tuple(dict.fromkeys(found))

    def approve_gtt(self, intent: GttIntent, last_price: Decimal) -> ApprovedGtt:
        """The permission to place a GTT, or to change one to this, with that last price in rupees. Raises
        `NotApproved`, also for an account that was halted meanwhile, and in a dry run."""
        if self._settings.execution.dry_run:
            raise NotApproved(DRY_RUN)
        if problems := [*self.judge_gtt(intent), *([side] if (side := intent.side_problem(last_price)) else [])]:
            raise NotApproved("; ".join(problems))
        return grant_gtt(intent, last_price)

    def gtt_withheld(self, connection: sa.Connection, intent: GttIntent) -> str | None:
        """Why the account does not let a GTT leave now, as it was halted meanwhile; `None` if it does."""
        withheld = (self.withheld(connection, order) for order in intent.orders(self._clock()))
        return next((words for words in withheld if words is not None), None)

    def check_amendment(self, order: Order, change: Amendment) -> tuple[Refusal, ...]:
        """Check a change of a working order and reserve what it needs beyond what stands, or give the reasons against
        it. Repeating the call is harmless: it counts one more change.

        Until the book shows the change, or `withdraw_amendment` says that it was not made, enough is reserved for the
        order with and without it.
        """
        terms = changed_terms(order, change)
        if isinstance(terms, Refusal):
            return (terms,)
        with self._database.write(order.account) as connection:
            stands = reservations.standing(connection, order.order_id)
            if stands is None:
                return (Refusal(code=NOT_OPEN, message=NOTHING_RESERVED),)
            around = surroundings(connection, order, self._clock())
            price = own_price(terms) or around.last_price or stands.price
            needed = stands.with_change(terms.quantity, price)
            asked, own = needed.pending(order.symbol), stands.pending(order.symbol)
            plan = self._plans.of_change(order, terms, raises=needed != stands)
            subject = Subject(order, terms, self._clock(), asked, own, stands.changes)
            situation = self._surveyor.survey(connection, subject, around, plan.needs)
            refusals = plan.judge(terms, situation)
            if not refusals:
                now = needed.counted(1)
                reservations.change(connection, order.order_id, now)
                reservations.keep_judged(connection, order.order_id, now.changes, plan.judged(terms, situation))
        return refusals

    def withdraw_amendment(self, order: Order, change: Amendment) -> None:
        """The change was certainly not made: what `check_amendment` reserved for it alone is free again, and it
        does not count."""
        terms = change.applied_to(order)
        with self._database.write(order.account) as connection:
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
        if order.awaits_approval:
            raise NotApproved(f"{order.order_id}: it waits for a person's approval")
        return grant(order, lambda connection: self._redeem(connection, order, number, proved))

    def redeem(self, order: Order, number: int = 1, proved: int = 0) -> Approved:
        """The same, redeemed in a transaction of its own."""
        approved = self.permission(order, number, proved)
        with self._database.write(order.account) as connection:
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
        self,
        connection: sa.Connection,
        existing: Order,
        run_id: str,
        fingerprint: str,
        place_by: datetime | None,
    ) -> Existing:
        """One that waits for a person's approval was never sent, as nothing was ever reserved for it: it is this run's,
        and waits on. If the ledger was restored, today's book shows what was sent; a live one of an earlier day may
        have been."""
        is_same = fingerprint_of(connection, existing.order_id) == fingerprint
        waits = is_same and existing.awaits_approval and not reservations.was_ever_made(connection, existing.order_id)
        waits = waits and not is_of_an_earlier_book(existing, existing.created_at, self._clock())
        if waits:
            claim(connection, existing.order_id, run_id)
        return Existing(
            order=existing,
            same_content=is_same,
            sequence=max((event.sequence for event in events_of(connection, existing.order_id)), default=0),
            policy=self._policy(self._deadline(connection, existing, place_by), is_before_sign_off=waits),
        )

    def _sign_off(self, connection: sa.Connection, order: Order, place_by: datetime | None) -> SignOff | None:
        """What a person has said, or has to say, of the order before it is sent. What only closes waits only where that
        was asked for."""
        asked = order.approval
        if asked is not None and asked.approved_at is not None:
            return asked
        if asked is None:
            if order.strategy not in self._approved_by_people or only_closes(order.client_order_id):
                return None
            asked = SignOff()
        place_by = place_by or asked.place_by
        within = order.created_at + timedelta(seconds=self._settings.guardian.approve_within)
        ends = place_by or self._session_end(connection, order)
        return SignOff(needed_by=min(asked.needed_by or within, ends), place_by=place_by)

    def _deadline(self, connection: sa.Connection, order: Order, place_by: datetime | None = None) -> datetime:
        """As asked for; else 30 s by default for what fires at the market, the end of the session for the rest, from
        its creation, or from a person's approval. Of one that waits for that, until when it does."""
        approval, begun = order.approval, order.created_at
        if order.awaits_approval and approval is not None and approval.needed_by is not None:
            return approval.needed_by
        if approval is not None and approval.approved_at is not None:
            place_by, begun = place_by or approval.place_by, approval.approved_at
        if place_by is not None:
            return place_by
        if order.order_type in (OrderType.MARKET, OrderType.SL_M):
            return begun + timedelta(seconds=self._settings.placing.market_deadline)
        return self._session_end(connection, order)

    def _policy(self, place_by: datetime, *, is_before_sign_off: bool = False) -> Policy:
        placing = self._settings.placing
        return Policy(
            place_by=place_by,
            is_before_sign_off=is_before_sign_off,
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
