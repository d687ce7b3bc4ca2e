"""Who hears of events: each with a backlog of its own, worked off in order, on an event loop or in a thread."""

import asyncio
import inspect
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from durable_orders.trading.orders.events import EventType

SLOW_SECONDS = 0.1
"""A subscriber that takes longer over one event is reported as slow."""
MOMENT = 0.001
BEHIND = 1000
"""A backlog of so many events is reported."""

logger = logging.getLogger(__name__)
_within: ContextVar[bool] = ContextVar("within a subscriber", default=False)
"""Whether this code was called by a subscription: it must not wait for one then, least of all for its own."""


class Typed(Protocol):
    @property
    def type(self) -> EventType: ...


E = TypeVar("E", bound=Typed)
Callback = Callable[[E], Awaitable[None] | object]


class Subscription(ABC, Generic[E]):
    """One subscriber. `failures` counts the events over which it raised."""

    def __init__(
        self, types: frozenset[EventType], callback: Callback[E] | None, leave: "Callable[[Subscription[E]], None]"
    ) -> None:
        self.types = types
        self._wants_all = len(types) == len(EventType)
        self.callback = callback
        self.failures = 0
        self._leave = leave
        self._backlog: deque[E] = deque()
        self._taken = self._finished = 0
        self._is_late = False
        self._is_active = True

    @property
    def name(self) -> str:
        return getattr(self.callback, "__qualname__", None) or repr(self.callback)

    @property
    def backlog(self) -> int:
        """How many events it has been given and has not finished."""
        return self._taken - self._finished

    def take(self, events: Sequence[E]) -> None:
        """Put those that it wants into its backlog. Called by one thread at a time."""
        wanted = events if self._wants_all else [event for event in events if event.type in self.types]
        if not wanted or not self._is_active:
            return
        self._backlog.extend(wanted)
        before = self._taken - self._finished
        self._taken += len(wanted)
        if before < BEHIND <= self.backlog:
            logger.warning("subscriber %s is %d events behind; none is dropped", self.name, self.backlog)
        self._wake()

    def unsubscribe(self) -> None:
        """No further events. Those that it has been given already are still delivered."""
        self._is_active = False
        self._leave(self)
        self._wake()

    async def finished(self, within: float) -> None:
        """Until it has had what it was given, at most `within` seconds. Who is late once is not waited for again."""
        target, until, soon = self._taken, time.monotonic() + within, time.monotonic() + MOMENT
        while not (self._is_late or _within.get()) and self._finished < target:
            await asyncio.sleep(0 if time.monotonic() < soon else MOMENT)
            self._is_late = time.monotonic() > until and self._finished < target

    @abstractmethod
    def _wake(self) -> None:
        """There is something in the backlog, or it is over."""

    def _had(self, event: E, began: float, error: BaseException | None) -> None:
        self._finished += 1
        if error is not None:
            self.failures += 1
            logger.error("subscriber %s failed over %s", self.name, event.type, exc_info=error)
        if (took := time.monotonic() - began) > SLOW_SECONDS:
            logger.warning("subscriber %s took %.2f s over %s", self.name, took, event.type)


class InThread(Subscription[E]):
    """In a thread of its own: plain functions, and coroutines that were subscribed without an event loop."""

    def __init__(
        self, types: frozenset[EventType], callback: Callback[E], leave: Callable[[Subscription[E]], None]
    ) -> None:
        super().__init__(types, callback, leave)
        self._call = callback
        self._ready = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def _wake(self) -> None:
        if self._thread is None and self._is_active:
            self._thread = threading.Thread(target=self._run, name=f"subscriber {self.name}", daemon=True)
            self._thread.start()
        self._ready.release()

    def _run(self) -> None:
        _within.set(True)
        with asyncio.Runner() as runner:
            while self._is_active or self._backlog:
                self._ready.acquire()
                while self._backlog:
                    self._deliver(self._backlog.popleft(), runner)

    def _deliver(self, event: E, runner: asyncio.Runner) -> None:
        began, failure = time.monotonic(), None
        try:
            answer = self._call(event)
            if inspect.iscoroutine(answer):
                runner.run(answer)
        except BaseException as error:  # nobody else would hear of it in this thread
            failure = error
        self._had(event, began, failure)


class OnLoop(Subscription[E]):
    """On the event loop that subscribed, in a task of its own."""

    def __init__(
        self, types: frozenset[EventType], callback: Callback[E], leave: Callable[[Subscription[E]], None]
    ) -> None:
        super().__init__(types, callback, leave)
        self._call = callback
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def _wake(self) -> None:
        if not _on_loop(self._loop, self._start) and self._is_active:
            logger.warning("subscriber %s is gone: its event loop is closed", self.name)
            self.unsubscribe()

    def _start(self) -> None:
        if self._task is None and self._backlog:
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        _within.set(True)
        try:
            while self._backlog:
                await self._deliver(self._backlog.popleft())
        finally:
            self._task = None

    async def _deliver(self, event: E) -> None:
        began, failure = time.monotonic(), None
        try:
            answer = self._call(event)
            if inspect.isawaitable(answer):
                await answer
        except Exception as error:
            failure = error
        self._had(event, began, failure)


class Stream(Subscription[E]):
    """Events for `async for`, on one event loop."""

    def __init__(self, types: frozenset[EventType], leave: Callable[[Subscription[E]], None]) -> None:
        super().__init__(types, None, leave)
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()

    @property
    def name(self) -> str:
        return "a stream of events"

    def close(self) -> None:
        """No further events; the iteration ends with those that are there."""
        self.unsubscribe()

    async def finished(self, within: float) -> None:
        """Nobody waits for who iterates."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._backlog:
            if not self._is_active:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        self._finished += 1
        return self._backlog.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def _wake(self) -> None:
        if not _on_loop(self._loop, self._ready.set) and self._is_active:
            self.unsubscribe()


def subscribed(
    types: frozenset[EventType], callback: Callback[E], leave: Callable[[Subscription[E]], None]
) -> Subscription[E]:
    """A subscription of the kind that suits the callback."""
    is_async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__)
    is_on_loop = is_async and asyncio._get_running_loop() is not None
    return OnLoop(types, callback, leave) if is_on_loop else InThread(types, callback, leave)


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> bool:
    """Now, if this is that loop's own thread; as its next step otherwise. Returns whether the loop still lives."""
    if asyncio._get_running_loop() is loop:
        call()
        return True
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # it has been closed
        return False
    return True
