"""How many orders were approved, and how the day went: what the ledger counts, counted as it happens."""

from bisect import insort
from collections import OrderedDict
from datetime import datetime, timedelta
from decimal import Decimal

from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.approvals import Count, Kind, Scope


def midnight(at: datetime) -> datetime:
    """When the day began, IST."""
    return at.astimezone(IST).replace(hour=0, minute=0, second=0, microsecond=0)


class Tally:
    """The approved orders of one kind, within one scope, that are counted at the moment."""

    __slots__ = ("_approved", "_seconds")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._approved: OrderedDict[str, datetime] = OrderedDict()

    def add(self, key: str, at: datetime) -> None:
        self._approved[key] = at

    def drop(self, key: str) -> None:
        self._approved.pop(key, None)

    def count(self, now: datetime) -> int:
        since = midnight(now) if self._seconds is None else now - timedelta(seconds=self._seconds)
        while self._approved and next(iter(self._approved.values())) <= since:
            self._approved.popitem(last=False)
        return len(self._approved)


class Tallies:
    """The counts that the guardian's checks ask for, and no others. Orders are told in the order of their time."""

    def __init__(self, wanted: frozenset[Count]) -> None:
        self._wanted = tuple(wanted)
        self._tallies: dict[tuple[Count, tuple[object, ...]], Tally] = {}
        self._open = 0

    def counts(self, live: Live, wanted: frozenset[Count], now: datetime) -> dict[Count, int]:
        return {count: self._count(count, live, now) for count in wanted}

    def _count(self, count: Count, live: Live, now: datetime) -> int:
        if count.kind is Kind.OPEN:
            return self._open
        tally = self._tallies.get((count, _scope(count, live)))
        return tally.count(now) if tally is not None else 0

    def approved(self, live: Live, at: datetime) -> None:
        self._open += 1
        for count in self._wanted:
            if count.kind is not Kind.OPEN:
                key = (count, _scope(count, live))
                tally = self._tallies.get(key)
                if tally is None:
                    tally = self._tallies[key] = Tally(count.seconds)
                tally.add(live.key, at)

    def undone(self, live: Live) -> None:
        """It was only judged."""
        self._open -= 1
        for count in self._wanted:
            if count.kind is not Kind.OPEN:
                self._tallies[count, _scope(count, live)].drop(live.key)

    def ended(self, live: Live) -> None:
        """One that ended without a fill was no trade."""
        self._open -= 1
        if live.fills:
            return
        for count in self._wanted:
            if count.kind in (Kind.TRADES, Kind.ALIKE):
                self._tallies[count, _scope(count, live)].drop(live.key)


def _scope(count: Count, live: Live) -> tuple[object, ...]:
    """What an order shares with all that are counted with it."""
    if count.kind is Kind.ALIKE:
        return (live.strategy, live.symbol, live.side, live.intent.quantity)
    return {Scope.ACCOUNT: (), Scope.STRATEGY: (live.strategy,), Scope.SYMBOL: (live.symbol,)}[count.scope]


class DayResults:
    """What the trades of today earned, before charges."""

    def __init__(self) -> None:
        self._until: datetime | None = None
        self._realized = Decimal(0)
        self._by_order: dict[str, Decimal] = {}
        self._latest: list[tuple[datetime, str]] = []
        """When an order last closed something, in the order of that."""
        self._moved: dict[str, datetime] = {}

    def add(self, key: str, earned: Decimal, at: datetime) -> None:
        """A trade; one that closed nothing earns nothing."""
        self._turn(at)
        if not earned:
            return
        self._realized += earned
        self._by_order[key] = self._by_order.get(key, Decimal(0)) + earned
        before = self._moved.get(key)
        if before != at:
            if before is not None:
                self._latest.remove((before, key))
            insort(self._latest, (at, key))
            self._moved[key] = at

    def realized(self, now: datetime) -> Decimal:
        """Rupees since midnight, IST; a loss is negative."""
        self._turn(now)
        return self._realized

    def losses_in_a_row(self, now: datetime) -> int:
        self._turn(now)
        streak = 0
        for _, key in reversed(self._latest):
            if self._by_order[key] > 0:
                break
            streak += self._by_order[key] < 0
        return streak

    def _turn(self, now: datetime) -> None:
        if self._until is not None and now < self._until:
            return
        self._until = midnight(now) + timedelta(days=1)
        self._realized = Decimal(0)
        self._by_order, self._latest, self._moved = {}, [], {}
