"""Whose turn it is to write to a ledger on PostgreSQL, and how far the feed of all accounts can be read meanwhile.

Writers of one account queue up, so its events become visible in the order of their numbers. Writers of different
accounts don't wait for each other, and whoever writes for no account alone has the ledger to himself. So a number may
become visible while a smaller one of another account is still to come. That nobody who reads on passes it by, each
writer has said, before it draws its first number, behind which one its own will be: `settled` is the least of these.

All of that is held by advisory locks, which PostgreSQL lets go when a transaction has ended, however it ends, and only
after what it wrote can be seen. Nothing of it is stored, so it outlives no restart, and no dump and restore either.
"""

from zlib import crc32

import sqlalchemy as sa

WRITER_LOCK = 0x0D0E
"""Of all writers: shared by those of an account, exclusive for others, and for programs of before, which know no other.
With an account's number beside it, it is that account's."""
_MARK = 1 << 62
"""Makes a number of the feed the key of a lock, which is no other's."""
_LAST_NUMBER = "coalesce(pg_sequence_last_value(pg_get_serial_sequence('events', 'feed_id')::regclass), 0)"
"""The last one that was drawn, whatever transaction drew it, and whether or not that has ended."""
_TIMEOUT = "SELECT set_config('lock_timeout', %s, true)"
_TAKE_ALL = f"{_TIMEOUT}, pg_advisory_xact_lock(%s)"
_TAKE = (
    f"{_TIMEOUT}, pg_advisory_xact_lock_shared(%s), pg_advisory_xact_lock(%s, %s),"
    f" pg_advisory_xact_lock_shared({_MARK} | {_LAST_NUMBER})"
)
"""In this order: it says behind which number its own will be when it is its turn, and not while it waits."""
_DRAWN = f"SELECT {_LAST_NUMBER}"
_BEHIND = (
    "SELECT min((classid::bigint << 32 | objid::bigint) - %s) FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 30 = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def take(connection: sa.Connection, account: str | None, seconds: float) -> None:
    """Wait for the account's turn, or to be alone, until the transaction's end. Raises SQLAlchemy's `OperationalError`
    if it is not there after so many seconds."""
    timeout = str(max(1, round(seconds * 1000)))
    if account is None:
        connection.exec_driver_sql(_TAKE_ALL, (timeout, WRITER_LOCK))
    else:
        connection.exec_driver_sql(_TAKE, (timeout, WRITER_LOCK, WRITER_LOCK, number_of(account)))


def number_of(account: str) -> int:
    """Of its lock, a signed number of 32 bits. Two accounts may have the same one; they wait for each other then."""
    number = crc32(account.encode())
    return number - (1 << 32) if number >> 31 else number


def settled(engine: sa.Engine) -> int:
    """The number of the feed up to which whoever looks at it from now on sees everything that will ever be there.

    What has been drawn is asked first: who begins to write after that draws higher numbers.
    """
    with engine.connect() as connection:
        drawn = int(connection.exec_driver_sql(_DRAWN).scalar_one())
        behind: int | None = connection.exec_driver_sql(_BEHIND, (_MARK,)).scalar_one()
    return drawn if behind is None else min(drawn, behind)
