"""Tells each channel what happened, from where it stands in the ledger: at least once, whoever dies in between."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from durable_orders.news import words
from durable_orders.news.sending import NotSent, send
from durable_orders.trading.bus.bus import Event
from durable_orders.trading.config.news import Channel
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.following import newest_id, told_after
from durable_orders.trading.ledger.news import Cursor, cursors_of, put_cursor, put_telling
from durable_orders.trading.orders.events import Severity

EVERY = 0.5
"""Seconds between two looks at a feed that has nothing new."""
AGAIN, LONGEST = 2.0, 300.0
"""Seconds before a channel that failed is tried again: twice as long each time, up to the second."""
AT_ONCE = 500
SEEN_EVERY = 15.0
"""Seconds between two records that somebody tells."""

log = logging.getLogger(__name__)


def now_utc() -> datetime:
    return datetime.now(UTC)


class Teller:
    """One channel of one account. Channels do not wait for each other."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        name: str,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        self._database = database
        self._account = settings.account
        self._channel: Channel = settings.notify[name]
        self._name = name
        self._page = settings.page.address
        self._clock = clock

    async def run(self) -> None:
        """Until it is cancelled. What cannot be read or sent is tried again, later each time."""
        pause = AGAIN
        while True:
            try:
                has_told = await asyncio.to_thread(self.look)
                pause = AGAIN
                if has_told is None:
                    await asyncio.sleep(EVERY)
                elif has_told is False:
                    await asyncio.sleep(self._channel.fold)
                    await asyncio.to_thread(self.tell)
            except NotSent as error:
                log.warning("news to %s: %s; tried again in %.0f s", self._name, error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST)
            except (SQLAlchemyError, LedgerUnusable) as error:
                log.warning("news to %s: the ledger cannot be used: %s", self._name, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST)

    def look(self) -> bool | None:
        """`False` if there is something to tell, which may wait for more; `None` if not."""
        wanted, _ = self._next()
        return False if wanted else None

    def tell(self) -> bool:
        """Tell what is next, and keep how far that is; whether there was something. Raises `NotSent`."""
        cursor = self._cursor()
        wanted, after = self._next()
        if not wanted:
            return False
        try:
            now = self._clock()
            text = words.body(wanted, now, self._channel.late, self._page)
            send(self._channel.url.get_secret_value(), words.title(self._account, wanted), text)
        except NotSent as error:
            since = cursor.failed_since or self._clock()
            self._keep(replace(cursor, failed_since=since, failure=str(error)))
            raise
        self._keep(after)
        return True

    def _next(self) -> tuple[list[Event], Cursor]:
        """What is to be told now, and where the channel stands once it is. What nobody wants is passed over."""
        cursor, is_quiet = self._cursor(), self._is_quiet()
        held: list[Event] = []
        if cursor.held_after is not None and not is_quiet:
            held = [each for each in self._between(cursor.held_after, cursor.feed_id) if not _is_alert(each)]
        found = self._read(cursor.feed_id)
        wanted = [event for event in found if self._wants(event)]
        told = [event for event in wanted if _is_alert(event) or not is_quiet]
        last = max((event.feed_id or 0 for event in found), default=cursor.feed_id)
        waits = cursor.held_after if is_quiet else None
        if waits is None and len(told) < len(wanted):
            waits = cursor.feed_id
        after = Cursor(self._name, last, waits)
        if not held and not told and (last, waits) != (cursor.feed_id, cursor.held_after):
            self._keep(replace(after, failed_since=cursor.failed_since, failure=cursor.failure))
        return [*held, *told], after

    def _is_quiet(self) -> bool:
        return self._channel.quiet is not None and self._channel.quiet.covers(self._clock())

    def _wants(self, event: Event) -> bool:
        strategy = event.data.get("strategy")
        return self._channel.wants(event.type, None if strategy is None else str(strategy))

    def _between(self, after: int, last: int) -> list[Event]:
        found: list[Event] = []
        while batch := [event for event in self._read(after) if (event.feed_id or 0) <= last]:
            found += [event for event in batch if self._wants(event)]
            after = batch[-1].feed_id or last
        return found

    def _read(self, after: int) -> list[Event]:
        with self._database.read() as connection:
            return told_after(connection, after, account=self._account, limit=AT_ONCE)

    def _cursor(self) -> Cursor:
        """A channel that is new hears of what happens from now on."""
        with self._database.read() as connection:
            known = cursors_of(connection, self._account).get(self._name)
            newest = 0 if known is not None else newest_id(connection, self._account)
        if known is None:
            known = Cursor(self._name, newest)
            self._keep(known)
        return known

    def _keep(self, cursor: Cursor) -> None:
        with self._database.write(self._account) as connection:
            put_cursor(connection, self._account, cursor, self._clock())


def _is_alert(event: Event) -> bool:
    return event.type.severity is Severity.ALERT


async def tell_all(database: Database, settings: Settings) -> None:
    """All channels of the account, without end. It must have some."""
    tellers = [Teller(database, settings, name) for name in settings.channels]
    await asyncio.gather(_be_seen(database, settings), *(teller.run() for teller in tellers))


async def _be_seen(database: Database, settings: Settings) -> None:
    """Record every now and then that somebody tells, for whoever asks (`doctor`)."""

    def record() -> None:
        with database.write(settings.account) as connection:
            put_telling(connection, settings.account, settings.channels, now_utc())

    while True:
        with suppress(SQLAlchemyError, LedgerUnusable):  # the tellers say so
            await asyncio.to_thread(record)
        await asyncio.sleep(SEEN_EVERY)
