"""What nobody would notice by itself: the machine's clock was stepped, and a book that is not read any more."""

import time
from collections.abc import Callable
from datetime import datetime

STEPPED = 5.0
"""Seconds by which a clock may be set right, as time servers do, without a word."""
OLD = 60.0
"""Seconds without a whole reading of the broker's book after which it is told."""
LOOK_EVERY = 20.0


class Clock:
    """The machine's, beside one that only goes forward."""

    def __init__(self, wall: Callable[[], float] = time.time, timer: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._timer = timer
        self._apart = wall() - timer()

    def step(self) -> float | None:
        """By how many seconds it was set forward (or back: below zero) since the last question; `None` if it was not.
        A machine that has slept looks like one whose clock was set forward."""
        before, self._apart = self._apart, self._wall() - self._timer()
        by = self._apart - before
        return by if abs(by) > STEPPED else None


def words_of(step: float) -> str:
    if step < 0:
        return f"the machine's clock was set back by {-step:.0f} s: orders' deadlines go by it"
    return f"the machine's clock was set forward by {step:.0f} s, or it slept: orders' deadlines go by it"


class BookAge:
    """For how long the broker's book has not been read, whatever the machine's clock says."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._asked_at = self._changed_at = timer()
        self._read_at: datetime | None = None
        self._is_old = False

    @property
    def is_due(self) -> bool:
        """Whether to ask when it was read, which costs a query."""
        return self._timer() - self._asked_at >= LOOK_EVERY

    def news(self, read_at: datetime | None) -> str | None:
        """What there is to tell now that this is the last reading, if anything."""
        now = self._asked_at = self._timer()
        if read_at != self._read_at:
            self._read_at, self._changed_at = read_at, now
        was_old, self._is_old = self._is_old, now - self._changed_at >= OLD
        if self._is_old and not was_old:
            since = now - self._changed_at
            return f"the broker's book has not been read whole for {since:.0f} s: what is filled meanwhile is not seen"
        if was_old and not self._is_old:
            return "the broker's book is read again"
        return None
