"""Rows that tell something else than what happened: what a reconciliation has to find. The exchange stays as it is."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from durable_orders.sandbox.routes import Route

Row = dict[str, Any]
FALSIFIABLE = (Route.ORDER_BOOK, Route.TRADES, Route.POSITIONS, Route.HOLDINGS, Route.CONTRACT_NOTE)


class Falsehood(BaseModel):
    """From now on the rows of that route that have these values are left out, or show others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: Literal[FALSIFIABLE]  # type: ignore[valid-type]
    where: Annotated[dict[str, str | int], Field(min_length=1)]
    """Fields of the row, such as `trade_id`, and what stands in them."""
    remove: bool = False
    change: dict[str, str | int | float] = {}
    """Fields, and what they show instead. `charges.brokerage` is one inside `charges`."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.remove == bool(self.change):
            raise ValueError("remove, change: give one of them")
        return self

    def tells_of(self, row: Mapping[str, Any]) -> bool:
        return all(str(row.get(name)) == str(value) for name, value in self.where.items())


class Falsified:
    def __init__(self) -> None:
        self._rules: list[Falsehood] = []

    def add(self, rule: Falsehood) -> None:
        self._rules.append(rule)

    def clear(self) -> None:
        self._rules = []

    def rows(self, route: Route, rows: Iterable[Row]) -> list[Row]:
        """As the route shows them."""
        shown = list(rows)
        for rule in self._rules:
            if rule.route == route:
                shown = [
                    _changed(row, rule.change) if rule.tells_of(row) else row
                    for row in shown
                    if not (rule.remove and rule.tells_of(row))
                ]
        return shown


def _changed(row: Row, change: Mapping[str, Any]) -> Row:
    fresh = dict(row)
    for path, value in change.items():
        name, _, rest = path.partition(".")
        fresh[name] = _changed(fresh.get(name) or {}, {rest: value}) if rest else value
    return fresh
