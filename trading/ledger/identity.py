"""Whose an account is: one user of one broker, in one mode. Fixed once, and never changed by a login or a setting.

Its positions, its limits and what its book proves are of one user: with another's login, an order would go to the other
account, and that account's book would prove that it was never placed.
"""

from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.errors import WrongAccount
from durable_orders.trading.ledger.accounts import update_within
from durable_orders.trading.ledger.database import Database, changes_state
from durable_orders.trading.ledger.tables import accounts
from durable_orders.trading.orders.order import Mode

KITE = "kite"

_A = accounts.c
_IDENTITY = sa.select(_A.mode, _A.broker, _A.user_id).where(_A.account == sa.bindparam("account"))


def user_of(connection: sa.Connection, account: str) -> str | None:
    """The user at the broker; `None` before the first login."""
    return _read(connection, account)[2]


def fix_mode(database: Database, account: str, mode: Mode, at: datetime) -> None:
    """This account is of that mode, for good. Raises `WrongAccount` if it is of the other."""
    with database.read() as connection:
        known, _, _ = _read(connection, account)
    if known is None:
        with database.write(account) as connection:
            known, _, _ = _read(connection, account)
            if known is None:
                update_within(connection, account, at, mode=mode.value)
                known = mode.value
    if known != mode:
        words = f"execution.mode: is {mode}, and account {account} is a {known} account in this ledger: "
        raise WrongAccount(words + f"give the {mode} account a name of its own (`account:` in the settings)")


def must_be_user(database: Database, account: str, user: str) -> None:
    """Raises `WrongAccount` for an account that is known to be somebody else's. Only reads."""
    with database.read() as connection:
        known = user_of(connection, account)
    if known not in (None, user):
        words = f"this login is of user {user}, and account {account} is {known}'s: log in as {known}, "
        raise WrongAccount(words + f"or give {user} a home and an account of its own")


def fix_user(database: Database, account: str, user: str, at: datetime) -> None:
    """This account is that user's at Kite, for good. Raises `WrongAccount` if it is somebody else's.

    What is known already is only read, so that no lock of the ledger is in a login's way.
    """
    with database.read() as connection:
        is_new = user_of(connection, account) is None
    if is_new:
        with database.write(account) as connection:
            if user_of(connection, account) is None:
                update_within(connection, account, at, broker=KITE, user_id=user)
                changes_state(connection, account)
    must_be_user(database, account, user)


def _read(connection: sa.Connection, account: str) -> tuple[str | None, str | None, str | None]:
    found = connection.execute(_IDENTITY, {"account": account}).one_or_none()
    return (None, None, None) if found is None else (found[0], found[1], found[2])
