"""Runs the tasks of workflows on the loop of the worker, where the SDK gives each to a thread of its own.

A task of an order's workflow takes a millisecond, and as long again to be handed to a thread and back while the threads
of the ledger want the interpreter, too. What the threads were for, to notice a workflow that never gives control back,
is done here by the time of the processor that its task has taken: a machine that is busy or was stopped takes none.
Such a task is interrupted, so that it fails and the server reports it, as it does any that fails, and all others go on.
"""

import asyncio
import contextvars
import ctypes
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

LONGEST = 20.0
"""Seconds of the processor in one task. Those of an order take a millisecond, and thousands of trades some seconds."""

log = logging.getLogger(__name__)


class TaskTooLong(BaseException):
    """Raised in the code of the task itself: no workflow takes it for an error of its own."""


class OnTheLoop(ThreadPoolExecutor):
    """What is submitted on a loop runs on it, alone and as soon as the loop is free. It has no threads of the pool that
    it is for the SDK, but one that looks whether a task takes too long, and ends when there are none for a while."""

    def __init__(self, longest: float = LONGEST) -> None:
        """`longest` is in seconds of the processor."""
        super().__init__(max_workers=1)
        self._longest = longest
        self._lock = threading.Lock()
        self._number = 0
        self._runs_in: int | None = None
        self._was_interrupted = self._is_watched = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Raises `RuntimeError` outside of a loop."""
        loop, future = asyncio.get_running_loop(), Future[Any]()
        # Not at once: no task may be stepped within the step of another.
        loop.call_soon(self._run, loop, future, lambda: fn(*args, **kwargs), context=contextvars.Context())
        return future

    def _run(self, loop: asyncio.AbstractEventLoop, future: Future[Any], call: Callable[[], Any]) -> None:
        try:
            try:
                self._begin()
                result = call()
            finally:
                asyncio._set_running_loop(loop)  # a workflow's loop leaves none behind
                interrupted = self._end()
            if interrupted:
                raise TaskTooLong
        except TaskTooLong:
            words = f"the workflow did not give control back within {self._longest:g} s of the processor"
            future.set_exception(RuntimeError(words))
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _begin(self) -> None:
        with self._lock:
            self._number, self._runs_in, self._was_interrupted = self._number + 1, threading.get_ident(), False
            if not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name="workflow-watch", daemon=True).start()

    def _end(self) -> bool:
        """Whether it was interrupted; from now on it will not be."""
        with self._lock:
            if self._was_interrupted:
                _raise_in(threading.get_ident(), None)
            self._runs_in = None
            return self._was_interrupted

    def _watch(self) -> None:
        watched, began = 0, 0.0
        while True:
            time.sleep(self._longest / 4)
            with self._lock:
                thread, is_same = self._runs_in, self._number == watched
                if thread is None and is_same:
                    self._is_watched = False
                    return
                used = _processor_seconds(thread) if thread is not None else 0.0
                if not is_same:
                    watched, began = self._number, used
                elif used - began > self._longest and not self._was_interrupted:
                    self._was_interrupted = True
                    _raise_in(self._runs_in, TaskTooLong)
                    log.error("a workflow did not give control back, and was interrupted")


def _processor_seconds(thread: int) -> float:
    """That a thread has used so far; where that cannot be asked, what has passed."""
    clock_of = getattr(time, "pthread_getcpuclockid", None)
    return time.monotonic() if clock_of is None else time.clock_gettime(clock_of(thread))


def _raise_in(thread: int | None, error: type[BaseException] | None) -> None:
    """With `None`, what was to be raised there and was not yet is not."""
    raised = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread or 0), raised)
