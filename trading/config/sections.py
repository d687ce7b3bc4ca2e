"""What the sections of the settings are made of."""

from datetime import time
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bps = Annotated[Decimal, Field(ge=0, le=10_000)]
Probability = Annotated[float, Field(ge=0, le=1)]
Rupees = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=4, allow_inf_nan=False)]
Percent = Annotated[Decimal, Field(gt=0, le=1000, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


def _clock_time(value: Any) -> Any:
    """YAML reads an unquoted 15:30 as a number to the base of sixty: 930, and 15:30:00 as 55800."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    seconds = value * 60 if value < 24 * 60 else value
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _without_zone(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("must be a time of the day in IST, without a zone")
    return value


ClockTime = Annotated[time, BeforeValidator(_clock_time), AfterValidator(_without_zone)]
"""A time of the day in IST, as in `09:15`."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
