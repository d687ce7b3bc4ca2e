"""What the guardian always wants to know before an order: one statement."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.ledger.accounts import AccountState, Permission
from durable_orders.trading.ledger.flags import flags_of
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import (
    accounts,
    exchange_markets,
    orders,
    position_differences,
    reservations,
    risk_flags,
    ticks,
)
from durable_orders.trading.market.request_limits import NOTHING_SENT, Sent
from durable_orders.trading.orders.order import Order


@dataclass(frozen=True, slots=True)
class Surroundings:
    state: AccountState
    """What is in force: with the account's risk flags, and without what has ended by itself."""
    state_reason: str
    last_price: Decimal | None
    """Rupees; `None` before the first tick of the symbol."""
    price_received_at: datetime | None
    market_at: datetime | None
    """What the paper market's clock showed last; `None` if the account has none."""
    is_reserved: bool
    """Whether a reservation of the order stands already."""
    has_unsettled: bool
    """Whether the outcome of any order of the account is unknown while the broker's book cannot be read."""
    has_unexplained: bool
    """Whether the broker has something else of the symbol than the ledger, and nothing explains it."""
    bid: Decimal | None = None
    ask: Decimal | None = None
    """Of the last tick. Rupees; `None` where it had none."""
    sent: Sent = NOTHING_SENT
    """What the paper exchange was sent of late."""


_ACCOUNT: sa.BindParameter[str] = sa.bindparam("account")
_NOTHING = sa.select(sa.literal_column("1").label("one")).subquery()
_STANDS = sa.exists().where(reservations.c.order_id == sa.bindparam("order_id"), reservations.c.released_at.is_(None))
_UNSETTLED = sa.exists().where(orders.c.account == _ACCOUNT, orders.c.unsettled == sa.true())
_UNEXPLAINED = sa.exists().where(
    position_differences.c.account == _ACCOUNT, position_differences.c.symbol == sa.bindparam("symbol")
)
_FLAGGED = sa.exists().where(risk_flags.c.account == _ACCOUNT)
_STATEMENT = prepared(
    sa.select(
        *(accounts.c.state, accounts.c.halt_reason, accounts.c.until, _FLAGGED.label("is_flagged")),
        *(ticks.c.last_price, ticks.c.received_at, exchange_markets.c.market_at),
        *(_STANDS.label("is_reserved"), _UNSETTLED.label("has_unsettled")),
        *(_UNEXPLAINED.label("has_unexplained"), ticks.c.bid, ticks.c.ask),
        *(exchange_markets.c.minute, exchange_markets.c.minute_requests),
        *(exchange_markets.c.day, exchange_markets.c.day_orders),
    ).select_from(
        _NOTHING.outerjoin(accounts, accounts.c.account == _ACCOUNT)
        .outerjoin(ticks, (ticks.c.account == _ACCOUNT) & (ticks.c.symbol == sa.bindparam("symbol")))
        .outerjoin(exchange_markets, exchange_markets.c.account == _ACCOUNT)
    )
)


def surroundings(connection: sa.Connection, order: Order, now: datetime) -> Surroundings:
    own = {"account": order.account, "symbol": order.symbol, "order_id": order.order_id}
    state, reason, until, is_flagged, *rest, minute, requests, day, of_day = connection.execute(_STATEMENT, own).one()
    recorded = Permission(AccountState(state or AccountState.ACTIVE), reason or "", until=until)
    permission = recorded.at(now, flags_of(connection, order.account) if is_flagged else ())
    sent = Sent(minute, requests or 0, day, of_day or 0)
    return Surroundings(permission.state, permission.reason, *[*rest, sent])
