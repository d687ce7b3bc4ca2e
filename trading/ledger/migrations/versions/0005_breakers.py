"""Circuit breakers that tripped, risk flags, and by whose word an account is halted, since and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("since", "until"):
        op.add_column("accounts", sa.Column(name, MOMENT))
    op.add_column("accounts", sa.Column("who", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("accounts") as batch:
        batch.alter_column("who", existing_type=sa.Text(), server_default=None)
    trips()
    flags()


def trips() -> None:
    op.create_table(
        "breaker_trips",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("told_at", MOMENT),
        sa.PrimaryKeyConstraint("account", "key", name="pk_breaker_trips"),
    )
    untold = sa.text("told_at IS NULL")
    op.create_index(
        "ix_breaker_trips_untold", "breaker_trips", ["account"], sqlite_where=untold, postgresql_where=untold
    )


def flags() -> None:
    op.create_table(
        "risk_flags",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name="pk_risk_flags"),
    )
