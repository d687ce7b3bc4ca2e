"""Day locks in a backtest: the results of the account's day and of its strategies' are looked at with the ticks, once a
second of the market's time at most, and once more a second after a look that would end a day."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.config.settings import DayLock
from durable_orders.trading.guardian.day_lock import Day, trip_of
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.trips import Trip
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.offsets import CLOSERS, NO_OFFSET, Offset
from durable_orders.trading.orders.order import Product

EVERY = timedelta(seconds=1)
FRESH = timedelta(minutes=1)
"""A price of what is held that is older says nothing of now."""
ZERO = Decimal(0)
NEVER = datetime.max.replace(tzinfo=UTC)


class Held(Protocol):
    """What the account, or a strategy in it, has."""

    def positions(self) -> Iterable[Position]: ...

    def position(self, symbol: str, product: Product) -> Position: ...


class DayLocks:
    """Of one account and its strategies. A day is ended once."""

    def __init__(
        self,
        account: str,
        locks: Mapping[str | None, DayLock],
        held: Callable[[str | None], Held],
        offset: Callable[[str, str, Product], Offset],
        last: Callable[[str], Tick | None],
        ended: Callable[[Trip], object],
    ) -> None:
        """`locks` are by strategy, the account's own without one, as `held` is. `offset` says
        what others have closed of a strategy's holding. `ended` hears of a day that is over."""
        self._account = account
        self._locks = dict(locks)
        self._held = held
        self._offset = offset
        self._last = last
        self._ended = ended
        self._days: dict[str | None, Day] = {}
        """Those that go on."""
        self._before: dict[tuple[str | None, str, Product], Decimal] = {}
        """What each had earned with a symbol and product when the day began, rupees."""
        self._best: dict[str | None, Decimal] = {}
        self._midnight = datetime.min.replace(tzinfo=UTC)
        self._next = self._midnight
        self.due = NEVER
        """When a look would end a day that the last one did not."""

    def turn(self, at: datetime) -> None:
        """It is that moment, and nothing has moved since the one before."""
        if at < self._midnight:
            return
        self._midnight = start_of_day(at) + timedelta(days=1)
        everybody = dict.fromkeys((*self._locks, *CLOSERS))
        self._before = {
            (whose, own.symbol, own.product): _settled(own) + (self._worth(own.symbol, own.quantity, None) or ZERO)
            for whose in everybody
            for own in self._held(whose).positions()
        }
        self._days = {whose: Day(lock, whose) for whose, lock in self._locks.items()}
        self._best = {}

    def look(self, at: datetime) -> None:
        """End what is to be ended."""
        if at < self._next:
            return
        self._next, self.due = at + EVERY, NEVER
        for whose, day in list(self._days.items()):
            earned = self._earned(whose, at)
            if earned is None:
                day.is_blind()
                continue
            found = day.look(earned, self._best.get(whose))
            if day.best is not None:
                self._best[whose] = day.best
            if found is not None:
                del self._days[whose]
                self._ended(trip_of(found, self._account, whose, at))
            elif day.is_doubtful:
                self.due = self._next

    def _earned(self, whose: str | None, at: datetime) -> Decimal | None:
        """Realized and not, before charges, in rupees, since the day began; `None` while a price of `at` is missing.
        What others have closed of a strategy's holding counts at the prices at which they did."""
        total = ZERO
        for own in self._held(whose).positions():
            key = own.symbol, own.product
            closed = NO_OFFSET if whose is None else self._offset(whose, *key)
            worth = self._worth(own.symbol, own.quantity - closed.quantity, at)
            if worth is None:
                return None
            theirs = sum((self._since(name, self._held(name).position(*key)) for name in closed.by), ZERO)
            total += worth + closed.shared(self._since(whose, own), theirs) / closed.whole
        return total

    def _since(self, whose: str | None, own: Position) -> Decimal:
        return _settled(own) - self._before.get((whose, own.symbol, own.product), ZERO)

    def _worth(self, symbol: str, quantity: int, at: datetime | None) -> Decimal | None:
        """Rupees at the last price; with `at`, one of then."""
        if not quantity:
            return ZERO
        tick = self._last(symbol)
        if tick is None or (at is not None and at - tick.at > FRESH):
            return None
        return tick.last_price * quantity * multiplier_of(symbol)


def _settled(own: Position) -> Decimal:
    """Rupees received, less those paid."""
    return own.realized_pnl - own.open_value
