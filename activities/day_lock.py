"""Looks at the day's result of an account and its strategies once a second, and ends a day where a day lock says so."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.config.settings import DayLock
from durable_orders.trading.guardian.breakers import end_of_day, tripping
from durable_orders.trading.guardian.day_lock import Broken, Day, trip_of
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.day_profit import best_of_day, keep_best_of_day, profit_of_day
from durable_orders.trading.ledger.trips import day_lock_key, has_tripped
from durable_orders.trading.orders.order import Account

EVERY = 1.0
"""Seconds between two looks."""
FRESH = timedelta(minutes=1)
"""A price of what is held that is older says nothing of now."""
BLIND = timedelta(minutes=1)
"""So long the day's result may be unknown before that is said."""

log = logging.getLogger(__name__)


class DayLockWatch:
    """One account's, and of its strategies. A day is ended once: what is resumed after that goes on."""

    def __init__(
        self,
        account: Account,
        database: Database,
        executor: Executor,
        locks: Mapping[str | None, DayLock],
        tripped: Callable[[], None],
    ) -> None:
        """`locks` are by strategy, the account's own without one. `tripped` is called when a day was ended: the trip is
        in the ledger, and is to be acted on."""
        self._executor = executor
        self._days = [WatchedDay(account, database, lock, whose) for whose, lock in locks.items()]
        self._tripped = tripped
        self._is_in_trouble = False

    async def run(self) -> None:
        """Until it is cancelled. While the ledger is locked, it waits."""
        while self._days:
            try:
                if await asyncio.get_running_loop().run_in_executor(self._executor, self.look):
                    self._tripped()
                self._is_in_trouble = False
            except SQLAlchemyError as error:
                if not self._is_in_trouble:
                    log.warning("the day's result could not be looked at, and will be: %s", error)
                self._is_in_trouble = True
            await asyncio.sleep(EVERY)
        await asyncio.Event().wait()

    def look(self) -> bool:
        """Look once at each. Whether one was ended now. Raises `SQLAlchemyError`."""
        ended = [day.look() for day in self._days]
        return any(ended)


class WatchedDay:
    """The account's, or one strategy's."""

    def __init__(self, account: Account, database: Database, lock: DayLock, strategy: str | None) -> None:
        self._account = account
        self._database = database
        self._strategy = strategy
        self._day = Day(lock, strategy)
        self._blind_since: datetime | None = None
        self._is_told = False

    def look(self) -> bool:
        """Look once, and end the day if two looks in a row say so: whether it was. Raises `SQLAlchemyError`."""
        now, whose = datetime.now(UTC), self._strategy
        with self._database.read() as connection:
            if has_tripped(connection, self._account, day_lock_key(now, whose)):
                return False
            profit = profit_of_day(connection, self._account, now, FRESH, whose)
            kept = best_of_day(connection, self._account, now, whose)
        if profit.unknown:
            self._say_that_it_is_blind(profit.unknown, now)
            return False
        self._blind_since, self._is_told = None, False
        found = self._day.look(profit.rupees, kept)
        if self._day.best is not None:
            with self._database.write(self._account) as connection:
                keep_best_of_day(connection, self._account, now, self._day.best, whose)
        return found is not None and self._end(found, now)

    def _end(self, found: Broken, now: datetime) -> bool:
        trip = trip_of(found, self._account, self._strategy, now)
        with self._database.write(self._account) as connection:
            return tripping(connection, trip, AccountState.REDUCING, end_of_day(now))

    def _say_that_it_is_blind(self, unknown: tuple[str, ...], now: datetime) -> None:
        self._day.is_blind()
        self._blind_since = self._blind_since or now
        if now - self._blind_since >= BLIND and not self._is_told:
            self._is_told = True
            of = "" if self._strategy is None else f" of {self._strategy}"
            words = f"the day lock{of} cannot be judged: no price of now is known of {', '.join(unknown)}"
            alert(self._database, self._account, words, now)
