"""An index that gives the events of an account by their time."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index("ix_events_account_at_feed_id", "events", ["account", "at", "feed_id"])
