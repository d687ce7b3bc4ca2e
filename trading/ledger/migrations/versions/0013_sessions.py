"""The market's day of each trade, whose charges count.

What was traded on paper before keeps the charges that it has: those of the wall clock's day.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("fills", sa.Column("session", sa.Date))
