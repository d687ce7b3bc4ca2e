"""What the account's watch costs while nothing changes: broker reads and CPU an interval, by number of open orders.

`python -m bench.watch` prints a table; with `--keep` it writes the section `watch` of `bench/latest.json`. The orders
are real ones of the guardian, the paper exchange and the ledger; only their workflows are left out, which sleep while
nothing changes. The watch is the worker's own activity, run without a worker, and its market shows no ticks.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from bench.ground import ACCOUNT, settings
from bench.machine import local_circumstances
from bench.report import add_keep, keep
from bench.resting import Rester
from bench.sampling import progress_bar
from durable_orders.activities.watch import WatchActivities
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.book import BrokerOrder, BrokerPosition
from durable_orders.trading.orders.order import Account, BrokerOrderId, Fill, Mode
from durable_orders.trading.reconciliation.book_diff import BookDiff
from durable_orders.workers.components import tick_size

SIZES = (10, 100, 1_000, 10_000)
INTERVAL = 0.25
"""Seconds. The setting's default is 3; what an interval costs does not depend on its length."""
INTERVALS = 10
"""So many are measured of each size."""
THREADS = 4

console = Console(highlight=False)


class CountedBroker(PaperBroker):
    """The paper exchange, and how often it was read."""

    reads: Counter[str]

    def order_book(self) -> list[BrokerOrder]:
        self.reads["order_book"] += 1
        return super().order_book()

    def trades(self) -> list[Fill]:
        self.reads["trades"] += 1
        return super().trades()

    def positions(self) -> list[BrokerPosition]:
        self.reads["positions"] += 1
        return super().positions()

    def order_history(self, broker_order_id: BrokerOrderId) -> list[BrokerOrder]:
        self.reads["order_history"] += 1
        return super().order_history(broker_order_id)


class CountedWatch(WatchActivities):
    """The watch, which says after each look that it has looked."""

    looked: asyncio.Semaphore

    async def look(self, sight: BookDiff) -> int:
        told = await super().look(sight)
        self.looked.release()
        return told


class Quiet:
    """A market that has nothing to say."""

    async def run(self, push: Callable[[], None]) -> None:
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Post:
    """A watch at its place."""

    broker: CountedBroker
    watch: CountedWatch
    rester: Rester
    environment: ActivityEnvironment = field(default_factory=ActivityEnvironment)


@asynccontextmanager
async def posted(interval: float) -> AsyncIterator[Post]:
    """On a ledger that is thrown away. The watch has nobody to tell, so its client never connects."""
    own, instruments, account = settings(), Instruments.shipped(), Account(ACCOUNT)
    client = await Client.connect("127.0.0.1:1", lazy=True)
    with (
        tempfile.TemporaryDirectory(prefix="durable-orders-watch-") as path,
        ThreadPoolExecutor(THREADS) as executor,
        open_database(f"sqlite:///{path}/ledger.db") as database,
    ):
        paper = own.execution.paper
        broker = CountedBroker(database, account, paper, lambda symbol: tick_size(instruments, symbol))
        broker.reads = Counter()
        watch = CountedWatch(account, Mode.PAPER, broker, database, client, Quiet(), interval, executor)
        watch.looked = asyncio.Semaphore(0)
        yield Post(broker, watch, Rester(database, broker, instruments, own))


async def measure(
    sizes: Sequence[int], interval: float, intervals: int, done: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """The section `watch`, with its circumstances. `done` hears how many orders have been placed."""
    report = local_circumstances()
    cases = []
    async with posted(interval) as post:
        for size in sorted(sizes):
            await asyncio.to_thread(post.rester.rest_until, size, done)
            cases.append({"open_orders": size} | await _case(post, interval, intervals))
    return report | {"interval_seconds": interval, "intervals": intervals, "cases": cases}


async def _case(post: Post, interval: float, intervals: int) -> dict[str, Any]:
    began = perf_counter()
    told = await post.watch.look(BookDiff())
    first = perf_counter() - began
    await post.watch.looked.acquire()
    watching = asyncio.create_task(post.environment.run(post.watch.watch, ACCOUNT, interval * intervals * 10 + 600))
    try:
        await _looked(post.watch, 1, watching)
        reads, spent = Counter(post.broker.reads), process_time()
        await _looked(post.watch, intervals, watching)
        used = process_time() - spent
        return {
            "orders_told": told,
            "broker_reads_per_interval": _per(post.broker.reads - reads, intervals),
            "cpu_ms_per_interval": round(used / intervals * 1000, 2),
            "first_look_ms": round(first * 1000, 1),
        }
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _looked(watch: CountedWatch, times: int, watching: "asyncio.Task[None]") -> None:
    """Once it has looked so often. Raises what ended the watch, if anything did."""
    for _ in range(times):
        looked = asyncio.create_task(watch.looked.acquire())
        await asyncio.wait({looked, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()


def _per(reads: Counter[str], looks: int) -> dict[str, float]:
    return {name: round(count / looks, 2) for name, count in sorted(reads.items())}


def table_of(report: dict[str, Any]) -> Table:
    machine = report["machine"]
    table = Table(
        title="The account's watch while nothing changes",
        caption=f"{machine['cores']} cores {machine['cpu']}. {report['intervals']} intervals of "
        f"{report['interval_seconds']:g} s of each size; CPU time of the process. The first look compares every order.",
    )
    for name in ("open orders", "broker reads an interval", "CPU an interval, ms", "first look, ms"):
        table.add_column(name, justify="right")
    for case in report["cases"]:
        reads = ", ".join(f"{count:g} {name}" for name, count in case["broker_reads_per_interval"].items())
        cpu, first = f"{case['cpu_ms_per_interval']:.1f}", f"{case['first_look_ms']:,.0f}"
        table.add_row(f"{case['open_orders']:,}", reads, cpu, first)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.watch", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="open orders")
    add_keep(parser)
    chosen = parser.parse_args()
    with progress_bar(console) as progress:
        task = progress.add_task("orders of the watch", total=max(chosen.sizes))
        report = asyncio.run(
            measure(chosen.sizes, INTERVAL, INTERVALS, lambda count: progress.update(task, completed=count))
        )
    console.print(table_of(report))
    keep(chosen.keep, {"watch": report})


if __name__ == "__main__":
    main()
