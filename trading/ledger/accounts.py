"""What the ledger knows of an account: whether it is halted, and when its watch last read the broker's book."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trading.ledger.database import Database
from trading.ledger.rows import upsert
from trading.ledger.tables import accounts

NEW = {"halted": False, "halt_reason": "", "book_read_at": None}

_OWN = accounts.c.account == sa.bindparam("account")
_HALT = sa.select(accounts.c.halt_reason).where(_OWN, accounts.c.halted)
_BOOK_READ_AT = sa.select(accounts.c.book_read_at).where(_OWN)


def set_halt(database: Database, account: str, reason: str | None, at: datetime) -> None:
    """Halt the account for that reason, or resume it with `None`. Raises `ValueError` for an empty reason."""
    if reason is not None and not reason.strip():
        raise ValueError("reason: a halt needs one")
    _update(database, account, at, halted=reason is not None, halt_reason=reason or "")


def halt_reason(connection: sa.Connection, account: str) -> str | None:
    """Why the account is halted; `None` if it is not."""
    return connection.execute(_HALT, {"account": account}).scalar_one_or_none()


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
