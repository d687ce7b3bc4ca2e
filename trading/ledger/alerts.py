"""Alerts of a whole account, as events of the feed: something that a human should look at."""

from datetime import datetime

import sqlalchemy as sa

from trading.events import EventType
from trading.ledger.database import Database
from trading.ledger.reading import last_sequence
from trading.ledger.tables import events


def alert(database: Database, account: str, message: str, at: datetime) -> None:
    """Add an alert of the account to the feed; `message` is one sentence. Its order id is `account:{account}`."""
    own = f"account:{account}"
    with database.write() as connection:
        connection.execute(
            sa.insert(events).values(
                account=account,
                order_id=own,
                sequence=last_sequence(connection, own) + 1,
                type=EventType.ALERT.value,
                status="",
                message=message,
                at=at,
            )
        )
