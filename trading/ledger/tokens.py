"""Tokens of the API: a name, a role and an end. The text of a token is given once, and only its SHA-256 is kept."""

import secrets
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import sqlalchemy as sa
from pydantic import AwareDatetime

from durable_orders.trading.errors import RefusedError
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import api_tokens
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Frozen, Name

PREFIX = "do_"
"""So that a token can be told from other secrets, by people and by scanners of source code."""
BYTES = 32


class Role(StrEnum):
    """What somebody may do; each may do what those before it may."""

    READ = "read"
    """See everything."""
    PROPOSE = "propose"
    """Propose orders, each of which waits for somebody else's approval."""
    TRADE = "trade"
    """Place, amend and cancel orders, and approve proposed ones."""
    HALT = "halt"
    """Halt, resume and flatten the account, raise and clear flags."""

    def includes(self, other: "Role") -> bool:
        return list(Role).index(self) >= list(Role).index(other)


class Token(Frozen):
    """What is known of a token, but for its text."""

    name: Name
    role: Role
    created_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    """`None` for one that ends only when it is revoked."""
    revoked_at: AwareDatetime | None

    def is_good(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_SHOWN = [api_tokens.c[name] for name in Token.model_fields]


def digest(text: str) -> str:
    """How a secret of full strength is kept: it has 256 bits, so nothing slower is needed."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def create_token(
    connection: sa.Connection,
    account: str,
    name: Name,
    role: Role,
    who: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Keep a new token, and give its text. Raises `RefusedError` if a good one of that name is there."""
    known = {each.name: each for each in tokens_of(connection, account)}.get(name)
    if known is not None and known.is_good(now):
        raise RefusedError(f"name: there is a token {name}; revoke it first")
    text = PREFIX + secrets.token_urlsafe(BYTES)
    row = {"account": account, "name": name, "hash": digest(text), "role": role.value, "created_by": who}
    upsert(connection, api_tokens, [row | {"created_at": now, "expires_at": expires_at, "revoked_at": None}])
    until = f" until {expires_at.astimezone(IST):%d %B %Y %H:%M} IST" if expires_at else ""
    add_event(connection, account, EventType.DESK_ACTION, f"token {name} may {role}{until}, {who}", now)
    return text


def revoke_token(connection: sa.Connection, account: str, name: str, who: str, now: datetime) -> None:
    """From now on it opens nothing. Raises `RefusedError` if there is no good token of that name."""
    own = (api_tokens.c.account == account) & (api_tokens.c.name == name) & api_tokens.c.revoked_at.is_(None)
    if connection.execute(sa.update(api_tokens).where(own).values(revoked_at=now)).rowcount == 0:
        raise RefusedError(f"name: no token {name[:64]}")
    add_event(connection, account, EventType.DESK_ACTION, f"token {name} is revoked, {who}", now)


def tokens_of(connection: sa.Connection, account: str) -> list[Token]:
    """All of the account, those that are over too, by name."""
    asked = sa.select(*_SHOWN).where(api_tokens.c.account == account).order_by(api_tokens.c.name)
    return [Token(**row) for row in connection.execute(asked).mappings()]


def token_of(connection: sa.Connection, account: str, text: str, now: datetime) -> Token | None:
    """The token with that text; `None` if there is none, or it is over."""
    asked = sa.select(*_SHOWN).where(api_tokens.c.account == account, api_tokens.c.hash == digest(text))
    row = connection.execute(asked).mappings().one_or_none()
    found = Token(**row) if row is not None else None
    return found if found is not None and found.is_good(now) else None
