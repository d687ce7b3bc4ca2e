"""Which home serves a live account. Two homes over one account would not know of each other's orders.

A home is a ledger and the Temporal server that its workers use. Its mark is in the ledger, in the tags of all that it
sends, and in the memo of the account's watch at the server, so that two of them meet wherever they have something in
common: at one server, at one ledger, or only in the broker's book.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from durable_orders.trading.errors import WrongAccount
from durable_orders.trading.ledger.accounts import (
    AccountState,
    Permission,
    permission_of,
    set_state_within,
    update_within,
)
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.tables import accounts
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode
from durable_orders.trading.orders.tags import mark_in, new_mark

OTHER_HOME = "another home"
"""By whose word the account is halted."""
RENEWED_EVERY = timedelta(seconds=10)
SERVED_FOR = timedelta(seconds=30)
"""So long after it was last renewed, an account is taken to be served by nobody."""

_A = accounts.c
_OWN = _A.account == sa.bindparam("account")
_MARK = sa.select(_A.mark).where(_OWN)
_SERVED = sa.select(_A.server, _A.served_at).where(_OWN)


def mark_of(connection: sa.Connection, account: str) -> str | None:
    """The mark of the home that serves the account; `None` before a live account was first served."""
    return connection.execute(_MARK, {"account": account}).scalar_one_or_none()


def fix_mark(database: Database, account: str, at: datetime) -> str:
    """The home's mark, made at the first start and never changed."""
    with database.read() as connection:
        known = mark_of(connection, account)
    if known is not None:
        return known
    with database.write(account) as connection:
        known = mark_of(connection, account) or new_mark()
        update_within(connection, account, at, mark=known)
    return known


def take_mark(database: Database, account: str, mark: str, at: datetime) -> None:
    """Of a ledger that is made anew: it is that home's."""
    with database.write(account) as connection:
        update_within(connection, account, at, mark=mark, mode=Mode.LIVE.value)


def serve(database: Database, account: str, server: str, at: datetime) -> None:
    """This account is served over that server from now on. Raises `WrongAccount` while it is over another."""
    with database.read() as connection:
        known, served_at = _served(connection, account)
    if known == server and served_at is not None and at - served_at < RENEWED_EVERY:
        return
    with database.write(account) as connection:
        known, served_at = _served(connection, account)
        if known not in (None, server) and served_at is not None and at - served_at < SERVED_FOR:
            words = f"account {account}: another home serves it over this ledger, with the server {known}"
            raise WrongAccount(f"{words}; stop that one, and start again in {SERVED_FOR.total_seconds():.0f} s")
        update_within(connection, account, at, server=server, served_at=at)


def leave(database: Database, account: str, server: str, at: datetime) -> None:
    """Nobody serves it over that server for now."""
    with database.write(account) as connection:
        if _served(connection, account)[0] == server:
            update_within(connection, account, at, served_at=None)


def stop_for_other_home(connection: sa.Connection, account: str, row: BrokerOrder, own: str, at: datetime) -> None:
    """The broker's book has an order that another home has sent: nothing more is sent from here, until a human says
    which of them serves the account. Said once."""
    standing = permission_of(connection, account, at)
    if standing.state is AccountState.HALTED and standing.who == OTHER_HOME:
        return
    other = mark_in(row.tag)
    whose = f"another home (mark {other})" if other != own else "a copy of this home"
    reason = f"{whose} serves this account: it has sent {row.broker_order_id}, {row.side} {row.quantity} {row.symbol}"
    set_state_within(connection, account, Permission(AccountState.HALTED, reason, OTHER_HOME, at))
    words = f"{reason}; nothing is sent from this home until `durable-orders resume`: stop the other one first"
    add_event(connection, account, EventType.ALERT, words, at)


def _served(connection: sa.Connection, account: str) -> tuple[str | None, datetime | None]:
    found = connection.execute(_SERVED, {"account": account}).one_or_none()
    return (None, None) if found is None else (found[0], found[1])
