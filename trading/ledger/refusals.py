"""Refusals in a row: a broker that says the same no to every order is not to be asked for ever."""

import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import refusals


def refused(database: Database, account: str, words: str) -> int:
    """Count a refusal, and give how often in a row it has now come in these words."""
    with database.write(account) as connection:
        asked = sa.select(refusals.c.times).where(refusals.c.account == account, refusals.c.words == words)
        times = (connection.execute(asked).scalar_one_or_none() or 0) + 1
        upsert(connection, refusals, [{"account": account, "words": words, "times": times}])
    return times


def accepted(database: Database, account: str) -> None:
    """The broker took an order: the row of refusals has ended."""
    with database.read() as connection:
        known = connection.execute(
            sa.select(refusals.c.times).where(refusals.c.account == account)
        ).scalar_one_or_none()
    if known:
        with database.write(account) as connection:
            connection.execute(sa.delete(refusals).where(refusals.c.account == account))
