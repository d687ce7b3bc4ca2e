"""What an execution cost against the prices that were there. Pure; docs/quality.md has each formula with its source.

Signs: what cost something is above 0, whichever the side; a markout above 0 went our way. Basis points are of the price
that is compared with. What was not recorded is `None`, and so is everything that needs it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from durable_orders.trading.orders.order import Side

HORIZONS = (1, 5, 30, 60, 300)
"""Seconds after a fill at which it is looked back upon."""
UNKNOWN_MARKS: Mapping[str, Any] = dict.fromkeys(f"markout_{seconds}s_bps" for seconds in HORIZONS)
BPS = Decimal(10_000)
TWO, FOUR = Decimal("0.01"), Decimal("0.0001")
ZERO = Decimal(0)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Traded:
    """One fill."""

    quantity: int
    price: Decimal
    """Rupees, as quoted."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Moments:
    """When each step of the order was done; `None` where that was not recorded."""

    intent: datetime
    checked: datetime | None = None
    sent: datetime | None = None
    """Its permission was used up: the first byte leaves next."""
    answered: datetime | None = None
    """The broker has it, as its workflow knew."""
    recorded: datetime | None = None
    """The last fill is, so far."""
    arrival_tick: datetime | None = None
    """When the price at arrival was received."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What the market showed, in rupees as quoted; `None` where nobody recorded it."""

    decision: Decimal | None = None
    """When the intent was made."""
    arrival: Decimal | None = None
    """When it was checked."""
    bid: Decimal | None = None
    ask: Decimal | None = None
    """The best of the book then."""
    first_byte: Decimal | None = None
    """When it was sent."""
    vwap: Decimal | None = None
    """Of all trades between the check and the last fill."""
    close: Decimal | None = None
    """The last price of the day."""


@dataclass(frozen=True, slots=True)
class Execution:
    """An order as far as its execution is measured."""

    side: Side
    quantity: int
    """Wanted."""
    fills: Sequence[Traded]
    moments: Moments
    prices: Prices
    charges: Decimal | None
    """Rupees."""
    is_over: bool
    """Whether nothing more can fill: only then is what did not fill a cost."""
    multiplier: int = 1
    """Units of the price that one of the quantity stands for."""

    @property
    def filled(self) -> int:
        return sum([fill.quantity for fill in self.fills])


class Quality(NamedTuple):
    """The measures of one order. Rupees to the paisa, basis points to the hundredth, milliseconds whole."""

    filled_quantity: int
    average_price: Decimal | None
    decision_price: Decimal | None
    arrival_price: Decimal | None
    arrival_price_age_ms: int | None
    first_byte_price: Decimal | None
    slippage_bps: Decimal | None
    """Against arrival."""
    slippage_rupees: Decimal | None
    slippage_vwap_bps: Decimal | None
    slippage_vwap_rupees: Decimal | None
    slippage_close_bps: Decimal | None
    slippage_close_rupees: Decimal | None
    spread_paid_bps: Decimal | None
    """The effective spread."""
    spread_paid_rupees: Decimal | None
    opportunity_cost_rupees: Decimal | None
    charges_rupees: Decimal | None
    shortfall_rupees: Decimal | None
    shortfall_bps: Decimal | None
    markout_1s_bps: Decimal | None
    markout_5s_bps: Decimal | None
    markout_30s_bps: Decimal | None
    markout_60s_bps: Decimal | None
    markout_300s_bps: Decimal | None
    intent_to_checked_ms: int | None
    intent_to_sent_ms: int | None
    sent_to_answered_ms: int | None
    answered_to_first_fill_ms: int | None
    first_to_last_fill_ms: int | None
    last_fill_to_recorded_ms: int | None


PriceAt = Callable[[datetime], Decimal | None]
"""The last price that was traded until that moment; `None` where it is not known."""


def quality_of(execution: Execution, price_at: PriceAt | None = None) -> Quality:
    """Without `price_at` no price after a fill is known."""
    prices, fills = execution.prices, execution.fills
    filled, average = execution.filled, average_price(fills)
    middle = None if prices.bid is None or prices.ask is None else (prices.bid + prices.ask) / 2
    spread = None if (half := slippage(execution.side, average, middle)) is None else 2 * half
    slipped = slippage(execution.side, average, prices.arrival)
    to_vwap, to_close = (slippage(execution.side, average, each) for each in (prices.vwap, prices.close))
    missed = opportunity_cost(execution, prices.close)
    short = shortfall(execution, missed)
    marks = UNKNOWN_MARKS if price_at is None else _markouts(execution, price_at)
    units = filled * execution.multiplier
    return Quality(
        filled_quantity=filled,
        average_price=None if average is None else average.quantize(FOUR, ROUND_HALF_EVEN),
        decision_price=prices.decision,
        arrival_price=prices.arrival,
        first_byte_price=prices.first_byte,
        slippage_bps=_bps(slipped),
        slippage_rupees=_of_value(slipped, prices.arrival, units),
        slippage_vwap_bps=_bps(to_vwap),
        slippage_vwap_rupees=_of_value(to_vwap, prices.vwap, units),
        slippage_close_bps=_bps(to_close),
        slippage_close_rupees=_of_value(to_close, prices.close, units),
        spread_paid_bps=_bps(spread),
        spread_paid_rupees=_of_value(spread, middle, units),
        opportunity_cost_rupees=_rupees(missed),
        charges_rupees=_rupees(execution.charges),
        shortfall_rupees=_rupees(short),
        shortfall_bps=_shortfall_bps(short, execution),
        **marks,
        **_times(execution.moments, fills),
    )


