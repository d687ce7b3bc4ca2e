"""Several files of ticks as one stream in the order of time. A file is opened when its time comes."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from operator import attrgetter

from durable_orders.trading.ist import IST
from durable_orders.trading.market.files.blocks import BLOCK
from durable_orders.trading.market.ticks import Tick

AT = attrgetter("at")
NEVER = datetime.max.replace(tzinfo=IST)


@dataclass(slots=True)
class Source:
    """A file, or what else gives ticks in the order of their time."""

    begins: datetime | None
    """Before that it has no tick; `None` if that is not known, and it is opened at once."""
    batches: Callable[[], Iterator[list[Tick]]]
    """Opens it. No batch is empty."""


@dataclass(slots=True)
class _Open:
    number: int
    batches: Iterator[list[Tick]]
    ticks: list[Tick] = field(default_factory=list)
    """Those that were read and not given yet."""
    is_over: bool = False

    @property
    def until(self) -> datetime:
        """What comes later from it is not before that."""
        return NEVER if self.is_over else self.ticks[-1].at

    def read(self) -> None:
        more = next(self.batches, None)
        if more is None:
            self.is_over = True
        else:
            self.ticks += more

    def take_before(self, moment: datetime) -> list[Tick]:
        due = len(self.ticks) if moment is NEVER else bisect_left(self.ticks, moment, key=AT)
        taken = self.ticks[:due]
        del self.ticks[:due]
        return taken


def in_time(sources: Sequence[Source]) -> Iterator[list[Tick]]:
    """Their ticks; those of one moment in the order of the sources."""
    if len(sources) == 1:
        yield from sources[0].batches()
        return
    coming = [(each.begins, number, each) for number, each in enumerate(sources)]
    coming.sort(key=lambda each: (each[0] is not None, each[0] or NEVER, each[1]), reverse=True)
    reading: list[_Open] = []
    while coming or reading:
        while coming and _is_due(coming[-1][0], reading):
            _, number, source = coming.pop()
            opened = _Open(number, iter(source.batches()))
            opened.read()
            reading.append(opened)
        reading.sort(key=lambda each: each.number)
        until = min(each.until for each in reading)
        if coming and (begins := coming[-1][0]) is not None:
            until = min(until, begins)
        if taken := [tick for each in reading for tick in each.take_before(until)]:
            taken.sort(key=AT)
            yield taken
        for each in reading:
            if each.until <= until and not each.is_over:
                each.read()
        reading = [each for each in reading if each.ticks or not each.is_over]


def _is_due(begins: datetime | None, reading: list[_Open]) -> bool:
    return begins is None or begins <= min((each.until for each in reading), default=NEVER)


def in_batches(ticks: Iterable[Tick]) -> Iterator[list[Tick]]:
    found = iter(ticks)
    while batch := list(islice(found, BLOCK)):
        yield batch


def before(batches: Iterator[list[Tick]], moment: datetime) -> Iterator[list[Tick]]:
    """What is earlier than that. No more is read than has to be."""
    for batch in batches:
        if batch[-1].at < moment:
            yield batch
            continue
        if due := batch[: bisect_left(batch, moment, key=AT)]:
            yield due
        return


def of_days(batches: Iterator[list[Tick]], first: date, last: date) -> Iterator[list[Tick]]:
    """What is of these days, both among them, in IST."""
    begins = datetime.combine(first, time(), IST)
    for batch in before(batches, datetime.combine(last, time(), IST) + timedelta(days=1)):
        if batch[0].at >= begins:
            yield batch
        elif due := batch[bisect_left(batch, begins, key=AT) :]:
            yield due


class Progress:
    """How much of several files was read, by their sizes."""

    def __init__(self, sizes: Sequence[int], told: Callable[[float], object]) -> None:
        """`told` hears it, from 0 to 1."""
        self._sizes = sizes
        self._whole = max(sum(sizes), 1)
        self._done = [0.0] * len(sizes)
        self._told = told

    def of(self, number: int) -> Callable[[float], None]:
        """Is to hear it of that file."""

        def tell(share: float) -> None:
            self._done[number] = share * self._sizes[number]
            self._told(sum(self._done) / self._whole)

        return tell
