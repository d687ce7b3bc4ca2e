"""Events of a whole account, in its feed; first of all alerts: something that a human should look at."""

from datetime import datetime

import sqlalchemy as sa

from trading.events import EventType
from trading.ledger.database import Database
from trading.ledger.reading import last_sequence
from trading.ledger.tables import events


def alert(database: Database, account: str, message: str, at: datetime) -> None:
    """Add an alert of the account to the feed; `message` is one sentence."""
    with database.write() as connection:
        add_event(connection, account, EventType.ALERT, message, at)


def add_event(connection: sa.Connection, account: str, kind: EventType, message: str, at: datetime) -> None:
    """Add an event of the account, in the caller's transaction. Its order id is `account:{account}`."""
    own = f"account:{account}"
    connection.execute(
        sa.insert(events).values(
            account=account,
            order_id=own,
            sequence=last_sequence(connection, own) + 1,
            type=kind.value,
            status="",
            dry_run=False,
            message=message,
            at=at,
        )
    )
