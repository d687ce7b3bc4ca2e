"""What the ledger knows of the account when it is asked what plans claim of a position (`trading/plans/claims.py`)."""

from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.plans import orders_of_plan
from durable_orders.trading.ledger.tables import fills, orders, plans, position_entries, positions, reservations
from durable_orders.trading.orders.order import Side
from durable_orders.trading.plans import claims
from durable_orders.trading.plans.claims import BY_HAND, ByOthers, Claim, Line
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.standing import refreshed
from durable_orders.trading.plans.state import PlanState


class LedgerBooks:
    """As one transaction sees it. A `claims.Books`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def plans(self, intent: PlanIntent, side: Side, since: datetime | None = None) -> list[PlanState]:
        is_asked = plans.c.is_open if since is None else plans.c.is_open | (plans.c.updated_at >= since)
        own = (plans.c.account == intent.account) & (plans.c.symbol == intent.symbol)
        rows = self._connection.execute(sa.select(plans.c.state).where(own, is_asked)).scalars()
        found = [PlanState.model_validate_json(row) for row in rows]
        alike = [each for each in found if (each.intent.product, each.intent.side) == (intent.product, side)]
        return [self._now(each) for each in alike if not each.refusals]

    def refreshed(self, state: PlanState) -> PlanState:
        return self._now(state.model_copy(deep=True))

    def _now(self, state: PlanState) -> PlanState:
        return refreshed(state, orders_of_plan(self._connection, state.intent))

    def net(self, intent: PlanIntent) -> int:
        position = (positions.c.account == intent.account) & (positions.c.symbol == intent.symbol)
        asked = sa.select(positions.c.quantity).where(position, positions.c.product == intent.product.value)
        return int(self._connection.execute(asked).scalar_one_or_none() or 0)

    def others(self, intent: Claim, since: datetime, until: datetime) -> int:
        """Entries without an order are counted, too."""
        since = since.replace(microsecond=0)  # exchanges tell whole seconds
        signed = sa.case((fills.c.side == intent.exit_side.value, fills.c.quantity), else_=-fills.c.quantity)
        asked = (
            sa.select(orders.c.client_order_id, orders.c.reason, sa.func.sum(signed))
            .join(orders, orders.c.order_id == fills.c.order_id)
            .where(fills.c.account == intent.account, fills.c.symbol == intent.symbol, fills.c.at.between(since, until))
            .where(fills.c.product == intent.product.value, orders.c.strategy.in_((*BY_HAND, intent.strategy)))
            .group_by(orders.c.order_id, orders.c.client_order_id, orders.c.reason)
        )
        rows = self._connection.execute(asked).all()
        own = (row for row in rows if not claims.is_of_a_plan(row[0], row[1]))
        traded = sum(int(net) for _, _, net in own)
        entry, by = position_entries.c, (*BY_HAND, intent.strategy)
        entered = sa.select(sa.func.sum(entry.quantity)).where(
            *(entry.account == intent.account, entry.symbol == intent.symbol, entry.product == intent.product.value),
            *(entry.at.between(since, until), entry.strategy.is_(None) | entry.strategy.in_(by)),
        )
        moved = self._connection.execute(entered).scalar_one_or_none() or 0
        return traded - int(moved) * intent.side.sign

    def open_exits(self, intent: PlanIntent) -> dict[str, int]:
        standing = reservations.c
        asked = sa.select(standing.order_id, standing.quantity).where(
            *(standing.account == intent.account, standing.symbol == intent.symbol),
            *(standing.product == intent.product.value, standing.side == intent.exit_side.value),
            standing.released_at.is_(None),
        )
        return {own: int(quantity) for own, quantity in self._connection.execute(asked)}


def unclaimed(connection: sa.Connection, intent: PlanIntent, held: int) -> int:
    return claims.unclaimed(LedgerBooks(connection), intent, held)


def claim_problem(connection: sa.Connection, intent: PlanIntent, held: int) -> str | None:
    return claims.claim_problem(LedgerBooks(connection), intent, held)


def closed_by_others(connection: sa.Connection, told: PlanState) -> ByOthers:
    return claims.closed_by_others(LedgerBooks(connection), told)


def excess_left(connection: sa.Connection, intent: PlanIntent, excess: int) -> int:
    return claims.excess_left(LedgerBooks(connection), intent, excess)


def closed_of_line(connection: sa.Connection, line: Line, quantity: int, ours: int, since: datetime) -> int:
    return claims.closed_of_line(LedgerBooks(connection), line, quantity, ours, since)
