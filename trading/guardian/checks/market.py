"""Whether an order's price makes sense in today's market."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from durable_orders.trading.config.settings import CircuitLimits
from durable_orders.trading.guardian.check import Check, Failure, Measure, When
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.market.rules import outside
from durable_orders.trading.orders.order import Terms


class PriceKnown(Check):
    """The symbol must have a last price."""

    code: ClassVar[str] = "NO_PRICE"
    settings: ClassVar[tuple[str, ...]] = ("guardian.require_price",)
    when: ClassVar[When] = When.NEW_PRICE

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return Failure(f"{terms.symbol} has no last price") if situation.last_price is None else None


@dataclass(frozen=True, slots=True)
class PriceFresh(Check):
    """The last price, if there is one, must have come within so many seconds."""

    limit: float
    code: ClassVar[str] = "STALE_PRICE"
    settings: ClassVar[tuple[str, ...]] = ("guardian.max_price_age", "guardian.reject_if_price_stale_secs")
    when: ClassVar[When] = When.NEW_PRICE

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        age = _age(situation)
        if age is None or age <= self.limit:
            return None
        words = f"the last price of {terms.symbol} may be at most {self.limit:g} s old, was {age:.1f} s"
        return Failure(words, self.limit, round(age, 1))

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        age = _age(situation)
        return None if age is None else Measure(self.limit, round(age, 1), unit="seconds")


@dataclass(frozen=True, slots=True)
class PriceBand(Check):
    """A LIMIT price may be so many percent from the last price, the limit of an SL order from its trigger. An order
    without either passes."""

    limit: Decimal
    code: ClassVar[str] = "PRICE_BAND"
    settings: ClassVar[tuple[str, ...]] = ("guardian.price_band_percent", "guardian.reject_if_slippage_pct")
    when: ClassVar[When] = When.NEW_PRICE

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        away = _away(terms, situation)
        if away is None or away <= self.limit:
            return None
        reference = terms.trigger_price or situation.last_price
        name = "trigger" if terms.trigger_price else "last price"
        words = f"price {terms.price} may be at most {self.limit:f} % from the {name} {reference}, was {away:.2f} %"
        return Failure(words, self.limit, away.quantize(Decimal("0.01")))

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        away = _away(terms, situation)
        return None if away is None else Measure(self.limit, away.quantize(Decimal("0.01")), unit="%")


@dataclass(frozen=True, slots=True)
class WithinCircuitLimits(Check):
    """Price and trigger price must lie within today's circuit limits."""

    limits: Mapping[str, CircuitLimits]
    code: ClassVar[str] = "CIRCUIT_LIMIT"
    settings: ClassVar[tuple[str, ...]] = ("guardian.circuit_limits",)
    when: ClassVar[When] = When.NEW_PRICE

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        band = self.limits.get(terms.symbol)
        if band is None:
            return None
        words = outside(band, terms)
        return Failure(words, f"{band.lower} to {band.upper}") if words is not None else None


def _age(situation: CheckContext) -> float | None:
    """Seconds since the last price was received."""
    received_at = situation.price_received_at
    return None if received_at is None else (situation.now - received_at).total_seconds()


def _away(terms: Terms, situation: CheckContext) -> Decimal | None:
    """How far a LIMIT price is from the last one, the limit of an SL order from its trigger, in percent."""
    reference = terms.trigger_price or situation.last_price
    if terms.price is None or reference is None:
        return None
    return abs(terms.price - reference) / reference * 100
