"""The guardian: checks and reserves in one transaction, and alone makes the value that placing accepts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from trading.errors import NotApproved
from trading.guardian.approval import Approved, approve
from trading.guardian.breakers import DayBreakers
from trading.guardian.catalogue import day_limits
from trading.guardian.judging import Plan, Plans
from trading.guardian.survey import Subject, Surveyor
from trading.guardian.verdict import Approval, Existing, Policy, Refusal, Refusals, Verdict
from trading.ledger import reservations
from trading.ledger.accounts import AccountState
from trading.ledger.database import Database
from trading.ledger.exposure import Pending, held_in_symbol, own_of
from trading.ledger.reading import events_of, fingerprint_of
from trading.ledger.recording import receive
from trading.ledger.reservations import own_price
from trading.ledger.surroundings import Surroundings, surroundings
from trading.market.instruments import Instruments
from trading.order import Amendment, Order, OrderType
from trading.settings import Settings

SETTLE_READS = 4
"""The settle window is divided into this many readings of the book."""
INVALID_TERMS = "INVALID_TERMS"
"""The terms after a change would not fit together."""
DRY_RUN = "dry run: everything was checked, nothing was sent"
SPLIT = "SPLIT_ORDER"
NO_AMENDMENT = "Kite made several orders of it (iceberg, autoslice), and they do not change together: cancel it"
NOT_OPEN = "NOT_OPEN"
"""Nothing is reserved for the order that is to be changed: it has ended, or was never approved."""


class Guardian:
    """Thread-safe; holds no state of its own, so any number of workers may each have one."""

    def __init__(
        self,
        database: Database,
        instruments: Instruments,
        settings: Settings,
        session_end: Callable[[sa.Connection, datetime], datetime],
        clock: Callable[[], datetime],
    ) -> None:
        """`session_end(connection, moment)` is the end of the trading session at `moment`, on the wall's clock.

        Raises `InvalidSettings` for a strategy rule that cannot be had.
        """
        self._database = database
        self._settings = settings
        self._session_end = session_end
        self._clock = clock
        self._surveyor = Surveyor(instruments, clock, settings.ledger.realized_by)
        self._plans = Plans(settings, instruments)
        self.breakers = DayBreakers(day_limits(settings), settings.guardian.on_trip, settings.ledger.realized_by)

    def admit(self, order: Order, run_id: str, fingerprint: str, place_by: datetime | None) -> Verdict:
        """Record a new order, check it and reserve what it needs, or give all the reasons against it.

        Repeating the call is harmless: an order that was approved stays so. An order id that an earlier workflow run
        used gives that order back. In a dry run, the order is marked as one before anything of it is recorded.
        """
        if self._settings.execution.dry_run:
            order = order.model_copy(update={"dry_run": True})
        with self._database.write() as connection:
            existing = receive(connection, order, run_id, fingerprint)
            if existing is not None:
                return self._known(connection, existing, fingerprint, place_by)
            deadline = place_by or self._deadline(connection, order)
            around = surroundings(connection, order, self._clock())
            if around.is_reserved:
                return Approval(policy=self._policy(deadline), dry_run=order.dry_run)
            price = own_price(order) or around.last_price or Decimal(0)
            asked = Pending.quoted(order.symbol, order.quantity, order.quantity * price, price)
            plan = self._plans.of_new(order.strategy)
            refusals = self._judge(connection, Subject(order, order, deadline, asked), around, plan)
            if refusals:
                return Refusals(refusals=refusals, dry_run=order.dry_run)
            reservations.reserve(connection, order, price, self._clock())
            return Approval(policy=self._policy(deadline), dry_run=order.dry_run)

    def check_amendment(self, order: Order, change: Amendment) -> tuple[Refusal, ...]:
        """Check a change of a working order and reserve what it needs beyond what stands, or give the reasons against
        it. Repeating the call is harmless.

        Until the book shows the change, or `withdraw_amendment` says that it was not made, enough is reserved for the
        order with and without it.
        """
        if order.instructions is not None and order.instructions.splits:
            return (Refusal(code=SPLIT, message=NO_AMENDMENT),)
        try:
            terms = change.applied_to(order)
        except ValueError as error:
            return (Refusal(code=INVALID_TERMS, message=str(error)),)
        with self._database.write() as connection:
            stands = reservations.standing(connection, order.order_id)
            if stands is None:
                return (Refusal(code=NOT_OPEN, message="nothing is reserved for the order: it has ended"),)
            around = surroundings(connection, order, self._clock())
            price = own_price(terms) or around.last_price or stands.price
            needed = stands.with_change(terms.quantity, price)
            asked, own = needed.pending(order.symbol), stands.pending(order.symbol)
            plan = self._plans.of_change(order, terms, raises=needed != stands)
            refusals = self._judge(connection, Subject(order, terms, self._clock(), asked, own), around, plan)
            if not refusals and needed != stands:
                reservations.change(connection, order.order_id, needed)
        return refusals

    def withdraw_amendment(self, order: Order, change: Amendment) -> None:
        """The change was certainly not made: what `check_amendment` reserved for it alone is free again."""
        terms = change.applied_to(order)
        with self._database.write() as connection:
            stands = reservations.standing(connection, order.order_id)
            if stands is None or stands.amended_quantity != terms.quantity:
                return
            if own_price(terms) in (None, stands.amended_price):
                price = own_price(order) or stands.price
                reservations.change(connection, order.order_id, stands.of_terms(order.quantity, price))

    def redeem(self, order: Order) -> Approved:
        """The approval of an order that `admit` approved and that has not ended. Raises `NotApproved` otherwise.

        A halt of the account that came in the meantime counts, too: what has not been sent by then is not sent. Nor is
        an order of a dry run, whoever says so: these settings, or those under which it was placed.
        """
        if order.dry_run or self._settings.execution.dry_run:
            raise NotApproved(DRY_RUN)
        with self._database.read() as connection:
            around = surroundings(connection, order, self._clock())
            if not around.is_reserved:
                raise NotApproved(f"{order.order_id}: no reservation stands for it")
            if around.state is AccountState.HALTED:
                raise NotApproved(f"the account is halted: {around.state_reason}")
            if around.state is AccountState.REDUCING and not _reduces(connection, order):
                raise NotApproved(f"the account only takes orders that reduce a position: {around.state_reason}")
        return approve(order)

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
        return self._session_end(connection, order.created_at)

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
        )


def _reduces(connection: sa.Connection, order: Order) -> bool:
    """Whether an order whose reservation stands can only close what is held."""
    held = held_in_symbol(connection, order.account, order.symbol)
    return own_of(held, order.symbol, order.product, None).only_reduced_by(order.side, 0)
