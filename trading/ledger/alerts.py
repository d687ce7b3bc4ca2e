"""Events of a whole account, in its feed; first of all alerts: something that a human should look at."""

from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database, changes_state, writes
from durable_orders.trading.ledger.reading import last_sequence
from durable_orders.trading.ledger.tables import events
from durable_orders.trading.orders.events import STATE_EVENTS, EventType


def alert(database: Database, account: str, message: str, at: datetime) -> None:
    """Add an alert of the account to the feed; `message` is one sentence."""
    with database.write(account) as connection:
        add_event(connection, account, EventType.ALERT, message, at)


def add_event(connection: sa.Connection, account: str, kind: EventType, message: str, at: datetime) -> int:
    """Add an event of the account, in the caller's transaction. Its order id is `account:{account}`. Its number."""
    writes(connection, account)
    if kind in STATE_EVENTS:
        changes_state(connection, account)
    own = event_id(account)
    sequence = last_sequence(connection, own) + 1
    connection.execute(
        sa.insert(events).values(
            account=account,
            order_id=own,
            sequence=sequence,
            type=kind.value,
            status="",
            dry_run=False,
            message=message,
            at=at,
        )
    )
    return sequence


def event_id(account: str) -> str:
    """The order id under which the events of a whole account stand."""
    return f"account:{account}"
