"""The production worker, which kills itself once, with SIGKILL, at a named point.

`python -m tests.crashes.crashing_worker HOME POINT`
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from temporalio.client import Client, OutboundInterceptor, SignalWorkflowInput
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from durable_orders.workers import worker
from durable_orders.workers.components import build
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home

FLAG = "crashed"


class Point(StrEnum):
    BEFORE_GUARD = "before guard"
    AFTER_GUARD = "after guard"
    BEFORE_PLACE = "before place"
    AFTER_PLACE = "after place"
    """The exchange has the order; the answer is not reported."""
    BEFORE_RECORD = "before record"
    AFTER_RECORD = "after record"
    BEFORE_CANCEL = "before cancel"
    AFTER_CANCEL = "after cancel"
    BETWEEN_BOOK_AND_TRADES = "between book and trades"
    """The watch has read the order book, and not the trades that belong to it."""
    BEFORE_REPORT = "before report"
    AFTER_REPORT = "after report"
    """The watch has told an order of its fill."""
    ASLEEP_BEFORE_PLACE = "asleep before place"
    """No crash: the machine sleeps for as long as a test wants, and then goes on where it was."""


class Crash:
    """Ends this process as a power cut would, the first time that its point is reached in this home."""

    def __init__(self, point: StrEnum, flag: Path) -> None:
        self._point = point
        self._flag = flag

    def at(self, point: str) -> None:
        if point != self._point or self._flag.exists():
            return
        self._flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def sleep_at(self, point: str) -> None:
        """Stands still, the first time, until somebody sends SIGCONT."""
        if point == self._point and not self._flag.exists():
            self._flag.touch()
            os.kill(os.getpid(), signal.SIGSTOP)

    def woke(self, what: str) -> None:
        """Notes down what came of it after the first sleep."""
        if self._flag.exists() and not self._flag.read_text(encoding="utf-8"):
            self._flag.write_text(what, encoding="utf-8")


class CrashingActivities(Interceptor):
    def __init__(self, crash: Crash) -> None:
        self._crash = crash

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Activity(next, self._crash)


class _Activity(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, crash: Crash) -> None:
        super().__init__(following)
        self._crash = crash

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        name = input.fn.__name__
        self._crash.at(f"before {name}")
        self._crash.sleep_at(f"asleep before {name}")
        result = await super().execute_activity(input)
        if name == "place":
            self._crash.woke(str(result))
        self._crash.at(f"after {name}")
        return result


class CrashingSignals(ClientInterceptor):
    def __init__(self, crash: Crash) -> None:
        self._crash = crash

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        return _Signals(next, self._crash)


class _Signals(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, crash: Crash) -> None:
        super().__init__(following)
        self._crash = crash

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:  # noqa: A002
        self._crash.at(f"before {input.signal}")
        await super().signal_workflow(input)
        self._crash.at(f"after {input.signal}")


def crashing_reads(trades: Callable[[], Any], crash: Crash) -> Callable[[], Any]:
    """The broker's reading of the trades, before which it crashes if there are any."""

    def read() -> Any:
        found = trades()
        if found:
            crash.at(Point.BETWEEN_BOOK_AND_TRADES)
        return found

    return read


async def main(path: Path, point: Point) -> None:
    crash = Crash(point, path / FLAG)
    home = Home(path)
    config = (await connect(home, home.settings())).config()
    config["interceptors"] = [CrashingSignals(crash)]
    client = Client(**config)
    parts = build(home, home.settings(), client)
    broker: Any = parts.watch._broker
    broker.trades = crashing_reads(broker.trades, crash)
    async with worker.running(client, parts, [CrashingActivities(crash)]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Point(sys.argv[2])))
