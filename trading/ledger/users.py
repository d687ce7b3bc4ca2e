"""Who may log in to the page, and their sessions. Of a password its owner's hash is kept, of a session its SHA-256."""

import secrets
from datetime import datetime

import sqlalchemy as sa
from pydantic import AwareDatetime

from durable_orders.trading.errors import RefusedError
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import page_sessions, page_users
from durable_orders.trading.ledger.tokens import Role, digest
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Frozen, Name


class User(Frozen):
    """Somebody who may log in."""

    name: Name
    role: Role
    created_by: str
    created_at: AwareDatetime


_SHOWN = [page_users.c[name] for name in User.model_fields]


def put_user(
    connection: sa.Connection, account: str, name: Name, role: Role, password_hash: str, who: str, now: datetime
) -> None:
    """Let somebody log in, with that hash of their password. One who is known gets the new role and password, and is
    logged out everywhere."""
    _log_out_everywhere(connection, account, name)
    row = {"account": account, "name": name, "role": role.value, "password_hash": password_hash}
    upsert(connection, page_users, [row | {"created_by": who, "created_at": now}])
    add_event(connection, account, EventType.DESK_ACTION, f"user {name} may {role}, {who}", now)


def remove_user(connection: sa.Connection, account: str, name: str, who: str, now: datetime) -> None:
    """Log them out everywhere, for good. Raises `RefusedError` if there is no such user."""
    _log_out_everywhere(connection, account, name)
    own = (page_users.c.account == account) & (page_users.c.name == name)
    if connection.execute(sa.delete(page_users).where(own)).rowcount == 0:
        raise RefusedError(f"name: no user {name[:64]}")
    add_event(connection, account, EventType.DESK_ACTION, f"user {name} is removed, {who}", now)


def users_of(connection: sa.Connection, account: str) -> list[User]:
    asked = sa.select(*_SHOWN).where(page_users.c.account == account).order_by(page_users.c.name)
    return [User(**row) for row in connection.execute(asked).mappings()]


def password_hash_of(connection: sa.Connection, account: str, name: str) -> str | None:
    """`None` if there is no such user."""
    own = (page_users.c.account == account) & (page_users.c.name == name)
    return connection.execute(sa.select(page_users.c.password_hash).where(own)).scalar_one_or_none()


def log_in(connection: sa.Connection, account: str, name: str, now: datetime, until: datetime) -> str:
    """Begin a session of a user, and give its secret. Those of the account that are over are forgotten."""
    is_over = (page_sessions.c.account == account) & (page_sessions.c.expires_at <= now)
    connection.execute(sa.delete(page_sessions).where(is_over))
    secret = secrets.token_urlsafe(32)
    row = {"hash": digest(secret), "account": account, "name": name, "created_at": now, "expires_at": until}
    connection.execute(sa.insert(page_sessions).values(**row))
    add_event(connection, account, EventType.DESK_ACTION, f"user {name} has logged in", now)
    return secret


def log_out(connection: sa.Connection, secret: str) -> None:
    connection.execute(sa.delete(page_sessions).where(page_sessions.c.hash == digest(secret)))


def user_of_session(connection: sa.Connection, account: str, secret: str, now: datetime) -> User | None:
    """Whose session that is; `None` if it is over, or there is none."""
    asked = (
        sa.select(*_SHOWN)
        .join_from(
            page_sessions,
            page_users,
            (page_users.c.account == page_sessions.c.account) & (page_users.c.name == page_sessions.c.name),
        )
        .where(page_sessions.c.hash == digest(secret), page_sessions.c.account == account)
        .where(page_sessions.c.expires_at > now)
    )
    row = connection.execute(asked).mappings().one_or_none()
    return User(**row) if row is not None else None


def _log_out_everywhere(connection: sa.Connection, account: str, name: str) -> None:
    own = (page_sessions.c.account == account) & (page_sessions.c.name == name)
    connection.execute(sa.delete(page_sessions).where(own))
