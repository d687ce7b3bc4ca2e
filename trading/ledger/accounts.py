"""What the ledger knows of an account: how far it may trade, and when its watch last read the broker's book."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from trading.ledger.database import Database
from trading.ledger.rows import upsert
from trading.ledger.tables import accounts


class AccountState(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    """Only orders that reduce a position."""
    HALTED = "HALTED"
    """No orders."""


@dataclass(frozen=True, slots=True)
class Permission:
    """How far an account may trade."""

    state: AccountState = AccountState.ACTIVE
    reason: str = ""
    """Why it may not trade freely."""


NEW = {"state": AccountState.ACTIVE.value, "halt_reason": "", "book_read_at": None}

_OWN = accounts.c.account == sa.bindparam("account")
_STATE = sa.select(accounts.c.state, accounts.c.halt_reason).where(_OWN)
_BOOK_READ_AT = sa.select(accounts.c.book_read_at).where(_OWN)


def set_state(database: Database, account: str, state: AccountState, reason: str, at: datetime) -> None:
    """Let the account trade so far from now on. Raises `ValueError` for REDUCING or HALTED without a reason."""
    if state is not AccountState.ACTIVE and not reason.strip():
        raise ValueError("reason: a halt needs one")
    _update(database, account, at, state=state.value, halt_reason=reason)


def set_halt(database: Database, account: str, reason: str | None, at: datetime) -> None:
    """Halt the account for that reason, or resume it with `None`. Raises `ValueError` for an empty reason."""
    state = AccountState.ACTIVE if reason is None else AccountState.HALTED
    set_state(database, account, state, reason or "", at)


def permission_of(connection: sa.Connection, account: str) -> Permission:
    """How far the account may trade; freely, if nothing was ever said."""
    row = connection.execute(_STATE, {"account": account}).one_or_none()
    return Permission() if row is None else Permission(AccountState(row.state), row.halt_reason)


def halt_reason(connection: sa.Connection, account: str) -> str | None:
    """Why the account is halted; `None` if it is not."""
    permission = permission_of(connection, account)
    return permission.reason if permission.state is AccountState.HALTED else None


def book_read(database: Database, account: str, at: datetime) -> None:
    """The account's watch has read the broker's book, whole, at that moment."""
    _update(database, account, at, book_read_at=at)


def last_book_read(connection: sa.Connection, account: str) -> datetime | None:
    """When the broker's book was last read; `None` if it never was."""
    return connection.execute(_BOOK_READ_AT, {"account": account}).scalar_one_or_none()


def _update(database: Database, account: str, at: datetime, **changes: Any) -> None:
    with database.write() as connection:
        known = connection.execute(sa.select(accounts).where(accounts.c.account == account)).mappings().one_or_none()
        row = dict(known) if known is not None else {"account": account, **NEW}
        upsert(connection, accounts, [row | changes | {"updated_at": at}])
