"""What a schedule is: one order in parts over a time, each of a size that is drawn once."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from durable_orders.trading.ist import IST
from durable_orders.trading.orders.content import Why
from durable_orders.trading.orders.order import (
    Frozen,
    Name,
    OrderType,
    Price,
    Product,
    Quantity,
    Side,
    Symbol,
    Terms,
)
from durable_orders.trading.plans.content import Identity, PlanTime

MOST_SLICES = 500
SHORTEST = timedelta(seconds=5)
"""Between two slices: what the one before has come to is to be known by then."""
Weight = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=4, allow_inf_nan=False)]

TWAP, VWAP = SCHEDULES = ("twap", "vwap")
"""Kinds of plans of which nothing is to have a stop."""


class ScheduleTerms(Frozen):
    """A schedule: one order in parts over a time."""

    strategy: Name = "manual"
    reason: Why = ""
    family: Literal["schedule"] = "schedule"
    symbol: Symbol
    side: Side
    quantity: Quantity
    product: Product = Product.MIS
    begins_at: PlanTime
    ends_at: PlanTime
    enter_by: PlanTime | None = None
    """On the wall's clock: a schedule that has not been taken in by then is refused as too late."""
    slices: Annotated[int, Field(ge=2, le=MOST_SLICES)]
    price: Price | None = None
    """Rupees: no part is bought dearer or sold cheaper. Without one, each part is at the market."""
    randomise: Annotated[int, Field(ge=0, le=90)] = 0
    """Percent by which a part may be greater or smaller than its share."""
    profile: Annotated[tuple[Weight, ...], Field(max_length=MOST_SLICES)] = ()
    """How much volume the market has in the time of each slice, of whatever unit; without one, all alike."""
    catch_up: bool = True
    """Whether what a part has not traded in its time is added to the next one."""

    @property
    def every(self) -> timedelta:
        return (self.ends_at - self.begins_at) / self.slices

    def begin_by(self, asked_at: datetime) -> datetime | None:
        """What was asked for: its slices have times of their own."""
        return self.enter_by

    def due(self, number: int) -> datetime:
        """When a slice goes out, from 0; with the number of slices, when all is over."""
        return self.begins_at + self.every * number

    def terms(self) -> Terms:
        """Of all of it as one order. Raises `ValueError` (pydantic's)."""
        return Terms(
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            order_type=OrderType.MARKET if self.price is None else OrderType.LIMIT,
            price=self.price,
            product=self.product,
        )

    def sizes(self, lot: int, random: Random) -> tuple[int, ...]:
        """How much each slice is for: whole lots, at least one each, all of it together. Raises `ValueError` with the
        field and the rule where that cannot be."""
        lots, rest = divmod(self.quantity, lot)
        if rest:
            raise ValueError(f"quantity: must be a multiple of the lot of {lot}, was {self.quantity}")
        if lots < self.slices:
            raise ValueError(f"slices: {lots} lots of {lot} cannot be split into {self.slices} parts of whole lots")
        shares = [float(weight) for weight in self.profile] or [1.0] * self.slices
        spread = self.randomise / 100
        drawn = [share * random.uniform(1 - spread, 1 + spread) for share in shares] if spread else shares
        total = sum(drawn)
        ends = [round(lots * sum(drawn[: number + 1]) / total) for number in range(self.slices)]
        parts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        while 0 in parts:
            parts[parts.index(max(parts))] -= 1
            parts[parts.index(0)] += 1
        return tuple(part * lot for part in parts)

    def summary(self) -> str:
        """`twap BUY 750 NFO:NIFTY25MAYFUT in 10 slices of 2 min from 09:30 at most 24300 MIS`."""
        kind = VWAP if self.profile else TWAP
        limit = "" if self.price is None else f" at {'most' if self.side is Side.BUY else 'least'} {self.price}"
        begins, ends = self.begins_at.astimezone(IST), self.ends_at.astimezone(IST)
        times = f"from {begins:%d %b %H:%M:%S} to {ends:%H:%M:%S}"
        return f"{kind} {self.side} {self.quantity} {self.symbol} in {self.slices} slices {times}{limit} {self.product}"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self.terms()
        if self.ends_at <= self.begins_at:
            raise ValueError(f"to: must lie after from, was {self.ends_at.isoformat()}")
        if self.every < SHORTEST:
            seconds = self.every.total_seconds()
            words = f"slices: {self.slices} would be {seconds:.1f} s apart, and must be at least"
            raise ValueError(f"{words} {SHORTEST.total_seconds():.0f} s apart")
        if self.profile and len(self.profile) != self.slices:
            raise ValueError(f"profile: must have {self.slices} weights, one for each slice, has {len(self.profile)}")
        return self


class ScheduleIntent(ScheduleTerms, Identity):
    """A schedule as somebody asks for it."""


def drawn_by(plan: Identity) -> Random:
    """What the sizes of a plan are drawn by where a market waits for it: the same in a backtest and on paper."""
    return Random(f"{plan.account} {plan.plan_id}")  # noqa: S311
