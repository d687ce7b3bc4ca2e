"""What the reading of data files came upon, in lines for whoever asked for it."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

VALUES = re.compile(r"(?:,|(?<=low) of|(?<=high) of) \d(?:[-\d.:+ ]*\d)?")
"""What a rule repeats of other rows or cells, as in `must not be below the low of 1499`."""
SHOWN = 8
"""Names or rules that one line repeats."""


@dataclass(slots=True)
class ReadingReport:
    """Filled while rows are read; nothing that is left out is left out in silence."""

    rows: int = 0
    """Rows that were read, whatever became of them."""
    columns: dict[str, None] = field(default_factory=dict)
    """Columns that nothing here needs."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Rows that cannot be, by the rule that they break; only where those are skipped."""
    first: dict[str, str] = field(default_factory=dict)
    """The first row of each such rule, in words."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that are right and of no use, such as those of a share that was not traded, by the reason."""
    outside: Counter[str] = field(default_factory=Counter)
    """Rows outside the sessions of their symbol, by the reason."""
    notes: dict[str, None] = field(default_factory=dict)
    """How something was taken that could be taken otherwise."""

    def skip(self, problem: str) -> None:
        """A row that cannot be. `problem` is the whole line, `FILE: line N: column: rule, was X`."""
        rule = VALUES.sub("", ": ".join(problem.split(": ")[2:]).partition(", was ")[0]) or problem
        self.skipped[rule] += 1
        self.first.setdefault(rule, problem)

    def note(self, words: str) -> None:
        """Told once."""
        self.notes.setdefault(words)

    def lines(self) -> list[str]:
        """What there is to say, most important first; empty if nothing is."""
        found = [_counted("rows skipped that cannot be", self.skipped)] if self.skipped else []
        found += [f"the first of them: {next(iter(self.first.values()))}"] if self.first else []
        found += [_counted("rows left out, outside the sessions of their symbol", self.outside)] if self.outside else []
        found += [_counted("rows left out", self.left_out)] if self.left_out else []
        found += list(self.notes)
        found += [f"columns that are not needed were left out: {_some(self.columns)}"] if self.columns else []
        return found


def _counted(words: str, counts: Counter[str]) -> str:
    parts = [f"{count} {reason}" for reason, count in counts.most_common()]
    return f"{words}: {sum(counts.values())} ({_some(parts)})"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
