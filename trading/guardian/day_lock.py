"""Day locks: when the day of an account or a strategy has won enough, lost enough, or given back too much of that."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from durable_orders.trading.config.settings import DayLock, OnTrip
from durable_orders.trading.ledger.trips import Trip, day_lock_key

DAY_TARGET, DAY_LOSS, DAY_TRAIL = "DAY_TARGET", "DAY_LOSS", "DAY_TRAIL"


class Broken(NamedTuple):
    code: str
    words: str


def reached(lock: DayLock, profit: Decimal, best: Decimal, strategy: str | None = None) -> Broken | None:
    """What ends the day now, if anything does, of the account or a strategy. `profit` is the day's result and `best`
    its best so far, in rupees."""
    day = "the day" if strategy is None else f"the day of {strategy}"
    if lock.loss is not None and profit <= -lock.loss:
        return Broken(DAY_LOSS, f"{day} has lost {-profit:.2f} rupees, and may lose {lock.loss:f}")
    if lock.target is not None and profit >= lock.target:
        return Broken(DAY_TARGET, f"{day} has earned {profit:.2f} rupees, and its target is {lock.target:f}")
    if lock.trail is None or best < (lock.trail_from or lock.trail):
        return None
    if best - profit >= lock.trail:
        words = f"{day} has given back {best - profit:.2f} rupees of {best:.2f}, and may give back {lock.trail:f}"
        return Broken(DAY_TRAIL, words)
    return None


class Day:
    """One day as it is looked at, again and again. One odd price ends none: two looks in a row have to agree."""

    def __init__(self, lock: DayLock, strategy: str | None = None) -> None:
        self._lock = lock
        self._strategy = strategy
        self._seen: str | None = None
        self._before: Decimal | None = None
        """The result at the look before."""
        self.best: Decimal | None = None
        """The best result that is to be kept, after a look; `None` where that is nothing new."""

    @property
    def is_doubtful(self) -> bool:
        """Whether the last look would end it, if another one says so, too."""
        return self._seen is not None

    def is_blind(self) -> None:
        """The result is not known now."""
        self._seen = self._before = self.best = None

    def look(self, profit: Decimal, kept: Decimal | None) -> Broken | None:
        """What ends it now, if anything does. `kept` is the best result so far, as far as it was kept."""
        proved = profit if self._before is None else min(self._before, profit)
        is_first, self._before = self._before is None, profit
        best = proved if kept is None else max(kept, proved)
        found = reached(self._lock, profit, best, self._strategy)
        is_certain = found is not None and found.code == self._seen
        self._seen = found.code if found is not None else None
        is_kept = self._lock.trail is not None and best != kept and not is_first and (found is None or is_certain)
        self.best = best if is_kept else None
        return found if is_certain else None


def trip_of(found: Broken, account: str, strategy: str | None, now: datetime) -> Trip:
    """That it has ended the day."""
    return Trip(
        account=account,
        key=day_lock_key(now, strategy),
        cause=found.code,
        message=found.words,
        response=OnTrip.FLATTEN,
        at=now,
        strategy=strategy,
    )
