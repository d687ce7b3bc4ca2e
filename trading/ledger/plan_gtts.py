"""The exits of plans that GTTs keep, as the ledger has them."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.gtt.gtt import GttChange, GttStatus
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.reading import find_order, views_for
from durable_orders.trading.ledger.rows import chunks
from durable_orders.trading.ledger.tables import gtts as table
from durable_orders.trading.ledger.tables import plans
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.by_gtt import gtt_id, order_of, other_leg, plan_named
from durable_orders.trading.plans.kinds import AnyIntent, read_state
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.standing import is_its_own


def gtt_exits(connection: sa.Connection, intent: PlanIntent) -> list[Order]:
    """All that are named as the plan's, each told as an order."""
    if not intent.wants_gtt:
        return []
    return [order_of(state, at, _placed(connection, state)) for state, at in _named_after(connection, intent)]


def other_legs(connection: sa.Connection, intent: AnyIntent) -> dict[str, int]:
    """Of those whose other leg somebody has changed at the broker: the most that it would trade, by their ids."""
    if not isinstance(intent, PlanIntent) or not intent.by_gtt:
        return {}
    found = {state.intent.gtt_id: other_leg(intent, state) for state, _ in _named_after(connection, intent)}
    return {own: most for own, most in found.items() if most}


def left_over(connection: sa.Connection, account: str, states: Iterable[GttState]) -> list[GttChange]:
    """Deletes of those of the account's open ones that wait at the broker though their plan is over: one that was not
    placed, as it was said, may turn up as late as that."""
    waiting = list[tuple[str, GttState]]()
    for state in states:
        plan, is_going = plan_named(state.intent.gtt_id), state.change is not None and state.change.legs is None
        if plan is not None and not is_going and state.status is GttStatus.ACTIVE:
            waiting.append((plan, state))
    over = _over(connection, account, {plan for plan, _ in waiting})
    return [
        GttChange(account=account, gtt_id=state.intent.gtt_id, reason=f"by plan {plan}: it is over")
        for plan, state in waiting
        if plan in over and is_its_own(over[plan], order_of(state, state.created_at))
    ]


def _over(connection: sa.Connection, account: str, plan_ids: set[str]) -> dict[str, PlanIntent]:
    """Those of them that have ended, and have GTTs."""
    found = dict[str, PlanIntent]()
    for some in chunks(sorted(plan_ids)):
        own = (plans.c.account == account) & plans.c.plan_id.in_(some) & ~plans.c.is_open
        for plan_id, state in connection.execute(sa.select(plans.c.plan_id, plans.c.state).where(own)):
            intent = read_state(state).intent
            if isinstance(intent, PlanIntent):
                found[plan_id] = intent
    return found


def _named_after(connection: sa.Connection, intent: PlanIntent) -> list[tuple[GttState, datetime]]:
    """And when each was recorded."""
    named = gtt_id(intent.plan_id, 1, 0).removesuffix("0")
    own = (table.c.account == intent.account) & table.c.gtt_id.startswith(named, autoescape=True)
    rows = connection.execute(sa.select(table.c.state, table.c.updated_at).where(own)).all()
    return [(GttState.model_validate_json(row.state), row.updated_at) for row in rows]


def _placed(connection: sa.Connection, state: GttState) -> Order | None:
    """The order that it has placed."""
    ids = {result.order_id for result in state.results if result is not None and result.order_id is not None}
    known = views_for(connection, state.intent.account, tags=(), broker_order_ids=ids) if ids else []
    return find_order(connection, known[0].order_id) if known else None