def _markouts(execution: Execution, price_at: PriceAt) -> dict[str, Any]:
    side, fills = execution.side, execution.fills
    return {
        name: _bps(markout(side, fills, seconds, price_at))
        for name, seconds in zip(UNKNOWN_MARKS, HORIZONS, strict=True)
    }


def average_price(fills: Iterable[Traded]) -> Decimal | None:
    """Weighted by quantity; `None` without a fill."""
    quantity, value = 0, ZERO
    for fill in fills:
        quantity += fill.quantity
        value += fill.quantity * fill.price
    return value / quantity if quantity else None


def slippage(side: Side, price: Decimal | None, reference: Decimal | None) -> Decimal | None:
    """How much worse than `reference`, as a portion of it."""
    if price is None or not reference:
        return None
    return side.sign * (price - reference) / reference


def markout(side: Side, fills: Sequence[Traded], seconds: int, price_at: PriceAt) -> Decimal | None:
    """How far the price went our way within so many seconds of each fill, as a portion of what was paid. `None` where
    that price is not known for every fill."""
    gained = value = Decimal(0)
    for fill in fills:
        later = price_at(fill.at + timedelta(seconds=seconds))
        if later is None:
            return None
        gained += side.sign * fill.quantity * (later - fill.price)
        value += fill.quantity * fill.price
    return gained / value if value else None


def opportunity_cost(execution: Execution, close: Decimal | None) -> Decimal | None:
    """Rupees that what did not fill would have earned until the close, against arrival; nothing of an order that
    filled."""
    missing = execution.quantity - execution.filled
    if not missing:
        return ZERO
    arrival = execution.prices.arrival
    if not execution.is_over or close is None or arrival is None:
        return None
    return execution.side.sign * missing * execution.multiplier * (close - arrival)


def shortfall(execution: Execution, missed: Decimal | None) -> Decimal | None:
    """Rupees that the order came to be worse than on paper at arrival: execution, what did not fill, and charges."""
    arrival, fills = execution.prices.arrival, execution.fills
    charges = execution.charges if fills else ZERO
    if arrival is None or missed is None or charges is None:
        return None
    paid = sum([fill.quantity * (fill.price - arrival) for fill in fills], ZERO)
    return execution.side.sign * paid * execution.multiplier + missed + charges


def _shortfall_bps(short: Decimal | None, execution: Execution) -> Decimal | None:
    arrival = execution.prices.arrival
    return _bps(None if short is None or not arrival else short / (execution.quantity * execution.multiplier * arrival))


def _times(moments: Moments, fills: Sequence[Traded]) -> dict[str, Any]:
    traded = [fill.at for fill in fills]
    first, last = (min(traded), max(traded)) if traded else (None, None)
    return {
        "arrival_price_age_ms": _ms(moments.arrival_tick, moments.checked),
        "intent_to_checked_ms": _ms(moments.intent, moments.checked),
        "intent_to_sent_ms": _ms(moments.intent, moments.sent),
        "sent_to_answered_ms": _ms(moments.sent, moments.answered),
        "answered_to_first_fill_ms": _ms(moments.answered, first),
        "first_to_last_fill_ms": _ms(first, last),
        "last_fill_to_recorded_ms": _ms(last, moments.recorded),
    }


def _ms(begin: datetime | None, end: datetime | None) -> int | None:
    return None if begin is None or end is None else round((end - begin) / MILLISECOND)


def _bps(portion: Decimal | None) -> Decimal | None:
    return None if portion is None else (portion * BPS).quantize(TWO, ROUND_HALF_EVEN)


def _of_value(portion: Decimal | None, price: Decimal | None, units: int) -> Decimal | None:
    return None if portion is None or price is None else _rupees(portion * price * units)


def _rupees(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(TWO, ROUND_HALF_EVEN)


def weighted_mean(values: Iterable[tuple[Decimal | None, Decimal]]) -> Decimal | None:
    """Of those that are known, each with its weight; `None` without any."""
    mean = WeightedMean()
    for value, weight in values:
        mean.add(value, weight)
    return mean.value


class WeightedMean:
    """Of values that come one by one."""

    __slots__ = ("_total", "_weight")

    def __init__(self) -> None:
        self._total = self._weight = Decimal(0)

    def add(self, value: Decimal | None, weight: Decimal) -> None:
        """One that is not known, or has no weight, changes nothing."""
        if value is not None and weight > 0:
            self._total += value * weight
            self._weight += weight

    @property
    def value(self) -> Decimal | None:
        """`None` without any."""
        return (self._total / self._weight).quantize(TWO, ROUND_HALF_EVEN) if self._weight else None
