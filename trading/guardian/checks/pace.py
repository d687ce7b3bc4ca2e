"""How often: orders in a period, open orders at once, and the same order twice.

An account that is REDUCING has only positions to close, and so many orders that this takes: no pace holds them up.
"""

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from durable_orders.trading.guardian.check import Check, Failure, Measure, When
from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.approvals import Count, Kind, Scope
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.request_limits import is_limited, over_day, over_minute
from durable_orders.trading.market.rules import Broken, Rule, rules
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

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return _too_many(self, self.limit, "orders in a second", situation)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return _one_more(self, self.limit, "orders in a second", situation)


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

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return _too_many(self, self.limit, "orders in a minute", situation)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return _one_more(self, self.limit, "orders in a minute", situation)


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

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return _too_many(self, self.limit, "orders a day", situation)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return _one_more(self, self.limit, "orders a day", situation)


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

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return None if situation.only_reduces() else _too_many(self, self.limit, "trades a day", situation)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return None if situation.only_reduces() else _one_more(self, self.limit, "trades a day", situation)


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

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return _too_many(self, self.limit, "open orders", situation)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return _one_more(self, self.limit, "open orders", situation)


@dataclass(frozen=True, slots=True)
class ChangesLeft(Check):
    """So many changes of one order, and the broker takes no more. One that was certainly not made does not count."""

    limit: int
    source: str
    code: ClassVar[str] = "MAX_CHANGES"
    when: ClassVar[When] = When.CHANGE

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.changes < self.limit:
            return None
        words = f"an order takes at most {self.limit} changes, and this one had them ({self.source}): cancel it"
        return Failure(words, self.limit, situation.changes)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return Measure(self.limit, situation.changes + 1, situation.changes, "changes")


@dataclass(frozen=True, slots=True)
class _LimitOfKite(Check):
    """Live, approved orders are counted: when Kite's minutes begin cannot be known, so its limit holds in any. On paper
    and in a backtest the exchange's own count is asked."""

    is_live: bool
    when: ClassVar[When] = When.NEW_ORDER
    approved: ClassVar[Count]
    unit: ClassVar[str]

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        return is_limited(session.date)

    def counts(self) -> Collection[Count]:
        return (self.approved,) if self.is_live else ()

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        broken = self._broken(situation) if self._is_judged(situation) else None
        return Failure(str(broken), broken.limit, broken.value) if broken is not None else None

    def _is_judged(self, situation: CheckContext) -> bool:
        is_held = situation.has_market_time and situation.state is not AccountState.REDUCING
        return is_held and is_limited(situation.market_time.astimezone(IST).date())

    @abstractmethod
    def _broken(self, situation: CheckContext) -> Broken | None: ...

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        before = self._before(situation) if self._is_judged(situation) else None
        return None if before is None else Measure(self._most(), before + 1, before, self.unit)

    @abstractmethod
    def _before(self, situation: CheckContext) -> int | None:
        """How many there were; `None` where they are not counted."""

    @abstractmethod
    def _most(self) -> int: ...


class KitesMinute(_LimitOfKite):
    """Kite takes so many requests a minute: orders, changes and cancels. Live, the orders approved within the last
    minute count, and changes and cancels wait for their turn; on paper and in a backtest all of them count, by the
    minutes of the market's clock."""

    code: ClassVar[str] = Rule.MINUTE.value
    approved: ClassVar[Count] = Count(Kind.ORDERS, Scope.ACCOUNT, MINUTE)
    unit: ClassVar[str] = "requests in a minute"

    def _broken(self, situation: CheckContext) -> Broken | None:
        before = self._before(situation)
        return None if before is None else over_minute(before)

    def _before(self, situation: CheckContext) -> int | None:
        if self.is_live:
            return situation.count(self.approved)
        return situation.sent.in_minute(situation.market_time) if situation.sent is not None else None

    def _most(self) -> int:
        return rules().limits.orders_per_minute


class KitesDay(_LimitOfKite):
    """Kite takes so many orders a day. Live, those approved since midnight, IST, count; on paper and in a backtest
    those that the exchange was sent on the market's day."""

    code: ClassVar[str] = Rule.DAY.value
    approved: ClassVar[Count] = Count(Kind.ORDERS)
    unit: ClassVar[str] = "orders a day"

    def _broken(self, situation: CheckContext) -> Broken | None:
        before = self._before(situation)
        return None if before is None else over_day(before)

    def _before(self, situation: CheckContext) -> int | None:
        if self.is_live:
            return situation.count(self.approved)
        day = situation.market_time.astimezone(IST).date()
        return situation.sent.on(day) if situation.sent is not None else None

    def _most(self) -> int:
        return rules().limits.orders_per_day


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

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        [count] = self.counts()
        if not situation.count(count) or situation.state is AccountState.REDUCING:
            return None
        order = f"{terms.side} {terms.quantity} {terms.symbol}"
        words = f"{situation.order.strategy} ordered {order} within the last {self.seconds:g} s already"
        return Failure(words, self.seconds, order)


def _too_many(check: Check, limit: int, what: str, situation: CheckContext) -> Failure | None:
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


def _one_more(check: Check, limit: int, what: str, situation: CheckContext) -> Measure:
    [count] = check.counts()
    before = situation.count(count)
    whose = "" if count.scope is Scope.ACCOUNT else f" of the {count.scope}"
    return Measure(limit, before + 1, before, f"{what}{whose}")


OF_KITE: tuple[type[Check], ...] = (KitesMinute, KitesDay, ChangesLeft)
"""What the broker takes of an account, whatever the settings are."""
