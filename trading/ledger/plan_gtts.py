"""The exits of plans that GTTs keep, as the ledger has them."""

import sqlalchemy as sa

from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.reading import find_order, views_for
from durable_orders.trading.ledger.tables import gtts as table
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.by_gtt import gtt_id, order_of
from durable_orders.trading.plans.plan import PlanIntent


def gtt_exits(connection: sa.Connection, intent: PlanIntent) -> list[Order]:
    """All that are named as the plan's, each told as an order."""
    if not intent.wants_gtt:
        return []
    named = gtt_id(intent.plan_id, 1, 0).removesuffix("0")
    own = (table.c.account == intent.account) & table.c.gtt_id.startswith(named, autoescape=True)
    rows = connection.execute(sa.select(table.c.state, table.c.updated_at).where(own)).all()
    found = [(GttState.model_validate_json(row.state), row.updated_at) for row in rows]
    return [order_of(state, at, _placed(connection, state)) for state, at in found]


def _placed(connection: sa.Connection, state: GttState) -> Order | None:
    """The order that it has placed."""
    ids = {result.order_id for result in state.results if result is not None and result.order_id is not None}
    known = views_for(connection, state.intent.account, tags=(), broker_order_ids=ids) if ids else []
    return find_order(connection, known[0].order_id) if known else None
