"""How often each approved order was changed: the broker takes so many changes of one order, and no more.

Changes that an earlier program made do not count here; the broker counts them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("reservations", sa.Column("changes", sa.Integer(), nullable=False, server_default="0"))
