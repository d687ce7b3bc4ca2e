"""What plans claim of a position, and what of it others have closed.

A plan's position is a part of the account's: another strategy may be on the other side of it, and plans of both sides
may add up to nothing. So an account that is flat does not say that a plan's position is gone: it is, as far as the
account has less than its plans claim, and somebody who is no plan has closed that much.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger.plans import orders_of_plan
from durable_orders.trading.ledger.tables import fills, orders, plans, position_entries, positions, reservations
from durable_orders.trading.orders.order import CLOSING, Side, plan_of
from durable_orders.trading.orders.position_entry import OUTSIDE
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.standing import is_over, refreshed
from durable_orders.trading.plans.state import PlanState

END = datetime.max.replace(tzinfo=UTC)
BY_HAND = (OUTSIDE, "twin", "unwind", "manual")
"""The strategies of whom closes positions that are not his own: a human, the broker's risk management, a flatten."""


def unclaimed(connection: sa.Connection, intent: PlanIntent, held: int) -> int:
    """How much of what can be closed, `held`, is closed by no open exit yet, and by no plan's next one."""
    standing = reservations.c
    asked = sa.select(standing.order_id, standing.quantity).where(
        *(standing.account == intent.account, standing.symbol == intent.symbol),
        *(standing.product == intent.product.value, standing.side == intent.exit_side.value),
        standing.released_at.is_(None),
    )
    working = {own: int(quantity) for own, quantity in connection.execute(asked)}
    claimed = 0
    for state in _plans(connection, intent, intent.side):
        exits = sum(working.pop(child.order.order_id, 0) for child in state.exits())
        claimed += max(state.exposed, exits)
    return max(held - claimed - sum(working.values()), 0)


class ByOthers(NamedTuple):
    """What others have closed of a plan since it began, beyond what it knows of."""

    missing: int = 0
    """Of what it holds."""
    oversold: int = 0
    """Of what its exits have closed after that."""


def closed_by_others(connection: sa.Connection, told: PlanState) -> ByOthers:
    """Plans of one side share what is missing: the oldest one first. What was oversold is of the exit that traded
    last."""
    intent = told.intent
    if told.refusals or not (told.exposed or told.closed):
        return ByOthers()
    same = {state.intent.plan_id: state for state in _plans(connection, intent, intent.side, told.created_at)}
    own = same[intent.plan_id] = refreshed(told.model_copy(deep=True), orders_of_plan(connection, intent))
    there, lost = _there(connection, intent), {name: state.lost for name, state in same.items()}
    claims = {name: 0 if is_over(state) else state.exposed for name, state in same.items()}
    claims[intent.plan_id] = min(own.exposed, told.exposed)
    left, missing = sum(claims.values()) - max(there, 0), 0
    for name, state in sorted(same.items(), key=lambda each: (each[1].created_at, each[0])):
        missing = max(min(left, claims[name], _unshared(connection, same, state, lost)), 0) if left > 0 else 0
        left, lost[name] = left - missing, lost[name] + missing
        if state is own:
            break
    traded_at = _traded_at(own)
    if there >= 0 or traded_at is None or any((_traded_at(state) or traded_at) > traded_at for state in same.values()):
        return ByOthers(missing)
    return ByOthers(missing, max(min(-there, own.closed, _unshared(connection, same, own, lost, traded_at)), 0))


def _unshared(
    connection: sa.Connection, same: dict[str, PlanState], own: PlanState, lost: dict[str, int], until: datetime = END
) -> int:
    """What others have closed since the plan began that no plan has let go of. What an older plan has let go of may
    have been closed before this one began: so it counts only against what was closed since that one did."""
    older = [state.created_at for state in same.values() if state.created_at <= own.created_at]
    let_go = {
        since: sum(lost[name] for name, state in same.items() if since <= state.created_at <= until) for since in older
    }
    return min(_others(connection, own.intent, since, until) - gone for since, gone in let_go.items())


def _traded_at(state: PlanState) -> datetime | None:
    """When one of its exits traded last."""
    return max((fill.at for child in state.exits() for fill in child.order.fills), default=None)


def excess_left(connection: sa.Connection, intent: PlanIntent, excess: int) -> int:
    """How much of it is still there, where more went out of a plan than came in: the account lacks it."""
    claimed = sum(state.exposed for state in _plans(connection, intent, intent.side))
    return min(max(claimed - _there(connection, intent), 0), excess)


def _plans(connection: sa.Connection, intent: PlanIntent, side: Side, since: datetime | None = None) -> list[PlanState]:
    """The account's open plans on that side of the intent's position, with their orders as they are now; with `since`,
    those that have ended later, too."""
    is_asked = plans.c.is_open if since is None else plans.c.is_open | (plans.c.updated_at >= since)
    asked = sa.select(plans.c.state).where(plans.c.account == intent.account, plans.c.symbol == intent.symbol, is_asked)
    found = [PlanState.model_validate_json(row) for row in connection.execute(asked).scalars()]
    alike = [each for each in found if (each.intent.product, each.intent.side) == (intent.product, side)]
    return [refreshed(each, orders_of_plan(connection, each.intent)) for each in alike if not each.refusals]


def _there(connection: sa.Connection, intent: PlanIntent) -> int:
    """What the account has on the plan's side, before the plans of the other side are set off against it."""
    position = (positions.c.account == intent.account) & (positions.c.symbol == intent.symbol)
    asked = sa.select(positions.c.quantity).where(position, positions.c.product == intent.product.value)
    net = connection.execute(asked).scalar_one_or_none() or 0
    other = sum(state.exposed for state in _plans(connection, intent, intent.exit_side))
    return int(net) * intent.side.sign + other


def _others(connection: sa.Connection, intent: PlanIntent, since: datetime, until: datetime) -> int:
    """What orders of no plan, and entries without an order, have closed in that time, less what they opened. Of other
    strategies nothing counts: what those do is their own position."""
    since = since.replace(microsecond=0)  # exchanges tell whole seconds
    signed = sa.case((fills.c.side == intent.exit_side.value, fills.c.quantity), else_=-fills.c.quantity)
    asked = (
        sa.select(orders.c.client_order_id, orders.c.reason, sa.func.sum(signed))
        .join(orders, orders.c.order_id == fills.c.order_id)
        .where(fills.c.account == intent.account, fills.c.symbol == intent.symbol, fills.c.at.between(since, until))
        .where(fills.c.product == intent.product.value, orders.c.strategy.in_((*BY_HAND, intent.strategy)))
        .group_by(orders.c.order_id, orders.c.client_order_id, orders.c.reason)
    )
    rows = connection.execute(asked).all()
    traded = sum(int(net) for own, reason, net in rows if plan_of(own) is None and not _closes_excess(own, reason))
    entry = position_entries.c
    entered = sa.select(sa.func.sum(entry.quantity)).where(
        *(entry.account == intent.account, entry.symbol == intent.symbol, entry.product == intent.product.value),
        *(entry.at.between(since, until), entry.strategy.is_(None) | entry.strategy.in_((*BY_HAND, intent.strategy))),
    )
    moved = connection.execute(entered).scalar_one_or_none() or 0
    return traded - int(moved) * intent.side.sign


def _closes_excess(own: str, reason: str) -> bool:
    """Whether it is a plan's own order that closes what went out too much."""
    return own.startswith(CLOSING) and reason.startswith(f"plan {own.removeprefix(CLOSING).rpartition('-')[0]}:")
