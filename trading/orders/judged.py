"""What the guardian had before it when it let an order pass: the evidence of its checks."""

from datetime import datetime
from typing import Any, NamedTuple


class CheckFigure(NamedTuple):
    """Where an order stood against one limit. Figures are words, as the check has them."""

    code: str
    limit: str
    before: str | None
    """Without the order; `None` for a limit on each order alone."""
    value: str
    """With the order."""
    unit: str = ""

    def __str__(self) -> str:
        before = "" if self.before in (None, self.value) else f", {self.before} before"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.code}: {self.value} of at most {self.limit}{unit}{before}"


class Judged(NamedTuple):
    """One time that an order, or a change of it, has passed all checks."""

    at: datetime
    checks: int
    """How many they were, with those that have no figure."""
    figures: tuple[CheckFigure, ...]

    def as_json(self) -> list[Any]:
        """For the ledger: without names, as there is one for each order."""
        return [self.at.isoformat(), self.checks, *(list(figure) for figure in self.figures)]

    def as_dict(self) -> dict[str, Any]:
        """With names, for whoever asks."""
        return {"at": self.at, "checks": self.checks, "figures": [figure._asdict() for figure in self.figures]}

    @classmethod
    def of_json(cls, kept: list[Any]) -> "Judged":
        at, checks, *figures = kept
        return cls(datetime.fromisoformat(at), checks, tuple(CheckFigure(*figure) for figure in figures))
