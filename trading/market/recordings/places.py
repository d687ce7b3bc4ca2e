"""Where recordings lie: below one folder, by day, exchange and symbol."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

COVERAGE = "coverage.jsonl"
JOURNAL, PARQUET = ".ticks", ".parquet"
PLAIN = " &"
"""Of a tradingsymbol, what stands in a file's name as it is, beside letters, digits and `_.-~`."""


@dataclass(frozen=True, slots=True)
class Place:
    """One day's folder, as in `ticks/2026-11-30`, which has `NSE/INFY.parquet`."""

    folder: Path
    day: date

    @property
    def path(self) -> Path:
        return self.folder / self.day.isoformat()

    @property
    def coverage(self) -> Path:
        """What was listened to, and when."""
        return self.path / COVERAGE

    @property
    def alive(self) -> Path:
        """When the recorder last put down what it had."""
        return self.path / "alive"

    def journal(self, symbol: str) -> Path:
        return self._of(symbol, JOURNAL)

    def parquet(self, symbol: str) -> Path:
        return self._of(symbol, PARQUET)

    def _of(self, symbol: str, suffix: str) -> Path:
        return self.folder.joinpath(self.day.isoformat(), *_name(symbol, suffix))

    def journals(self) -> dict[str, list[Path]]:
        """Of each symbol, those that were set aside before, the oldest first, and then the one that is written to."""
        found: dict[str, list[Path]] = {}
        for file in sorted(self.path.glob(f"*/*{JOURNAL}"), key=lambda file: (_set_aside(file) is None, file.name)):
            stem = file.name.removesuffix(JOURNAL).removesuffix(_set_aside(file) or "")
            found.setdefault(f"{unquote(file.parent.name)}:{unquote(stem)}", []).append(file)
        return found

    def set_aside(self, journal: Path, number: int) -> Path:
        """The name under which a journal is compacted; `number` tells it from those before it."""
        return journal.with_name(f"{journal.name.removesuffix(JOURNAL)}~{number:020d}{JOURNAL}")


@lru_cache(maxsize=8192)
def _name(symbol: str, suffix: str) -> tuple[str, str]:
    """Of its folder, and of the file."""
    exchange, _, name = symbol.partition(":")
    return quote(exchange), f"{quote(name, safe=PLAIN)}{suffix}"


def _set_aside(file: Path) -> str | None:
    """The part of the name that says so. A symbol has no `~`."""
    _, mark, number = file.name.removesuffix(JOURNAL).rpartition("~")
    return f"{mark}{number}" if mark else None


def days(folder: Path) -> Iterator[Place]:
    """Those that have anything, the oldest first."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        try:
            day = date.fromisoformat(path.name)
        except ValueError:
            continue
        if path.is_dir():
            yield Place(folder, day)
