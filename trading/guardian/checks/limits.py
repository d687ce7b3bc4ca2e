"""How much: of one order, of a position, of exposure and of capital.

Positions are counted as they could become if every open order filled. An order that can only close what is held
passes the limits on positions, gross exposure and capital: it makes none of them greater.

Where it is not known what a contract is in rupees, a limit in rupees refuses: it would count too little.
"""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from durable_orders.trading.guardian.check import Check, Failure, Measure
from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ledger.exposure import Held
from durable_orders.trading.orders.order import Terms

UNITS, RUPEES = "units", "rupees"


@dataclass(frozen=True, slots=True)
class MaxOrderQuantity(Check):
    """Units in one order."""

    limit: int
    code: ClassVar[str] = "MAX_ORDER_QUANTITY"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_order_quantity", "guardian.max_lot_size")

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if terms.quantity <= self.limit:
            return None
        return Failure(f"quantity may be at most {self.limit}, was {terms.quantity}", self.limit, terms.quantity)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return Measure(self.limit, terms.quantity, unit=UNITS)


@dataclass(frozen=True, slots=True)
class MaxOrderValue(Check):
    """Rupees in one order: quantity times the contract's multiplier times limit price, or last price where there is no
    limit. Refused where neither is known, or the multiplier is not."""

    limit: Decimal
    code: ClassVar[str] = "MAX_ORDER_VALUE"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_order_value",)

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        value = situation.rupees(terms.quantity)
        if value is None:
            return _unknown("value", self.limit)
        if not situation.is_sized:
            return _not_sized("value", self.limit, terms.symbol)
        if value <= self.limit:
            return None
        return Failure(f"value may be at most {self.limit:f} rupees, was {value:f}", self.limit, value)

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return Measure(self.limit, situation.rupees(terms.quantity), unit=RUPEES)


class PositionLimit(Check):
    """A limit on what the position, with all that is open, may become. Closing orders pass."""

    __slots__ = ()

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.only_reduces():
            return None
        return self.judge(terms, situation)

    @abstractmethod
    def judge(self, terms: Terms, situation: CheckContext) -> Failure | None:
        """The same for an order that opens something."""

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return None if situation.only_reduces() else self.figure(terms, situation)

    @abstractmethod
    def figure(self, terms: Terms, situation: CheckContext) -> Measure:
        """The same of one that opens something, and has passed."""


@dataclass(frozen=True, slots=True)
class MaxPositionPerSymbol(PositionLimit):
    """Units of one symbol, long or short, all its products added up, if every open order filled."""

    limit: int
    code: ClassVar[str] = "MAX_POSITION_PER_SYMBOL"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_position_per_symbol",)
    figures: ClassVar[Figures] = Figures.SYMBOL

    def judge(self, terms: Terms, situation: CheckContext) -> Failure | None:
        units = _reach(_after(situation), situation.held_in_symbol(), terms)
        if units <= self.limit:
            return None
        message = f"the position in {terms.symbol} may be at most {self.limit}, and could become {units}"
        return Failure(message, self.limit, units)

    def figure(self, terms: Terms, situation: CheckContext) -> Measure:
        others = situation.held_in_symbol()
        now, after = (_reach(own, others, terms) for own in (situation.held(), _after(situation)))
        return Measure(self.limit, after, now, UNITS)


@dataclass(frozen=True, slots=True)
class MaxPositionTotal(PositionLimit):
    """Units of all symbols, long and short added up, if every open order filled."""

    limit: int
    code: ClassVar[str] = "MAX_POSITION_TOTAL"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_position_total",)
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.ACCOUNT

    def judge(self, terms: Terms, situation: CheckContext) -> Failure | None:
        units = _reach(_after(situation), situation.held_by_account(), terms)
        if units <= self.limit:
            return None
        message = f"all positions together may be at most {self.limit} units, and could become {units}"
        return Failure(message, self.limit, units)

    def figure(self, terms: Terms, situation: CheckContext) -> Measure:
        others = situation.held_by_account()
        now, after = (_reach(own, others, terms) for own in (situation.held(), _after(situation)))
        return Measure(self.limit, after, now, UNITS)


