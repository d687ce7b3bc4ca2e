"""The live worker, which kills itself once, with SIGKILL, at a named point.

`python -m tests.live.crashing_worker HOME POINT`
"""

import asyncio
import sys
from enum import StrEnum
from pathlib import Path

from temporalio.client import Client

from durable_orders.workers import worker
from durable_orders.workers.components import build
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home
from tests.crashes.crashing_worker import FLAG, Crash, CrashingActivities, CrashingSignals


class Point(StrEnum):
    BEFORE_PLACE = "before place"
    AFTER_PLACE = "after place"
    """The broker has it, and the answer is here: it is not reported."""
    IN_FLIGHT = "in flight"
    """The broker has it, and has not answered. The test kills the worker there."""
    BEFORE_LOOK = "before look"
    AFTER_LOOK = "after look"
    BEFORE_CANCEL = "before cancel"
    AFTER_CANCEL = "after cancel"
    BEFORE_MODIFY = "before modify"
    AFTER_MODIFY = "after modify"
    BEFORE_RECORD = "before record"
    AFTER_RECORD = "after record"
    BEFORE_REPORT = "before report"
    AFTER_REPORT = "after report"


async def main(path: Path, point: Point) -> None:
    crash = Crash(point, path / FLAG)
    home = Home(path)
    config = (await connect(home, home.settings())).config()
    config["interceptors"] = [CrashingSignals(crash)]
    client = Client(**config)
    parts = build(home, home.settings(), client, live=True)
    async with worker.running(client, parts, [CrashingActivities(crash)]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Point(sys.argv[2])))
