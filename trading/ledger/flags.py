"""Risk flags: raised by an operator or by a strategy's own risk engine, each with its reason, until it is cleared."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import risk_flags
from durable_orders.trading.orders.events import EventType


@dataclass(frozen=True, slots=True)
class RiskFlag:
    name: str
    reason: str
    who: str
    at: datetime


_OF_ACCOUNT = (
    sa.select(*(risk_flags.c[name] for name in RiskFlag.__slots__))
    .where(risk_flags.c.account == sa.bindparam("account"))
    .order_by(risk_flags.c.at, risk_flags.c.name)
)


def flags_of(connection: sa.Connection, account: str) -> list[RiskFlag]:
    """The flags that stand, oldest first."""
    return [RiskFlag(*row) for row in connection.execute(_OF_ACCOUNT, {"account": account})]


def record_raised_flag(connection: sa.Connection, account: str, flag: RiskFlag) -> bool:
    """Put the flag up. Whether it was down before; one that stands gets the new reason."""
    if not flag.reason.strip():
        raise ValueError("reason: a risk flag needs one")
    known = {each.name: each for each in flags_of(connection, account)}.get(flag.name)
    row = {name: getattr(flag, name) for name in RiskFlag.__slots__}
    if known is not None and known.reason == flag.reason:
        return False
    upsert(connection, risk_flags, [row | {"account": account}])
    words = f"risk flag {flag.name} is up, by {flag.who}: {flag.reason}"
    add_event(connection, account, EventType.RISK_FLAG, words, flag.at)
    return known is None


def record_cleared_flag(connection: sa.Connection, account: str, name: str, who: str, at: datetime) -> bool:
    """Take the flag down. Whether it was up."""
    own = (risk_flags.c.account == account) & (risk_flags.c.name == name)
    if connection.execute(sa.delete(risk_flags).where(own)).rowcount == 0:
        return False
    add_event(connection, account, EventType.RISK_FLAG, f"risk flag {name} is down, by {who}", at)
    return True
