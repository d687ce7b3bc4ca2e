"""What an event costs on its way through the bus: `python -m bench.bus`.

Prints a table; with `--keep` it writes the section `bus` of `bench/latest.json`. The goal is less than 50 microseconds
at the 99th percentile from publishing an event to its subscriber, within a process. On a machine that does other
things, too, the wall's time tells of those; so the time that the thread itself ran is measured as well.
"""

import argparse
import asyncio
import logging
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import commit
from bench.report import add_keep, keep
from bench.sampling import percentile
from durable_orders.trading.bus.bus import ALL, Event, EventBus
from durable_orders.trading.orders.events import EventType

EVENTS = 20_000
SUBSCRIBERS = 10
GOAL = 50.0
"""Microseconds, p99."""

Clock = Callable[[], float]
"""Seconds: of the wall, or those in which this thread has run. Other programs on the machine make the first longer."""

console = Console(highlight=False)


def event() -> Event:
    """It carries when it was published."""
    return Event(EventType.ORDER_FILLED, datetime.now(UTC), {"began": perf_counter()})


async def one_at_a_time(count: int, clock: Clock = perf_counter) -> dict[str, float]:
    """To an `async def`: each event is published when the one before it has arrived."""
    bus, took, arrived = EventBus(), list[float](), asyncio.Event()
    began = 0.0

    async def take(_: Event) -> None:
        took.append(clock() - began)
        arrived.set()

    bus.subscribe(ALL, take)
    for _ in range(count):
        arrived.clear()
        one = event()
        began = clock()
        bus.post(one)
        await arrived.wait()
    bus.close()
    return figures(took)


def one_at_a_time_to_a_thread(count: int) -> dict[str, float]:
    """To a plain function, which has a thread of its own."""
    bus, took, arrived = EventBus(), list[float](), threading.Semaphore(0)

    def take(event: Event) -> None:
        took.append(perf_counter() - event.data["began"])
        arrived.release()

    bus.subscribe(ALL, take)
    for _ in range(count):
        bus.post(event())
        arrived.acquire()
    bus.close()
    return figures(took)


async def publishing(count: int, subscribers: int, clock: Clock = perf_counter) -> dict[str, float]:
    """What `post` itself takes of the publisher's time, with so many `async` subscribers."""
    bus, took = EventBus(), list[float]()

    async def take(_: Event) -> None: ...

    for _ in range(subscribers):
        bus.subscribe(ALL, take)
    for _ in range(count):
        one = event()
        began = clock()
        bus.post(one)
        took.append(clock() - began)
        await asyncio.sleep(0)
    bus.close()
    return figures(took)


async def burst(count: int) -> float:
    """Events a second, when all are published at once, until the last one has arrived."""
    bus, seen, done = EventBus(), [0], asyncio.Event()

    async def take(_: Event) -> None:
        seen[0] += 1
        if seen[0] == count:
            done.set()

    bus.subscribe(ALL, take)
    events = [event() for _ in range(count)]
    began = perf_counter()
    for one in events:
        bus.post(one)
    await done.wait()
    bus.close()
    return round(count / (perf_counter() - began))


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """In microseconds."""
    return {f"p{percent}": round(percentile(seconds, percent) * 1e6, 1) for percent in (50, 99)}


async def measure(count: int) -> dict[str, Any]:
    await one_at_a_time(count // 10)  # to warm up
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "commit": commit(),
        "load_before": round(os.getloadavg()[0], 2),
        "events": count,
        "goal_p99_us": GOAL,
        "async_subscriber_us": await one_at_a_time(count),
        "async_subscriber_cpu_us": await one_at_a_time(count, thread_time),
        "plain_subscriber_us": await asyncio.to_thread(one_at_a_time_to_a_thread, count),
        f"post_to_{SUBSCRIBERS}_subscribers_us": await publishing(count, SUBSCRIBERS),
        f"post_to_{SUBSCRIBERS}_subscribers_cpu_us": await publishing(count, SUBSCRIBERS, thread_time),
        "burst_events_per_second": await burst(count),
    }


def table_of(report: dict[str, Any]) -> Table:
    title = f"{report['events']} events, load {report['load_before']}"
    table = Table("event bus, microseconds", "p50", "p99", title=title)
    for name, row in (
        ("published until an async subscriber has it", report["async_subscriber_us"]),
        ("  of that, this thread's own time", report["async_subscriber_cpu_us"]),
        ("published until a plain function in its thread has it", report["plain_subscriber_us"]),
        (f"post() with {SUBSCRIBERS} subscribers", report[f"post_to_{SUBSCRIBERS}_subscribers_us"]),
        ("  of that, this thread's own time", report[f"post_to_{SUBSCRIBERS}_subscribers_cpu_us"]),
    ):
        table.add_row(name, str(row["p50"]), str(row["p99"]))
    return table


@contextmanager
def _backlogs_untold() -> Iterator[None]:
    """A burst is meant to fill the backlog. Who measures within a test leaves the others their warnings."""
    logger = logging.getLogger("durable_orders.trading")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.bus", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="how many events of each kind")
    add_keep(parser)
    chosen = parser.parse_args()
    with _backlogs_untold():
        report = asyncio.run(measure(chosen.events))
    console.print(table_of(report))
    console.print(f"{report['burst_events_per_second']:,.0f} events a second in a burst; goal: p99 below {GOAL:.0f} us")
    keep(chosen.keep, {"bus": report})


if __name__ == "__main__":
    main()