@dataclass(frozen=True, slots=True)
class MaxGrossExposure(PositionLimit):
    """Rupees at the last price: long and short positions added up, if every open order filled."""

    limit: Decimal
    code: ClassVar[str] = "MAX_GROSS_EXPOSURE"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_gross_exposure",)
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.ACCOUNT

    def judge(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.price is None:
            return _unknown("gross exposure", self.limit)
        own = _after(situation)
        if (unsized := _unsized(own, situation.held_by_account())) is not None:
            return _not_sized("gross exposure", self.limit, unsized)
        return _above("gross exposure", self.limit, _gross(own, situation.held_by_account(), terms))

    def figure(self, terms: Terms, situation: CheckContext) -> Measure:
        others = situation.held_by_account()
        now, after = (_gross(own, others, terms) for own in (situation.held(), _after(situation)))
        return Measure(self.limit, after, now, RUPEES)


@dataclass(frozen=True, slots=True)
class MaxNetExposure(Check):
    """Rupees at the last price: what is long less what is short, or the other way round for a SELL, if every open
    order of the order's side filled. Closing one leg of a hedge counts like opening the other."""

    limit: Decimal
    code: ClassVar[str] = "MAX_NET_EXPOSURE"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_net_exposure",)
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.ACCOUNT

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.price is None:
            return _unknown("net exposure", self.limit)
        own = _after(situation)
        counted = _counted(own, situation.held_by_account())
        unsized = [held for held in counted if not held.is_sized]
        if adding := [held.symbol for held in unsized if held.net_quantity(terms.side) > 0]:
            return _not_sized("net exposure", self.limit, adding[0])
        side = "long" if terms.side.sign > 0 else "short"
        return _above(f"net exposure ({side})", self.limit, _net(counted, terms))

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        others = situation.held_by_account()
        now, after = (_net(_counted(own, others), terms) for own in (situation.held(), _after(situation)))
        return Measure(self.limit, after, now, RUPEES)


@dataclass(frozen=True, slots=True)
class Capital(PositionLimit):
    """Rupees that all positions and open orders bind, at cost."""

    limit: Decimal
    code: ClassVar[str] = "CAPITAL"
    settings: ClassVar[tuple[str, ...]] = ("guardian.capital",)
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.ACCOUNT

    def judge(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.price is None:
            return _unknown("bound capital", self.limit)
        own = _after(situation)
        if (unsized := _unsized(own, situation.held_by_account())) is not None:
            return _not_sized("bound capital", self.limit, unsized)
        return _above("bound capital", self.limit, _bound(own, situation.held_by_account(), terms))

    def figure(self, terms: Terms, situation: CheckContext) -> Measure:
        others = situation.held_by_account()
        now, after = (_bound(own, others, terms) for own in (situation.held(), _after(situation)))
        return Measure(self.limit, after, now, RUPEES)


@dataclass(frozen=True, slots=True)
class StrategyCapital(Check):
    """Rupees that the positions and open orders of the order's strategy bind, at cost. What the strategy itself holds
    counts: an order that closes what another one opened binds capital of its own."""

    strategy: str
    limit: Decimal
    code: ClassVar[str] = "STRATEGY_CAPITAL"
    settings: ClassVar[tuple[str, ...]] = ("guardian.strategies.*.capital",)
    figures: ClassVar[Figures] = Figures.STRATEGY

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        mine = _own(situation, terms)
        if mine.only_reduced_by(terms.side, situation.asked.quantity):
            return None
        name = f"capital bound by {self.strategy}"
        if situation.price is None:
            return _unknown(name, self.limit)
        own = mine.plus(terms.side, situation.asked)
        if (unsized := _unsized(own, situation.held_by_strategy())) is not None:
            return _not_sized(name, self.limit, unsized)
        return _above(name, self.limit, _bound(own, situation.held_by_strategy(), terms))

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        mine, others = _own(situation, terms), situation.held_by_strategy()
        if mine.only_reduced_by(terms.side, situation.asked.quantity):
            return None
        now, after = (_bound(own, others, terms) for own in (mine, mine.plus(terms.side, situation.asked)))
        return Measure(self.limit, after, now, RUPEES)


def _after(situation: CheckContext) -> Held:
    """The order's own position and open orders, with the order."""
    return situation.held().plus(situation.order.side, situation.asked)


def _reach(own: Held, all_held: Iterable[Held], terms: Terms) -> int:
    return own.reach(terms.side) + sum(held.worst_reach() for held in _others(all_held, own))


def _gross(own: Held, all_held: Iterable[Held], terms: Terms) -> Decimal:
    return own.exposure(terms.side) + sum((held.worst_exposure() for held in _others(all_held, own)), Decimal(0))


def _counted(own: Held, all_held: Iterable[Held]) -> list[Held]:
    return [own, *_others(all_held, own)]


def _net(counted: Iterable[Held], terms: Terms) -> Decimal:
    """What is on the other side would only take from the sum: where it is not known how much, it takes nothing."""
    return sum((held.net(terms.side) for held in counted if held.is_sized), Decimal(0))


def _bound(own: Held, all_held: Iterable[Held], terms: Terms) -> Decimal:
    return own.bound(terms.side) + sum((held.worst_bound() for held in _others(all_held, own)), Decimal(0))


def _others(all_held: Iterable[Held], own: Held) -> Iterable[Held]:
    return (held for held in all_held if (held.symbol, held.product) != (own.symbol, own.product))


def _own(situation: CheckContext, terms: Terms) -> Held:
    """What the order's strategy has of its symbol and product."""
    flat, key = Held(terms.symbol, terms.product), (terms.symbol, terms.product)
    return next((held for held in situation.held_by_strategy() if (held.symbol, held.product) == key), flat)


def _unsized(own: Held, all_held: Iterable[Held]) -> str | None:
    """The symbol of something that is held or open, and of which it is not known what it is in rupees."""
    counted = (own, *_others(all_held, own))
    return next((held.symbol for held in counted if not held.is_sized and held.worst_reach()), None)


def _above(name: str, limit: Decimal, value: Decimal) -> Failure | None:
    if value <= limit:
        return None
    value = value.quantize(Decimal("0.01"))
    return Failure(f"{name} may be at most {limit:f} rupees, and would be {value:f}", limit, value)


def _unknown(name: str, limit: Decimal) -> Failure:
    return Failure(f"{name} may be at most {limit:f} rupees, and without a last price it cannot be known", limit)


def _not_sized(name: str, limit: Decimal, symbol: str) -> Failure:
    words = f"{name} may be at most {limit:f} rupees, and cannot be known: the size of a lot of {symbol} is not"
    return Failure(words, limit)
