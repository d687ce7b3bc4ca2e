"""Indices that give lists and the journal in their order: a year of trading is never walked through or sorted."""

from alembic import op

revision = "0004"
down_revision = "0003"

OLD = {
    "ix_orders_account_status": "orders",
    "ix_orders_account_created_at": "orders",
    "ix_fills_account_at": "fills",
}
"""Beginnings of the new ones."""
NEW = {
    "orders": (
        ("account", "created_at", "order_id"),
        ("account", "status", "created_at", "order_id"),
        ("account", "symbol", "created_at", "order_id"),
        ("account", "strategy", "created_at", "order_id"),
        ("account", "filled_quantity", "updated_at", "order_id"),
    ),
    "fills": (("account", "at", "order_id", "number"), ("account", "symbol", "at", "order_id", "number")),
}


def upgrade() -> None:
    for name, table in OLD.items():
        op.drop_index(name, table)
    for table, indices in NEW.items():
        for columns in indices:
            op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
