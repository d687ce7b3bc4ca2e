"""Hooks: how an alert from outside becomes an order or a plan."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from durable_orders.trading.config.sections import Seconds, Section

Template = Annotated[str, Field(min_length=1, max_length=500)] | int | float
"""A value as it is, or with `{{names}}` of what the alert's body has."""

SHORTEST = 8
"""Characters of a secret, as of a password: who guesses is held up after ten."""


class HookOrder(Section):
    """The order, in the words of the client's `place`. What is not here has the client's defaults."""

    symbol: Template
    side: Template
    quantity: Template
    order_type: Template | None = None
    price: Template | None = None
    trigger_price: Template | None = None
    product: Template | None = None
    validity: Template | None = None
    strategy: Template | None = None
    """The hook's name, if it is not given."""
    reason: Template | None = None


def leaves(templates: object, name: str = "plan") -> Iterator[tuple[str, object]]:
    """Each value of a plan's nested templates, with its name, as in `plan.stop.trigger_price`."""
    if isinstance(templates, Mapping):
        for key, each in templates.items():
            yield from leaves(each, f"{name}.{key}")
    elif isinstance(templates, list):
        for number, each in enumerate(templates):
            yield from leaves(each, f"{name}.{number}")
    else:
        yield name, templates


class Hook(Section):
    """Alerts that come in at `POST /hooks/NAME`."""

    secret: SecretStr
    """At least 8 characters. Whoever knows it may place these orders: in the path, as `secret` in the address or the
    body, or in the header `X-Hook-Secret`."""
    order: HookOrder | None = None
    plan: dict[str, Any] | None = None
    """In place of `order`: a plan, in the shape of `POST /api/v1/plans`, each value with `{{names}}` if you like."""
    id: Template | None = None
    """What the alert calls itself, as in `{{id}}`: the order's client order id, or is hashed into one. Without it, the
    hook's name, the body and `time` are. An id that an order has which this hook did not make is refused."""
    time: Template | None = None
    """When its bar closed, or it was sent: ISO 8601, where IST is meant without a zone, or seconds since 1970."""
    within: Seconds | None = None
    """Seconds after `time`, or after it came in, past which the order is no longer sent. The usual deadline without."""
    each: Template | None = None
    """Several orders from one alert: a list, or names with commas between, as ChartInk's `{{stocks}}`. In `order` and
    `id`, `{{item}}` is the one that it is about, and `{{number}}` its place, from 0."""
    symbols: dict[str, str] = Field(default_factory=dict)
    """What the sender calls a symbol, and what it is here, as in `NIFTY: NFO:NIFTY25MAYFUT`. A future without an end,
    as `NIFTY1!`, is the one that expires next; a name without an exchange is NSE's."""

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value().strip()) < SHORTEST:
            raise ValueError(f"must have at least {SHORTEST} characters")
        return secret

    @field_validator("plan")
    @classmethod
    def _has_values(cls, plan: dict[str, Any] | None) -> dict[str, Any] | None:
        for name, value in leaves(plan) if plan is not None else ():
            if not isinstance(value, str | int | float):
                raise ValueError(f"{name}: must be a value, or a text with {{{{names}}}}")
        return plan

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.order is None) == (self.plan is None):
            raise ValueError("order: give it or plan, one of the two")
        return self

    @model_validator(mode="after")
    def _knows_when_it_is_late(self) -> Self:
        if self.time is not None and self.within is None:
            raise ValueError("within: belongs to time: after how many seconds is an alert too old?")
        return self
