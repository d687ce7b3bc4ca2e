"""How an order that closes a position gets out, as settings."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from durable_orders.trading.config.sections import Section

Distance = Annotated[Decimal, Field(ge=0, lt=100, allow_inf_nan=False)]
Step = Annotated[Decimal, Field(gt=0, lt=100, allow_inf_nan=False)]


class Exits(Section):
    """How a closing order that rests is repriced, until nothing is held any more. docs/exits.md."""

    first_distance: Distance = Decimal("0.5")
    """Percent of the last price: so far below it a sale stands when it is first given a limit, and above it a buy."""
    step: Step = Decimal("0.5")
    """Percent of the last price, by which that distance grows each time."""
    interval: Annotated[float, Field(ge=1, le=3600)] = 5.0
    """Seconds that a closing order rests at a price before it gets the next one."""
    worst_price: Step | None = None
    """Percent of the price at which the exit began: beyond it no limit goes, whatever is left. It is alerted, and tried
    at that price until it fills. With it, no closing order is MARKET."""
    alert_interval: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    """Seconds between two alerts that a position is not closed yet."""
    max_price_age: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Seconds since the last price was received, live; by an older one no limit is set."""

    @model_validator(mode="after")
    def _worst_is_farthest(self) -> Self:
        if self.worst_price is not None and self.worst_price < self.first_distance:
            raise ValueError("worst_price: must not be nearer than first_distance")
        return self
