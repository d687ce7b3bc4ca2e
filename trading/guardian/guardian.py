"""The guardian: checks and reserves in one transaction, and alone makes the value that placing accepts."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from trading.errors import NotApproved
from trading.guardian import checks
from trading.guardian.approval import Approved, approve
from trading.guardian.checks import Check, Situation
from trading.guardian.verdict import Approval, Existing, Policy, Refusal, Refusals, Verdict
from trading.ledger.accounts import halt_reason
from trading.ledger.database import Database
from trading.ledger.last_ticks import last_tick
from trading.ledger.reading import events_of, fingerprint_of, unsettled_orders
from trading.ledger.recording import receive
from trading.ledger.reservations import is_reserved, reserve
from trading.market.instruments import Instruments
from trading.order import Amendment, Order, OrderType, Terms
from trading.settings import Settings

SETTLE_READS = 4
"""The settle window is divided into this many readings of the book."""

log = logging.getLogger(__name__)


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
        """`session_end(connection, moment)` is the end of the trading session at `moment`, on the wall's clock."""
        self._database = database
        self._instruments = instruments
        self._settings = settings
        self._session_end = session_end
        self._clock = clock
        self._validation = (*checks.VALIDATION, *_limits(settings))

    def admit(self, order: Order, run_id: str, fingerprint: str, place_by: datetime | None) -> Verdict:
        """Record a new order, check it and reserve what it needs, or give all the reasons against it.

        Repeating the call is harmless. An order id that an earlier workflow run used gives that order back.
        """
        with self._database.write() as connection:
            existing = receive(connection, order, run_id, fingerprint)
            if existing is not None:
                return self._known(connection, existing, fingerprint, place_by)
            deadline = place_by or self._deadline(connection, order)
            situation = self._situation(connection, order, order.account, deadline)
            refusals = (*self._not_mine(order), *_failed((*self._validation, *checks.ADMISSION), order, situation))
            if refusals:
                return Refusals(refusals=refusals)
            price = checks.order_price(order, situation.last_price) or Decimal(0)
            reserve(connection, order, price, situation.now)
            return Approval(policy=self._policy(deadline))

    def check_amendment(self, order: Order, change: Amendment) -> tuple[Refusal, ...]:
        """What speaks against the order's terms after a change."""
        try:
            terms = change.applied_to(order)
        except ValueError as error:
            return (Refusal(code="INVALID_TERMS", message=str(error)),)
        with self._database.read() as connection:
            situation = self._situation(connection, terms, order.account, self._clock())
        return _failed(self._validation, terms, situation)

    def redeem(self, order: Order) -> Approved:
        """The approval of an order that `admit` approved and that has not ended. Raises `NotApproved` otherwise.

        A halt of the account that came in the meantime counts, too: what has not been sent by then is not sent.
        """
        with self._database.read() as connection:
            if not is_reserved(connection, order.order_id):
                raise NotApproved(f"{order.order_id}: no reservation stands for it")
            if (reason := halt_reason(connection, order.account)) is not None:
                raise NotApproved(f"the account is halted: {reason}")
        return approve(order)

    def _not_mine(self, order: Order) -> tuple[Refusal, ...]:
        """An order that was meant for another account or for another kind of money than this worker's."""
        here = (self._settings.account, self._settings.execution.mode)
        if (order.account, order.mode) == here:
            return ()
        message = f"the order is for {order.account} ({order.mode}), this worker serves {here[0]} ({here[1]})"
        return (Refusal(code="WRONG_ACCOUNT", message=message),)

    def _known(
        self, connection: sa.Connection, existing: Order, fingerprint: str, place_by: datetime | None
    ) -> Existing:
        return Existing(
            order=existing,
            same_content=fingerprint_of(connection, existing.order_id) == fingerprint,
            sequence=max((event.sequence for event in events_of(connection, existing.order_id)), default=0),
            policy=self._policy(place_by or self._deadline(connection, existing)),
        )

    def _situation(self, connection: sa.Connection, terms: Terms, account: str, place_by: datetime) -> Situation:
        instrument = self._instruments.get(terms.symbol)
        tick = last_tick(connection, account, terms.symbol)
        return Situation(
            now=self._clock(),
            place_by=place_by,
            instrument=instrument,
            nearest_symbol=None if instrument else self._instruments.nearest(terms.symbol),
            last_price=tick.last_price if tick else None,
            halt_reason=halt_reason(connection, account),
            unsettled=unsettled_orders(connection, account),
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


def _limits(settings: Settings) -> list[Check]:
    """The checks that have a limit set; one without is off."""
    limits = settings.guardian
    chosen: list[Check] = []
    if limits.max_order_quantity is not None:
        chosen.append(checks.MaxOrderQuantity(limits.max_order_quantity))
    if limits.max_order_value is not None:
        chosen.append(checks.MaxOrderValue(limits.max_order_value))
    return chosen


def _failed(chosen: Sequence[Check], terms: Terms, situation: Situation) -> tuple[Refusal, ...]:
    return tuple(refusal for check in chosen if (refusal := _run(check, terms, situation)))


def _run(check: Check, terms: Terms, situation: Situation) -> Refusal | None:
    """A check that raises refuses the order: what cannot be checked is not sent."""
    try:
        message = check(terms, situation)
    except Exception as error:
        log.exception("check %s failed on %s", check.code, terms.summary())
        message = f"the check itself failed ({type(error).__name__})"
    return Refusal(code=check.code, message=message) if message else None
