"""Questions to the ledger that nobody waits for longer than a moment, such as those of a cancel.

A locked file, a server that is gone: a statement may hang for half a minute. It goes on by itself, in a thread of its
own that no program waits for when it ends.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class HeldUpError(Exception):
    """There is no answer yet; the question goes on."""


class _Asked(Generic[R]):
    def __init__(self, question: Callable[[], R]) -> None:
        self._question = question
        self._answered = threading.Event()
        self._lock = threading.Lock()
        self._answer: R | None = None
        self._error: BaseException | None = None
        self._too_late: Callable[[R], object] | None = None

    def is_answered(self, seconds: float) -> bool:
        """Within so many seconds from now."""
        return self._answered.wait(seconds)

    @property
    def hangs(self) -> bool:
        """Whether somebody has waited for it in vain, and there still is no answer."""
        return self._too_late is not None and not self._answered.is_set()

    def run(self) -> None:
        answer: Any = None
        try:
            answer = self._question()
        except BaseException as error:
            self._error = error
        with self._lock:
            self._answer = answer
            self._answered.set()
        if self._too_late is not None and self._error is None:
            self._too_late(answer)

    def wait(self, seconds: float, too_late: Callable[[R], object]) -> R:
        if not self._answered.wait(seconds):
            with self._lock:
                if not self._answered.is_set():
                    self._too_late = too_late
                    raise HeldUpError
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]


class TimeLimited:
    """Thread-safe: one question after the other. While one hangs no other is asked, so that nobody waits twice for the
    same trouble."""

    def __init__(self, seconds: float) -> None:
        """So long is an answer waited for."""
        self._seconds = seconds
        self._asking = threading.Lock()
        self._last: _Asked[Any] | None = None

    def ask(self, question: Callable[[], R], too_late: Callable[[R], object] = lambda _answer: None) -> R:
        """Its answer, or what it raised. Raises `HeldUpError`; an answer that comes after that goes to `too_late`."""
        with self._asking:
            last = self._last
            if last is not None and (last.hangs or not last.is_answered(self._seconds)):
                raise HeldUpError
            self._last = asked = _Asked(question)
        threading.Thread(target=asked.run, name="ledger, time-limited", daemon=True).start()
        return asked.wait(self._seconds, too_late)
