"""The recordings of a folder: compacted once they are over, and told of."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import time_ns
from typing import Any

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.recordings.compaction import Decode, check, compact
from durable_orders.trading.market.recordings.coverage import Gap, Turn, gaps, read_turns
from durable_orders.trading.market.recordings.journal import DamagedJournal
from durable_orders.trading.market.recordings.places import PARQUET, Place, days


def compact_day(
    place: Place,
    symbols: Collection[str],
    sessions: SessionSource,
    decode: Decode,
    unseen: Turn | None = None,
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> dict[str, str]:
    """Make one Parquet file of the journals of each of these symbols. Returns what could not be done: by symbol, a
    sentence.

    `unseen` is the end of a recorder that did not write it down. While a journal is set aside nobody may write to it:
    that is what is `alone`. Blocks.
    """
    turns = read_turns(place.coverage)
    turns += [unseen] if unseen is not None else []
    troubles = {}
    for symbol, journals in place.journals().items():
        if symbol not in symbols:
            continue
        try:
            with alone():
                ready = [_set_aside(place, journal, symbol) for journal in journals]
            compact(ready, place.parquet(symbol), symbol, _about(place, sessions, symbol, turns), decode)
        except (InvalidTicks, OSError, DamagedJournal) as problem:
            troubles[symbol] = f"{symbol} of {place.day} is not compacted: {problem}; its journal stays"
    return troubles


def _set_aside(place: Place, journal: Path, symbol: str) -> Path:
    if journal != place.journal(symbol):
        return journal
    return journal.rename(place.set_aside(journal, time_ns()))


def _about(place: Place, sessions: SessionSource, symbol: str, turns: list[Turn]) -> dict[str, Any]:
    session = sessions.of(symbol).session_on(place.day)
    told: dict[str, Any] = {"day": place.day.isoformat(), "session": None, "gaps": []}
    if session is not None:
        told["session"] = [session.opens.isoformat(), session.closes.isoformat()]
        told["gaps"] = [gap.told() for gap in gaps(turns, symbol, session.opens, session.closes)]
    return told


@dataclass(frozen=True, slots=True)
class Recording:
    """One file, read whole and held against what it says of itself."""

    file: Path
    day: str
    symbol: str
    ticks: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[Gap, ...]
    left_out: dict[str, int]
    """Ticks that are not in it, by why."""
    problem: str | None = None
    """Why it is not to be used."""


def recordings(folder: Path, day: str | None = None) -> Iterator[Recording]:
    """Of each file, or each of that day. Every page is held against its checksum."""
    for place in days(folder):
        if day in (None, place.day.isoformat()):
            for file in sorted(place.path.glob(f"*/*{PARQUET}")):
                yield _recording(file, place)


def _recording(file: Path, place: Place) -> Recording:
    try:
        about = check(file)
    except InvalidTicks as error:
        name = f"{file.parent.name}:{file.stem}"
        return Recording(file, place.day.isoformat(), name, 0, None, None, (), {}, str(error))
    counted = about["counted"]
    missed = tuple(
        Gap(datetime.fromisoformat(gap["from"]), datetime.fromisoformat(gap["to"]), gap["why"]) for gap in about["gaps"]
    )
    left_out = {name: counted[name] for name in ("repeated", "late", "unreadable", "damaged") if counted[name]}
    first, last = (_moment(counted[name]) for name in ("first", "last"))
    return Recording(file, about["day"], about["symbol"], counted["rows"], first, last, missed, left_out)


def _moment(epoch: int | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, IST)
