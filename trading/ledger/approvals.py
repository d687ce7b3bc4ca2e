"""How many orders were approved, by period and by what they are: one statement, whatever is counted.

An order is counted from its approval on, in the transaction that approves the next, so that no number of workers can
pass a limit together. A trade is an order that has filled, at least in part, or still may.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import reservations
from durable_orders.trading.orders.order import Order


class Kind(StrEnum):
    ORDERS = "orders"
    TRADES = "trades"
    OPEN = "open orders"
    ALIKE = "orders alike"
    """The same strategy, symbol, side and quantity; one that ended without a fill is none."""


class Scope(StrEnum):
    ACCOUNT = "account"
    STRATEGY = "strategy"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted, of everything that the order shares the scope with."""

    kind: Kind
    scope: Scope = Scope.ACCOUNT
    seconds: float | None = None
    """The last so many; `None` for the day, which begins at midnight in IST. Open orders count however old."""


def counted(
    connection: sa.Connection, wanted: Collection[Count], order: Order, now: datetime, today: datetime
) -> Mapping[Count, int]:
    """Each count, without the order itself. `today` is when the day began."""
    chosen = tuple(wanted)
    if not chosen:
        return {}
    since = {
        f"since_{number}": today if count.seconds is None else now - timedelta(seconds=count.seconds)
        for number, count in enumerate(chosen)
    }
    own = {
        "account": order.account,
        "strategy": order.strategy,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": order.quantity,
    }
    return dict(zip(chosen, connection.execute(_statement(chosen), own | since).one(), strict=True))


@cache
def _statement(wanted: tuple[Count, ...]) -> sa.Select[Any]:
    columns = [
        sa.select(sa.func.count()).select_from(reservations).where(*_chosen(count, number)).scalar_subquery()
        for number, count in enumerate(wanted)
    ]
    return prepared(sa.select(*columns))


def _chosen(count: Count, number: int) -> list[sa.ColumnElement[bool]]:
    r = reservations.c
    same = dict.fromkeys(("account", *([] if count.scope is Scope.ACCOUNT else [count.scope.value])))
    if count.kind is Kind.ALIKE:
        same |= dict.fromkeys(("strategy", "symbol", "side"))
    chosen = [r[name] == sa.bindparam(name) for name in same]
    if count.kind is Kind.OPEN:
        return [*chosen, r.released_at.is_(None)]
    chosen.append(r.reserved_at > sa.bindparam(f"since_{number}", type_=r.reserved_at.type))
    if count.kind is Kind.ALIKE:
        chosen.append(r.quantity + r.filled == sa.bindparam("quantity"))
    if count.kind is not Kind.ORDERS:
        chosen.append(r.released_at.is_(None) | (r.filled > 0))
    return chosen
