"""Circuit breakers: what the day's fills, a risk flag or the broker's own words stop, once each, and say so.

A trip is entered in the transaction that caused it, with its event, so it can neither be lost nor come twice. What it
does to open orders is `guardian.on_trip`: the account's watch is told of it and sees to that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.config.settings import OnTrip, RealizedBy
from durable_orders.trading.guardian.checks.account import DayLimit, DayResult
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger import results
from durable_orders.trading.ledger.accounts import AccountState, Permission, tighten
from durable_orders.trading.ledger.flags import RiskFlag, record_raised_flag
from durable_orders.trading.ledger.trips import Trip, enter

RISK_FLAG = "RISK_FLAG"
BROKER_REFUSALS = "BROKER_REFUSALS"


@dataclass(frozen=True, slots=True)
class Today:
    """The day's result, read when it is asked for."""

    connection: sa.Connection
    account: str
    since: datetime
    by: RealizedBy

    def realized_today(self) -> Decimal:
        return results.realized_since(self.connection, self.account, self.since, self.by)

    def losses_in_a_row(self) -> int:
        return results.losses_in_a_row(self.connection, self.account, self.since, self.by)


class DayBreakers:
    """The limits on the day's result, held against every fill that is booked.

    One that trips leaves the account REDUCING until midnight, IST, or until it is resumed by hand. A resumed account
    still takes no new risk while it is beyond the limit: the check of every order sees to that.
    """

    def __init__(self, limits: Sequence[DayLimit], response: OnTrip, by: RealizedBy) -> None:
        """`by` is how profit is realized that counts."""
        self._limits = tuple(limits)
        self._by = by
        self._response = response

    def __bool__(self) -> bool:
        return bool(self._limits)

    @property
    def limits(self) -> tuple[DayLimit, ...]:
        return self._limits

    def realized(self, connection: sa.Connection, account: str, now: datetime) -> Decimal:
        """The day's result so far, in rupees."""
        return Today(connection, account, start_of_day(now), self._by).realized_today()

    def after_fills(self, connection: sa.Connection, account: str, now: datetime) -> list[Trip]:
        """In the transaction that booked fills: the breakers that trip with them."""
        if not self._limits:
            return []
        today = Today(connection, account, start_of_day(now), self._by)
        trips = day_trips(self._limits, today, account, now, self._response)
        return [trip for trip in trips if tripping(connection, trip, AccountState.REDUCING, end_of_day(now))]


def day_trips(
    limits: Iterable[DayLimit], day: DayResult, account: str, now: datetime, response: OnTrip
) -> Iterator[Trip]:
    """Those that the day's result is beyond now. The key of each comes once a day, IST: one that has tripped already
    is no news."""
    for limit in limits:
        if (failure := limit.exceeded(day)) is not None:
            yield Trip(
                account=account,
                key=f"{start_of_day(now):%Y-%m-%d} {limit.code}",
                cause=limit.code,
                message=failure.message,
                response=response,
                at=now,
            )


def end_of_day(now: datetime) -> datetime:
    """Until when such a trip stands: midnight, IST."""
    return start_of_day(now) + timedelta(days=1)


def tripping(connection: sa.Connection, trip: Trip, state: AccountState, until: datetime | None = None) -> bool:
    """Enter the trip and let the account trade only so far; one of a strategy leaves the account as it is, and is seen
    to by the check of each of its orders. Whether it is new."""
    if not enter(connection, trip):
        return False
    if trip.strategy is not None:
        return True
    who = f"by the breaker {trip.cause}"
    tighten(connection, trip.account, Permission(state, trip.message, who, trip.at, until), trip.at)
    return True


def flag_raised(connection: sa.Connection, account: str, flag: RiskFlag, response: OnTrip) -> bool:
    """Put a risk flag up: as long as it stands, only orders that reduce a position pass. Whether it was down before.

    Raises `ValueError` without a reason.
    """
    if not record_raised_flag(connection, account, flag):
        return False
    moment = flag.at.astimezone(IST).isoformat(timespec="milliseconds")
    return enter(
        connection,
        Trip(
            account=account,
            key=f"{moment} {RISK_FLAG} {flag.name}",
            cause=RISK_FLAG,
            message=f"{flag.name}, by {flag.who}: {flag.reason}",
            response=response,
            at=flag.at,
        ),
    )
