"""Indices that give the journal's orders without a fill in its order, whatever part of it is chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"

UNFILLED = "filled_quantity = 0"
FILLED_IN_PART = "filled_quantity <> 0 AND status <> 'FILLED'"


def upgrade() -> None:
    for column in ("symbol", "strategy", "status"):
        own = ["account", column, "updated_at", "order_id"]
        where = sa.text(UNFILLED)
        op.create_index(f"ix_orders_unfilled_{column}", "orders", own, sqlite_where=where, postgresql_where=where)
    where = sa.text(FILLED_IN_PART)
    own = ["account", "status", "strategy", "symbol", "order_id"]
    op.create_index("ix_orders_filled_in_part", "orders", own, sqlite_where=where, postgresql_where=where)
