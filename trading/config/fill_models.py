"""How the paper exchange fills, as settings: a model each, alone or composed. docs/paper-market.md has the formulas."""

from datetime import time
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from durable_orders.trading.config.sections import Bps, ClockTime, Count, Probability, Seconds, Section

Share = Annotated[Decimal, Field(gt=0, le=1)]
Factor = Annotated[Decimal, Field(ge=0, le=100)]
Milliseconds = Annotated[int, Field(ge=0, le=60_000)]


class PriceImprovement(StrEnum):
    """When a limit order gets a better price than its limit, if the market has one."""

    ALWAYS = "always"
    ON_ARRIVAL = "on_arrival"
    """Not when it rests: then others come to its price."""
    NEVER = "never"


class DayPart(Section):
    """A part of the day in which spread and slippage are so many times what they are else. Its end does not belong."""

    opens: ClockTime
    closes: ClockTime
    factor: Factor

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("opens: must be before closes")
        return self


OPENING = DayPart(opens=time(9, 15), closes=time(9, 30), factor=Decimal(2))
CLOSING = DayPart(opens=time(15, 0), closes=time(15, 30), factor=Decimal("1.5"))


class FillModels(Section):
    """Prices in basis points of the last price. What is not enabled does nothing."""

    slippage_enabled: bool = True
    slippage_bps: Bps = Decimal(5)
    spread_enabled: bool = False
    spread_bps: Bps = Decimal(2)
    """Between bid and ask: an order meets half of it."""
    price_improvement: PriceImprovement = PriceImprovement.ALWAYS
    volume_impact_enabled: bool = False
    volume_impact: Share = Decimal("0.1")
    """The price moves by this, times the square of the order's share of what was traded since the tick before."""
    square_root_enabled: bool = False
    square_root_coefficient: Factor = Decimal(1)
    daily_volatility_bps: Bps = Decimal(100)
    daily_volume: Count | None = None
    """Units; without it, what was traded in the session so far. With the two above, the square-root law's figures."""
    time_of_day_enabled: bool = False
    time_of_day: tuple[DayPart, ...] = (OPENING, CLOSING)
    """Spread and slippage by the market's clock, IST."""
    depth_enabled: bool = False
    """Walk the levels of the order book, where ticks carry one; where they carry bid and ask alone, meet those."""
    queue_enabled: bool = False
    """A limit order that rests waits for its turn among those that were there before, as far as volume shows it."""
    queue_quantity: Annotated[int, Field(ge=0)] = 0
    """Units taken to be ahead of it where the tick does not show the level."""
    volume_limit_enabled: bool = False
    volume_limit: Share = Decimal("0.025")
    """Part of what was traded since the tick before that all orders together may have."""
    partial_fill_enabled: bool = False
    partial_fill_probability: Probability = 0.1
    partial_fill_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    market_protection_enabled: bool = True
    """What a MARKET order does not fill at once rests as a LIMIT some percent beyond the last price, on days from
    1 April 2026 on, as at Kite."""
    market_rests_probability: Probability = 0.0
    """How often a MARKET order finds the price moved away by more than that, and rests whole."""
    latency_enabled: bool = False
    latency_ms: Milliseconds = 50
    """How long an order takes to the exchange, and a change or a cancel too where it has none of its own."""
    modify_latency_ms: Milliseconds | None = None
    cancel_latency_ms: Milliseconds | None = None
    request_limits: bool = True
    """Refuse orders and changes above Kite's limits a minute and a day, by the market's time, in sessions since
    `rules.yaml` has them."""
    seed: int = 0
    stale_tick_seconds: Seconds = 20.0
    """A last price received longer ago than this fills nothing; the order waits for the next tick."""

    @model_validator(mode="after")
    def _parts_of_one_day(self) -> Self:
        parts = sorted(self.time_of_day, key=lambda part: part.opens)
        if any(after.opens < before.closes for before, after in pairwise(parts)):
            raise ValueError("time_of_day: its parts must not overlap")
        return self

    @property
    def counts_volume(self) -> bool:
        """Whether what was traded since the tick before matters."""
        return self.volume_impact_enabled or self.queue_enabled or self.volume_limit_enabled

    @property
    def shares_liquidity(self) -> bool:
        """Whether what one order takes of a tick is missing to the next."""
        return self.counts_volume or self.depth_enabled
