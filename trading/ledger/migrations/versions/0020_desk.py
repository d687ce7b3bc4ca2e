"""The desk: who may use the API and the page, and how far each channel of the news has been told."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    _access()
    op.create_table(
        "news_cursors",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("held_after", sa.BigInteger()),
        sa.Column("failed_since", sa.DateTime(timezone=True)),
        sa.Column("failure", sa.Text()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "channel", name="pk_news_cursors"),
    )


def _access() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "api_tokens",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("revoked_at", moment),
        sa.PrimaryKeyConstraint("account", "name", name="pk_api_tokens"),
    )
    op.create_index("ix_api_tokens_hash", "api_tokens", ["hash"], unique=True)
    op.create_table(
        "page_users",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name="pk_page_users"),
    )
    op.create_table(
        "page_sessions",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_page_sessions"),
    )
