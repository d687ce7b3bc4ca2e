"""How far each channel has been told what happened, since when it fails, and when somebody last told at all."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import news_cursors


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where one channel stands."""

    channel: str
    feed_id: int
    """Up to this event everything was told, or held back for the morning."""
    held_after: int | None = None
    """Behind this event, what is no alert is held back as it is quiet; `None` if nothing is."""
    failed_since: datetime | None = None
    failure: str | None = None
    updated_at: datetime | None = None
    """When somebody last told it, or looked whether there was news for it; not given where it is kept."""


_COLUMNS = [news_cursors.c[name] for name in Cursor.__slots__]


def cursors_of(connection: sa.Connection, account: str) -> dict[str, Cursor]:
    """Those of the account, by channel."""
    asked = sa.select(*_COLUMNS).where(news_cursors.c.account == account)
    return {row.channel: Cursor(*row) for row in connection.execute(asked)}


def put_cursor(connection: sa.Connection, account: str, cursor: Cursor, now: datetime) -> None:
    row = {name: getattr(cursor, name) for name in Cursor.__slots__}
    upsert(connection, news_cursors, [row | {"account": account, "updated_at": now}])


def put_telling(connection: sa.Connection, account: str, channels: Collection[str], now: datetime) -> None:
    """Record that somebody tells these channels, whether there is news or not."""
    mine = (news_cursors.c.account == account) & news_cursors.c.channel.in_(channels)
    connection.execute(sa.update(news_cursors).where(mine).values(updated_at=now))
