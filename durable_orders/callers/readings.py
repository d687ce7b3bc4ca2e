"""Readings of a caller's object that have a time limit. A reading can be dropped: it changes nothing at the broker."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import Generic, TypeVar

from durable_orders.trading.errors import BookUnreadable

R = TypeVar("R")

LIMIT = 30.0
"""Seconds that a reading may take. Kite's own client gives up a request after 7."""
ANOTHER_AFTER = 60.0
"""Seconds after which a method that has not returned is called once more beside that call, which may never return."""
MOST = 2
"""Calls of one method that are on their way at most, those that were dropped included."""
CLOSING = "the desk is being closed"


class TimedReading(Generic[R]):
    """Thread-safe. Each call runs on a thread that the end of the process does not wait for. To be asked by one at a
    time, as a `SharedReading` does: then a call that is still on its way is one that was dropped."""

    def __init__(self, name: str, read: Callable[[], R], timer: Callable[[], float] = time.monotonic) -> None:
        """`name` is what is read, as in `orders`."""
        self._name = name
        self._read = read
        self._timer = timer
        self._calls: list[tuple[float, Future[R]]] = []
        self._is_closed = False
        self._lock = threading.Lock()

    def __call__(self) -> R:
        """What was read, or what the reading raised. Raises `BookUnreadable` if it takes too long."""
        future = self._begun()
        try:
            return future.result(LIMIT)
        except NotYet:
            raise BookUnreadable(f"the broker's {self._name} cannot be read: no answer in {LIMIT:g} s") from None

    def drop(self) -> None:
        """Nobody waits for it any more, now or later: who does gets `BookUnreadable`."""
        with self._lock:
            self._is_closed, calls = True, list(self._calls)
        for _, future in calls:
            with suppress(InvalidStateError):
                future.set_exception(BookUnreadable(CLOSING))

    def _begun(self) -> "Future[R]":
        with self._lock:
            now = self._timer()
            self._calls = [call for call in self._calls if not call[1].done()]
            if self._is_closed:
                raise BookUnreadable(CLOSING)
            if self._calls and (len(self._calls) >= MOST or now - self._calls[-1][0] < ANOTHER_AFTER):
                words = f"no answer for {now - self._calls[0][0]:.0f} s, to a call that has not returned"
                raise BookUnreadable(f"the broker's {self._name} cannot be read: {words}")
            future: Future[R] = Future()
            threading.Thread(target=self._run, args=(future,), name=f"broker-{self._name}", daemon=True).start()
            self._calls.append((now, future))
        return future

    def _run(self, future: "Future[R]") -> None:
        try:
            found = self._read()
        except BaseException as error:
            words = f"the broker's {self._name} cannot be read: {type(error).__name__}"  # of one that ends its thread
            with suppress(InvalidStateError):  # it was dropped meanwhile
                future.set_exception(error if isinstance(error, Exception) else BookUnreadable(words))
        else:
            with suppress(InvalidStateError):
                future.set_result(found)
