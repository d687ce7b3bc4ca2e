"""What the ledger knows of an account: how far it may trade, and when its watch last read the broker's book.

Every change of how far it may trade is an event of the feed, with who, why and until when.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.flags import RiskFlag, flags_of
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import accounts
from durable_orders.trading.orders.events import EventType

BY_HAND = "by hand"
STAYS = timedelta(minutes=5)


class AccountState(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    """Only orders that reduce a position."""
    HALTED = "HALTED"
    """No orders."""


STRICTEST_LAST = tuple(AccountState)


@dataclass(frozen=True, slots=True)
class Permission:
    """How far an account may trade."""

    state: AccountState = AccountState.ACTIVE
    reason: str = ""
    """Why it may not trade freely."""
    who: str = ""
    """By whose word: an operator, a strategy, a breaker."""
    since: datetime | None = None
    until: datetime | None = None
    """When it ends by itself; `None` for never."""

    def at(self, now: datetime, flags: Sequence[RiskFlag] = ()) -> "Permission":
        """What is in force at a moment, with these flags up: what is over is over, and a flag lets only orders pass
        that reduce a position."""
        standing = self if self.until is None or now < self.until else Permission()
        if standing.state is not AccountState.ACTIVE or not flags:
            return standing
        flag = flags[0]
        return Permission(AccountState.REDUCING, f"risk flag {flag.name}: {flag.reason}", flag.who, flag.at)


NEW = {
    "state": AccountState.ACTIVE.value,
    "halt_reason": "",
    "who": "",
    "since": None,
    "until": None,
    "book_read_at": None,
    "positions_read_at": None,
    "mode": None,
    "broker": None,
    "user_id": None,
    "mark": None,
    "server": None,
    "served_at": None,
}

_OWN = accounts.c.account == sa.bindparam("account")
_STATE = prepared(
    sa.select(*(accounts.c.state, accounts.c.halt_reason, accounts.c.who, accounts.c.since, accounts.c.until)).where(
        _OWN
    )
)
_BOOK_READ_AT = prepared(sa.select(accounts.c.book_read_at).where(_OWN))


def set_state(
    database: Database,
    account: str,
    state: AccountState,
    reason: str,
    at: datetime,
    *,
    who: str = BY_HAND,
    until: datetime | None = None,
) -> None:
    """Let the account trade so far from now on, and say so in the feed. The same again changes nothing.

    Raises `ValueError` for REDUCING or HALTED without a reason.
    """
    with database.write(account) as connection:
        set_state_within(connection, account, Permission(state, reason, who, at, until))


def set_state_within(connection: sa.Connection, account: str, new: Permission) -> None:
    """The same in the caller's transaction."""
    if new.state is not AccountState.ACTIVE and not new.reason.strip():
        raise ValueError("reason: a halt needs one")
    at = new.since or datetime.now(UTC)
    known = _recorded(connection, account)
    if (known.state, known.reason, known.until) == (new.state, new.reason, new.until):
        return
    own = {"state": new.state.value, "halt_reason": new.reason, "who": new.who, "since": at, "until": new.until}
    update_within(connection, account, at, **own)
    add_event(connection, account, EventType.ACCOUNT_STATE, words_of(new), at)


def set_halt(database: Database, account: str, reason: str | None, at: datetime, *, who: str = BY_HAND) -> None:
    """Halt the account for that reason, or resume it with `None`. Raises `ValueError` for an empty reason."""
    state = AccountState.ACTIVE if reason is None else AccountState.HALTED
    set_state(database, account, state, reason or "", at, who=who)


def tighten(connection: sa.Connection, account: str, new: Permission, now: datetime) -> bool:
    """Let the account trade only so far, unless it may do even less already. Whether that was a change."""
    standing = _recorded(connection, account).at(now)
    if STRICTEST_LAST.index(standing.state) > STRICTEST_LAST.index(new.state):
        return False
    if standing.state is new.state and standing.until is None:
        return False
    set_state_within(connection, account, new)
    return True


def permission_of(connection: sa.Connection, account: str, now: datetime | None = None) -> Permission:
    """How far the account may trade now, flags considered; freely, if nothing was ever said."""
    return _recorded(connection, account).at(now or datetime.now(UTC), flags_of(connection, account))


def stay_reducing(database: Database, account: str, now: datetime) -> None:
    """Whatever its end: an account that is REDUCING until some moment stays so for some minutes more, if that is near
    or has passed. Whoever resumes it by hand ends it all the same.

    For as long as positions are being closed: orders that open others would come in between.
    """
    with database.read() as connection:
        if not _ends_soon(_recorded(connection, account), now):
            return
    with database.write(account) as connection:
        known = _recorded(connection, account)
        if not _ends_soon(known, now) or known.until is None:
            return
        is_first = known.until == start_of_day(known.until)
        update_within(connection, account, now, until=now + STAYS)
        if is_first:
            words = f"the account stays REDUCING while its positions are being closed: {known.reason}"
            add_event(connection, account, EventType.ACCOUNT_STATE, words, now)


def _ends_soon(known: Permission, now: datetime) -> bool:
    return known.state is AccountState.REDUCING and known.until is not None and known.until - now < STAYS / 2


def halt_reason(connection: sa.Connection, account: str) -> str | None:
    """Why the account is halted; `None` if it is not."""
    permission = permission_of(connection, account)
    return permission.reason if permission.state is AccountState.HALTED else None


def book_read(database: Database, account: str, at: datetime) -> None:
    """The account's watch has read the broker's book, whole, at that moment."""
    with database.write(account) as connection:
        update_within(connection, account, at, book_read_at=at)


def positions_read(connection: sa.Connection, account: str, at: datetime) -> None:
    """The broker's positions and holdings were read, whole, in a reading that began at that moment."""
    update_within(connection, account, at, positions_read_at=at)


def last_book_read(connection: sa.Connection, account: str) -> datetime | None:
    """When the broker's book was last read; `None` if it never was."""
    return connection.execute(_BOOK_READ_AT, {"account": account}).scalar_one_or_none()


def last_positions_read(connection: sa.Connection, account: str) -> datetime | None:
    """When the broker's positions were last read, whole; `None` if they never were."""
    asked = sa.select(accounts.c.positions_read_at).where(accounts.c.account == account)
    return connection.execute(asked).scalar_one_or_none()


def _recorded(connection: sa.Connection, account: str) -> Permission:
    row = connection.execute(_STATE, {"account": account}).one_or_none()
    return Permission() if row is None else Permission(AccountState(row.state), *row[1:])


def words_of(new: Permission) -> str:
    """What the event says with which the account stands so."""
    until = f", until {new.until.astimezone(IST):%d %B %H:%M} IST" if new.until else ""
    reason = f": {new.reason}" if new.reason else ""
    return f"the account is {new.state}, {new.who}{until}{reason}"


def update_within(connection: sa.Connection, account: str, at: datetime, **changes: Any) -> None:
    """Set these columns of the account's row, and keep the others."""
    known = connection.execute(sa.select(accounts).where(accounts.c.account == account)).mappings().one_or_none()
    row = dict(known) if known is not None else {"account": account, **NEW}
    upsert(connection, accounts, [row | changes | {"updated_at": at}])
