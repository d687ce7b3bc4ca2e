"""Readings of the broker that many ask for at once: one answers them all, so a hundred looks cost what one costs."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

R = TypeVar("R")


class SharedReading(Generic[R]):
    """Thread-safe. Nobody gets a reading that began before they asked: it could not show what they have just done."""

    def __init__(self, read: Callable[[], R]) -> None:
        self._read = read
        self._next: Future[R] | None = None
        self._asking = threading.Lock()
        self._reading = threading.Lock()

    def __call__(self) -> R:
        """What was read, or the error that the reading ended with. The result is shared: do not change it."""
        with self._asking:
            reads, self._next = self._next is None, self._next or Future()
            mine = self._next
        if reads:
            self._read_into(mine)
        return mine.result()

    def _read_into(self, mine: "Future[R]") -> None:
        with self._reading:
            with self._asking:
                self._next = None
            try:
                mine.set_result(self._read())
            except BaseException as error:
                mine.set_exception(error)
