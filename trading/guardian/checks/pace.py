"""How often: orders in a period, open orders at once, and the same order twice.

An account that is REDUCING has only positions to close, and so many orders that this takes: no pace holds them up.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from durable_orders.trading.guardian.check import Check, Failure, When
from durable_orders.trading.guardian.situation import Figures, Situation
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.approvals import Count, Kind, Scope
from durable_orders.trading.orders.order import Terms

SECOND = 1.0
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class MaxOrdersPerSecond(Check):
    """Orders approved within the last second: of the account, of the strategy, of the symbol."""

    limit: int
    scope: Scope = Scope.ACCOUNT
    code: ClassVar[str] = "MAX_ORDERS_PER_SECOND"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_orders_per_second", "guardian.max_order_per_second")
    when: ClassVar[When] = When.NEW_ORDER

    def counts(self) -> Collection[Count]:
        return (Count(Kind.ORDERS, self.scope, SECOND),)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        return _too_many(self, self.limit, "orders in a second", situation)


@dataclass(frozen=True, slots=True)
class MaxOrdersPerMinute(Check):
    """Orders approved within the last minute: of the account, of the strategy, of the symbol."""

    limit: int
    scope: Scope = Scope.ACCOUNT
    code: ClassVar[str] = "MAX_ORDERS_PER_MINUTE"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_orders_per_minute",)
    when: ClassVar[When] = When.NEW_ORDER

    def counts(self) -> Collection[Count]:
        return (Count(Kind.ORDERS, self.scope, MINUTE),)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        return _too_many(self, self.limit, "orders in a minute", situation)


@dataclass(frozen=True, slots=True)
class MaxOrdersPerDay(Check):
    """Orders approved since midnight, IST: of the account, of the strategy, of the symbol."""

    limit: int
    scope: Scope = Scope.ACCOUNT
    code: ClassVar[str] = "MAX_ORDERS_PER_DAY"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_orders_per_day",)
    when: ClassVar[When] = When.NEW_ORDER

    def counts(self) -> Collection[Count]:
        return (Count(Kind.ORDERS, self.scope),)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        return _too_many(self, self.limit, "orders a day", situation)


@dataclass(frozen=True, slots=True)
class MaxTradesPerDay(Check):
    """Orders since midnight, IST, that filled, at least in part, or still may: of the account, of the strategy, of the
    symbol. An order that only reduces a position passes."""

    limit: int
    scope: Scope = Scope.ACCOUNT
    code: ClassVar[str] = "MAX_TRADES_PER_DAY"
    settings: ClassVar[tuple[str, ...]] = (
        "execution.circuit_breakers.max_trades_per_day",
        "execution.circuit_breakers.max_trades_per_strategy_per_day",
        "trading.trade_throttler.max_total_trades_per_day",
        "trading.trade_throttler.max_trades_per_strategy_per_day",
        "trading.trade_throttler.max_trades_per_symbol_per_day",
    )
    when: ClassVar[When] = When.NEW_ORDER
    figures: ClassVar[Figures] = Figures.SYMBOL

    def counts(self) -> Collection[Count]:
        return (Count(Kind.TRADES, self.scope),)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        return None if situation.only_reduces() else _too_many(self, self.limit, "trades a day", situation)


@dataclass(frozen=True, slots=True)
class MaxOpenOrders(Check):
    """Open orders of the account at once."""

    limit: int
    scope: ClassVar[Scope] = Scope.ACCOUNT
    code: ClassVar[str] = "MAX_OPEN_ORDERS"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_open_orders",)
    when: ClassVar[When] = When.NEW_ORDER

    def counts(self) -> Collection[Count]:
        return (Count(Kind.OPEN),)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        return _too_many(self, self.limit, "open orders", situation)


@dataclass(frozen=True, slots=True)
class ChangesLeft(Check):
    """So many changes of one order, and the broker takes no more. One that was certainly not made does not count."""

    limit: int
    source: str
    code: ClassVar[str] = "MAX_CHANGES"
    when: ClassVar[When] = When.CHANGE

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        if situation.changes < self.limit:
            return None
        words = f"an order takes at most {self.limit} changes, and this one had them ({self.source}): cancel it"
        return Failure(words, self.limit, situation.changes)


@dataclass(frozen=True, slots=True)
class NoDuplicate(Check):
    """The same strategy may not order the same quantity of a symbol on the same side twice within some seconds, unless
    the first ended without a fill."""

    seconds: float
    code: ClassVar[str] = "DUPLICATE"
    settings: ClassVar[tuple[str, ...]] = ("guardian.duplicate_seconds",)
    when: ClassVar[When] = When.NEW_ORDER

    def counts(self) -> Collection[Count]:
        return (Count(Kind.ALIKE, Scope.STRATEGY, self.seconds),)

    def __call__(self, terms: Terms, situation: Situation) -> Failure | None:
        [count] = self.counts()
        if not situation.count(count) or situation.state is AccountState.REDUCING:
            return None
        order = f"{terms.side} {terms.quantity} {terms.symbol}"
        words = f"{situation.order.strategy} ordered {order} within the last {self.seconds:g} s already"
        return Failure(words, self.seconds, order)


def _too_many(check: Check, limit: int, what: str, situation: Situation) -> Failure | None:
    [count] = check.counts()
    before = situation.count(count)
    if before < limit or situation.state is AccountState.REDUCING:
        return None
    whose = {
        Scope.ACCOUNT: "the account",
        Scope.STRATEGY: situation.order.strategy,
        Scope.SYMBOL: situation.order.symbol,
    }[count.scope]
    return Failure(f"{whose} may have at most {limit} {what}, and has {before} already", limit, before)
