"""What of a day was listened to, symbol by symbol; what was not is a gap, and is said."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

KILLED = "the recorder was not running"
NOT_ASKED = "not recorded until then"


@dataclass(frozen=True, slots=True)
class Turn:
    """From that moment on these symbols are heard, or are not any more."""

    at: datetime
    symbols: tuple[str, ...]
    heard: bool
    why: str = ""

    def line(self) -> str:
        told = {"at": self.at.isoformat(), "heard" if self.heard else "lost": self.symbols}
        return json.dumps(told | ({"why": self.why} if self.why else {})) + "\n"


@dataclass(frozen=True, slots=True)
class Gap:
    begin: datetime
    end: datetime
    why: str

    def told(self) -> dict[str, str]:
        return {"from": self.begin.isoformat(), "to": self.end.isoformat(), "why": self.why}


def read_turns(file: Path) -> list[Turn]:
    """Those that can be read: a line that a failing disk cut short says nothing."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [turn for line in lines if (turn := _turn(line)) is not None]


def _turn(line: str) -> Turn | None:
    try:
        told = json.loads(line)
        heard = "heard" in told
        symbols = tuple(told["heard" if heard else "lost"])
        return Turn(datetime.fromisoformat(told["at"]), symbols, heard, str(told.get("why", "")))
    except (ValueError, KeyError, TypeError):
        return None


def still_heard(turns: Iterable[Turn]) -> set[str]:
    """The symbols whose end nobody wrote down."""
    heard: set[str] = set()
    for turn in turns:
        heard = heard | set(turn.symbols) if turn.heard else heard - set(turn.symbols)
    return heard


def gaps(turns: Collection[Turn], symbol: str, opens: datetime, closes: datetime) -> list[Gap]:
    """When the symbol was not heard between these moments, with the reason for each."""
    found, since, why = list[Gap](), opens, NOT_ASKED
    heard = False
    for turn in sorted((turn for turn in turns if symbol in turn.symbols), key=lambda turn: turn.at):
        if turn.heard and not heard and turn.at > since:
            found.append(Gap(since, min(turn.at, closes), why))
        if not turn.heard and heard:
            since, why = max(turn.at, opens), turn.why
        heard = turn.heard
    if not heard and since < closes:
        found.append(Gap(since, closes, why))
    return [gap for gap in found if gap.begin < gap.end]
