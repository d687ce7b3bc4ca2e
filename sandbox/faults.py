"""Which faults are armed, and when they strike: by a probability, a count, or the next time."""

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from durable_orders.sandbox.fault_kinds import NATURES, FaultKind, possible_routes
from durable_orders.sandbox.routes import Route

WITH_MESSAGE = (FaultKind.REFUSED, FaultKind.REJECTED_LATER, FaultKind.SLICE_REFUSED, FaultKind.MARKET_REFUSED)


class FaultRule(BaseModel):
    """When one kind of fault strikes: exactly one of `probability`, `count` and `next`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    probability: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of each request (order update, heartbeat) that it can strike."""
    count: Annotated[int, Field(gt=0)] | None = None
    """It strikes so many times from now on, and is gone."""
    next: bool = False
    """It strikes once, and is gone."""
    seconds: Annotated[float, Field(gt=0, le=1e9)] | None = None
    routes: frozenset[Route] | None = None
    """Only requests of these routes; without them, those of the kind."""
    http_status: Annotated[int, Field(ge=400, le=599)] | None = None
    error_type: str | None = None
    message: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.probability is not None) + (self.count is not None) + self.next != 1:
            raise ValueError("a fault strikes by exactly one of probability, count and next")
        nature = NATURES[self.kind]
        if self.seconds is not None and nature.seconds is None:
            raise ValueError(f"seconds: {self.kind} knows no duration")
        if self.routes is not None and not self.routes <= possible_routes(self.kind):
            raise ValueError(f"routes: {self.kind} strikes only {sorted(possible_routes(self.kind)) or 'by itself'}")
        told = {"http_status", "error_type"} if self.kind is not FaultKind.REFUSED else set()
        told |= {"message"} if self.kind not in WITH_MESSAGE else set()
        if given := sorted(field for field in told if getattr(self, field) is not None):
            raise ValueError(f"{given[0]}: {self.kind} takes none")
        return self

    @property
    def lasts(self) -> float:
        """Seconds, given or the kind's own."""
        return self.seconds if self.seconds is not None else NATURES[self.kind].seconds or 0.0

    def strikes_at(self, route: Route | None) -> bool:
        return route is None or route in (self.routes if self.routes is not None else NATURES[self.kind].routes)


class _Armed:
    """A rule, and what is left of it."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.left = 1 if rule.next else rule.count

    def strikes(self, random: Random) -> bool:
        if self.left is None:
            return self.rule.probability is not None and random.random() < self.rule.probability
        self.left -= 1
        return True

    @property
    def spent(self) -> bool:
        return self.left == 0


class Faults:
    """The rules that are armed. Each kind has its own random numbers: those of one say nothing of another's."""

    def __init__(self, seed: int, rules: Iterable[FaultRule] = ()) -> None:
        self._armed: list[_Armed] = []
        self._random = {kind: Random(f"{seed}:{kind}") for kind in FaultKind}  # noqa: S311
        self.struck: Counter[FaultKind] = Counter()
        """How often each kind has struck."""
        for rule in rules:
            self.arm(rule)

    def arm(self, rule: FaultRule) -> None:
        self._armed.append(_Armed(rule))

    def clear(self, kind: FaultKind | None = None) -> None:
        """Disarm one kind, or all."""
        self._armed = [armed for armed in self._armed if kind is not None and armed.rule.kind is not kind]

    def take(self, kind: FaultKind, route: Route | None = None) -> FaultRule | None:
        """The rule, if a fault of that kind strikes now. The oldest rule that does counts."""
        for armed in self._armed:
            if armed.rule.kind is kind and armed.rule.strikes_at(route) and armed.strikes(self._random[kind]):
                self.struck[kind] += 1
                if armed.spent:
                    self._armed.remove(armed)
                return armed.rule
        return None

    def shown(self) -> dict[str, Any]:
        """For the control endpoint."""
        armed = [
            armed.rule.model_dump(mode="json", exclude_none=True, exclude={"next"}) | {"left": armed.left}
            for armed in self._armed
        ]
        return {"armed": armed, "struck": dict(self.struck)}
