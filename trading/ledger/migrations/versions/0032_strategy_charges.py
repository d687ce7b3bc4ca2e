"""What each strategy's own trades cost."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

COLUMNS = {"charges": sa.BigInteger(), "uncharged": sa.Integer()}
CHARGED = ("brokerage", "transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "stamp_duty", "gst")
COST = f"""
SELECT f.account, o.strategy, f.symbol, f.product,
    SUM(CASE WHEN f.brokerage IS NULL THEN 0 ELSE {" + ".join(f"f.{name}" for name in CHARGED)} END) AS charges,
    SUM(CASE WHEN f.brokerage IS NULL THEN 1 ELSE 0 END) AS uncharged
FROM fills AS f JOIN orders AS o ON o.order_id = f.order_id
GROUP BY f.account, o.strategy, f.symbol, f.product
"""  # noqa: S608
SET_POSITION = """
UPDATE strategy_positions SET charges = :charges, uncharged = :uncharged
WHERE account = :account AND strategy = :strategy AND symbol = :symbol AND product = :product
"""


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("strategy_positions", sa.Column(name, kind, nullable=False, server_default="0"))
    connection = op.get_bind()
    found = connection.execute(sa.text(COST)).mappings().all()
    costs = [dict(row) | {name: int(row[name]) for name in COLUMNS} for row in found]
    if costs:
        connection.execute(sa.text(SET_POSITION), costs)
    with op.batch_alter_table("strategy_positions") as batch:
        for name, kind in COLUMNS.items():
            batch.alter_column(name, existing_type=kind, server_default=None)
