"""Whose each account is: one user of one broker in one mode.

The mode of an account that has orders already is theirs; its user is fixed at the next login.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

OF_ITS_ORDERS = """
UPDATE accounts SET mode = (SELECT MIN(mode) FROM orders WHERE orders.account = accounts.account)
WHERE (SELECT COUNT(DISTINCT mode) FROM orders WHERE orders.account = accounts.account) = 1
"""


def upgrade() -> None:
    for name in ("mode", "broker", "user_id"):
        op.add_column("accounts", sa.Column(name, sa.Text()))
    op.execute(OF_ITS_ORDERS)
