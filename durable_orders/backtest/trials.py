"""What a sweep is made of: combinations of values, and what each came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from durable_orders.backtest.recorded import Days

Values = tuple[tuple[str, str], ...]
"""Of each parameter, as `--set` takes it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one combination came to. Rupees, but for the counts."""

    values: dict[str, str]
    net_profit: Decimal
    gross_profit: Decimal
    charges: Decimal
    max_drawdown: Decimal
    """At least 0."""
    orders: int
    wins: int
    losses: int
    failure: str | None
    """Why the strategy was stopped, or the files ended, before the end."""
    refused: str | None = None
    """Why nothing was traded, if every single order was refused."""

    @property
    def stopped(self) -> str | None:
        """Why its figures say nothing about its values."""
        return self.failure or self.refused


def best_first(results: Sequence[Result]) -> list[Result]:
    """By net profit; those that were stopped come last. Equal ones stay in the order of their values."""
    return sorted(results, key=lambda each: (each.stopped is not None, -each.net_profit))


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination, over all of the ticks or over those of some days."""

    values: Values
    days: Days | None = None
