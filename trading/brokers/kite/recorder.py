"""Takes live ticks down as they come. What is heard is in memory for the moment between two writings, and never more
than a bound; what was missed, and why, is written beside it."""

import struct
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from durable_orders.trading.brokers.kite.full_packets import LENGTHS
from durable_orders.trading.brokers.kite.ticks import packets
from durable_orders.trading.ist import IST
from durable_orders.trading.market.recordings.coverage import KILLED, Turn, read_turns, still_heard
from durable_orders.trading.market.recordings.journal import append, record, stamp
from durable_orders.trading.market.recordings.places import Place

MOST_BUFFERED = 64 * 1024 * 1024
"""Bytes that wait for the disk: a minute of 2,000 ticks a second, and the only memory that grows."""
TOO_SLOW = "the disk takes longer than the ticks come"
DAY_OVER = "the day is over"
NOT_WANTED = "it was not traded"
DAY = timedelta(days=1)
_TIME = struct.Struct(">I")


@dataclass(slots=True)
class _Line:
    """What came of one symbol since the last writing."""

    symbol: str
    records: bytearray = field(default_factory=bytearray)
    length: int = 0
    """Of its packets."""
    last: bytes = b""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is to be written of one day."""

    place: Place
    at: datetime
    records: Mapping[str, tuple[int, bytes]]
    """By symbol: the length of its packets, and records."""
    turns: Collection[Turn]

    def write(self) -> None:
        """Blocks. Raises `OSError` where the disk does not take it: what was written until then stays."""
        self.place.path.mkdir(parents=True, exist_ok=True)
        for symbol, (length, records) in self.records.items():
            file = self.place.journal(symbol)
            try:
                append(file, length, records)
            except FileNotFoundError:
                file.parent.mkdir(exist_ok=True)
                append(file, length, records)
        if self.turns:
            with self.place.coverage.open("a", encoding="utf-8") as lines:
                lines.write("".join(turn.line() for turn in self.turns))
        self.place.alive.write_text(self.at.isoformat(), encoding="utf-8")


def ended_unseen(place: Place) -> Turn | None:
    """The end of a recorder that did not write it down: when it last wrote anything."""
    heard = still_heard(turns := read_turns(place.coverage))
    if not heard:
        return None
    try:
        at = datetime.fromisoformat(place.alive.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        at = max(turn.at for turn in turns)
    return Turn(at, tuple(sorted(heard)), heard=False, why=KILLED)


class TickRecorder:
    """`Taken.write` may be called in another thread; everything else is of one."""

    def __init__(self, clock: Callable[[], datetime], start: Place) -> None:
        """`start` is today's."""
        self._clock = clock
        self._lines: dict[bytes, _Line] = {}
        self._heard: dict[str, datetime] = {}
        self._turns: list[Turn] = []
        self._buffered = 0
        self._paused: str | None = None
        self._written_at = clock()
        self._begin(start)
        if (unseen := ended_unseen(start)) is not None:
            self._turns.append(unseen)

    def _begin(self, place: Place) -> None:
        """Ticks of that day are taken, and no others: a new subscription repeats the last one of the day before."""
        self._place = place
        midnight = datetime(place.day.year, place.day.month, place.day.day, tzinfo=IST)
        self._from, self._to = int(midnight.timestamp()), int((midnight + DAY).timestamp())

    @property
    def place(self) -> Place:
        return self._place

    @property
    def paused(self) -> str | None:
        """Why nothing is taken down; `None` while everything is."""
        return self._paused

    def listen_to(self, tokens: Mapping[int, str]) -> None:
        """Which instruments' packets are taken down, with their symbols. What is not among them any more is not heard:
        if it comes back, what was between is a gap."""
        left = {symbol: since for symbol, since in self._heard.items() if symbol not in set(tokens.values())}
        if left and self._paused is None:
            self._end(self._clock(), NOT_WANTED, left)
        self._heard = {symbol: since for symbol, since in self._heard.items() if symbol not in left}
        known = {line.symbol: line for line in self._lines.values()}
        self._lines = {token.to_bytes(4, "big"): known.get(symbol) or _Line(symbol) for token, symbol in tokens.items()}

    def heard(self, symbols: Collection[str]) -> None:
        """From now on these come in."""
        now = self._clock()
        new = {symbol: now for symbol in symbols if symbol not in self._heard}
        self._heard |= new
        if new and self._paused is None:
            self._turns.append(Turn(now, tuple(sorted(new)), heard=True))

    def lost(self, why: str, at: datetime | None = None) -> None:
        """Nothing comes in any more, since `at`."""
        if self._paused is None:
            self._end(at or self._clock(), why, self._heard)
        self._heard = {}

    def _end(self, at: datetime, why: str, heard: Mapping[str, datetime]) -> None:
        """These end at that moment; what began after it, where it began."""
        ends: dict[datetime, list[str]] = {}
        for symbol, since in sorted(heard.items()):
            ends.setdefault(max(at, since), []).append(symbol)
        self._turns += [Turn(end, tuple(symbols), heard=False, why=why) for end, symbols in sorted(ends.items())]

    def pause(self, why: str) -> None:
        """Take nothing down until `resume`; what was not written is given up, and the gap begins where it began."""
        if self._paused is None:
            self._end(self._written_at, why, self._heard)
            self._paused = why
        for line in self._lines.values():
            line.records = bytearray()
        self._buffered = 0

    def resume(self) -> None:
        if self._paused is not None:
            self._paused = None
            symbols, self._heard = tuple(self._heard), {}
            self.heard(symbols)

    def hear(self, message: bytes) -> None:
        """Take down what a message has of today."""
        if self._paused is not None:
            return
        received = stamp(time.time_ns() // 1000)
        for packet in packets(message):
            line = self._lines.get(packet[:4])
            if line is None or packet == line.last or (offset := LENGTHS.get(len(packet))) is None:
                continue
            if self._from <= _TIME.unpack_from(packet, offset)[0] < self._to:
                line.last, line.length = packet, len(packet)
                line.records += record(received, packet)
                self._buffered += len(packet)
        if self._buffered > MOST_BUFFERED:
            self.pause(TOO_SLOW)

    def take(self) -> Taken:
        """What came since the last time, to be written now."""
        records = {line.symbol: (line.length, bytes(line.records)) for line in self._lines.values() if line.records}
        for line in self._lines.values():
            line.records = bytearray()
        turns, self._turns, self._buffered = self._turns, [], 0
        return Taken(self._place, self._clock(), records, turns)

    def written(self, taken: Taken) -> None:
        self._written_at = taken.at

    def refused(self, taken: Taken, why: str) -> None:
        """It could not be written."""
        self._turns = [*taken.turns, *self._turns]
        self.pause(why)

    def next_day(self, place: Place) -> Taken | None:
        """Turn to another day; what is to be written of the one before. `None` on the same day."""
        if place == self._place:
            return None
        heard = tuple(self._heard)
        self.lost(DAY_OVER, datetime.fromtimestamp(self._to, IST))
        last = self.take()
        self._begin(place)
        for line in self._lines.values():
            line.last = b""
        self.heard(heard)
        return last
