"""Which home serves a live account: its mark in the tags, and the server over which it was served last."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    for name in ("mark", "server"):
        op.add_column("accounts", sa.Column(name, sa.Text()))
    op.add_column("accounts", sa.Column("served_at", sa.DateTime(timezone=True)))
