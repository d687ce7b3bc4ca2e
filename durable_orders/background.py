"""An event loop in a thread of its own, for callers that have none, or one that must not wait."""

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from durable_orders.trading.errors import NotConnected

R = TypeVar("R")


class BackgroundLoop:
    """Runs coroutines for callers in any other thread, inside and outside of a running event loop."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._entering = threading.Lock()
        self._is_open = True
        self._thread.start()
        _made.add(self)

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """What the coroutine returns or raises. If the wait is interrupted, as by Ctrl-C, the coroutine is cancelled.

        Raises `NotConnected` once this is closed, and `RuntimeError` in the loop's own thread, which would wait for
        itself.
        """
        future = self._submitted(coroutine)
        try:
            return future.result()
        except CancelledError:
            raise NotConnected("closed while a call was on its way; what it asked for may have been done") from None
        except BaseException:
            future.cancel()
            raise

    def _submitted(self, coroutine: Coroutine[Any, Any, R]) -> "Future[R]":
        problem: Exception | None = None
        with self._entering:
            if not self._is_open:
                problem = NotConnected("closed")
            elif threading.current_thread() is self._thread:
                problem = RuntimeError("called from the loop's own thread, where it would wait for itself")
            else:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        raise problem

    @property
    def is_open(self) -> bool:
        return self._is_open

    def close(self) -> None:
        """Cancel what still runs, and end the thread. Closing twice is fine."""
        with self._entering:
            was_open, self._is_open = self._is_open, False
        if was_open:
            asyncio.run_coroutine_threadsafe(_cancel_the_rest(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _cancel_the_rest() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()


_made: "weakref.WeakSet[BackgroundLoop]" = weakref.WeakSet()


def _close_all() -> None:
    """A process that ends without having closed them is held up by none, and hears no complaint of theirs."""
    for loop in list(_made):
        loop.close()


threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # `atexit` comes when executors take no calls
os.register_at_fork(after_in_child=_made.clear)  # whose threads are the parent's
