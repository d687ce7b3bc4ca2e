"""A person's approval of an order, and until when it waits for one. None waited before."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.add_column("orders", sa.Column("approval", sa.JSON(none_as_null=True)))
