"""The rows of the broker's book that an autoslice order became."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("orders", sa.Column("slices", sa.JSON(none_as_null=True)))
