"""What strategies keep: their state, when their timers were last called, and what they asked for meanwhile.

One row a strategy, written in one piece after a callback: so state that says "entered" is never without the order that
it speaks of, whenever the run dies.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import strategy_states as table
from durable_orders.trading.orders.order import Amendment, Frozen, OrderIntent, Product
from durable_orders.trading.plans.kinds import AnyIntent
from durable_orders.trading.plans.plan import PlanChange


class KeptClose(Frozen):
    """A position of the strategy's that is to be closed: of a symbol and a product, or all where that is `None`."""

    symbol: str | None
    product: Product | None
    reason: str


class KeptChange(Frozen):
    """A change of a working order."""

    client_order_id: str
    change: Amendment


class KeptPlanCancel(Frozen):
    """A plan that is to end."""

    plan_id: str
    reason: str
    flatten: bool


class KeptPlanChange(Frozen):
    plan_id: str
    change: PlanChange


class KeptOrders(Frozen):
    """What a callback asked for."""

    placed: tuple[OrderIntent, ...] = ()
    cancelled: tuple[str, ...] = ()
    """Client order ids."""
    changed: tuple[KeptChange, ...] = ()
    closed: tuple[KeptClose, ...] = ()
    plans: tuple[AnyIntent, ...] = ()
    plans_cancelled: tuple[KeptPlanCancel, ...] = ()
    plans_changed: tuple[KeptPlanChange, ...] = ()
    plans_told: Mapping[str, str] = {}
    """How the strategy's open plans stood when it was told of them: by id, a digest."""
    told: int | None = None
    """The last event of the feed of which the strategy has heard; 0 before the first, `None` where that is not known.
    """


class Kept(NamedTuple):
    state: str
    """JSON."""
    called: str
    """JSON."""
    asked: KeptOrders
    updated_at: datetime
    """On the wall's clock."""


def kept_of(connection: sa.Connection, account: str, strategy: str) -> Kept | None:
    """`None` for a strategy that has never kept anything."""
    own = (table.c.account == account) & (table.c.strategy == strategy)
    row = connection.execute(sa.select(table).where(own)).one_or_none()
    if row is None:
        return None
    return Kept(row.state, row.called, KeptOrders.model_validate_json(row.asked), row.updated_at)


def keep(connection: sa.Connection, account: str, strategy: str, kept: Kept) -> None:
    """In place of what was kept before."""
    content = {"state": kept.state, "called": kept.called, "asked": kept.asked.model_dump_json()}
    own = {"account": account, "strategy": strategy, "updated_at": kept.updated_at}
    upsert(connection, table, [own | content])
