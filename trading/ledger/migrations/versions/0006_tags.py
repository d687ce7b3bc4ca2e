"""The callers' own remarks on their orders, and how many fills each event knew of.

Events that were recorded before do not say: their figures are the order's own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("orders", sa.Column("tags", sa.JSON(none_as_null=True)))
    op.add_column("events", sa.Column("fills", sa.Integer()))
