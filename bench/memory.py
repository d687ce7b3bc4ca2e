"""What an open order costs the worker in memory: `python -m bench.memory`.

Orders are placed one after the other until some hundreds rest, each with its workflow in the worker's cache, and the
worker's process is measured before and after. Then the same with a cache of a fifth as many workflows
(`worker.max_cached_workflows`), and how long a cancel takes of orders that have left it. Prints a table; with `--keep`
it writes the section `memory` of `bench/latest.json`. `python -m bench.scale` does the same with ten thousand.
"""

import argparse
import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import circumstances
from bench.report import add_keep, keep
from bench.rounds import market_order
from bench.sampling import at_once, progress_bar, spread
from bench.scale import CONCURRENCY, MEGA, memory_of, place_all
from bench.site import Site, site

ORDERS = 500
WARM_UP = 48
A_PART, LEAST_CACHED = 5, 100
CANCELS = 20

console = Console(highlight=False)


async def measure(count: int, done: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """The section `memory`, with its circumstances."""
    report, whole = await _measured(count, None, done)
    _, bounded = await _measured(count, max(count // A_PART, LEAST_CACHED), done)
    return report | whole | {"bounded": bounded}


async def _measured(count: int, cached: int | None, done: Callable[[], None]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The circumstances, and the figures of so many open orders with so many workflows in the cache. Some orders are
    filled before, to warm up."""
    async with site(cached) as place:
        report = await circumstances(place.orders.client)
        await at_once(CONCURRENCY, WARM_UP, lambda: market_order(place.orders))
        before = memory_of(place)
        placing = await place_all(place, count, done)
        after = memory_of(place)
        seconds = await _cancelled(place)
        kept = place.orders.settings.worker.max_cached_workflows
    growth = {name: round((after[f"{name}_mb"] - before[f"{name}_mb"]) * MEGA / count) for name in ("worker", "server")}
    return report, {
        "open_orders": count,
        "cached_workflows": kept,
        "before": before,
        "after": after,
        "worker_bytes_per_open_order": growth["worker"],
        "server_bytes_per_open_order": growth["server"],
        "placed_per_second": placing["orders_per_second"],
        "cancelled_ms": spread(seconds, 50, 99),
    }


async def _cancelled(place: Site) -> list[float]:
    """Seconds that each of some cancels takes, of the orders that were placed first."""
    oldest = (await place.orders.list(open_only=True))[-CANCELS:]
    found = []
    for order in oldest:
        began = perf_counter()
        await place.orders.handle(order.client_order_id).cancel()
        found.append(perf_counter() - began)
    return found


def table_of(report: dict[str, Any]) -> Table:
    machine = report["machine"]
    table = Table(
        title=f"Memory of {report['open_orders']:,} open orders",
        caption=f"{machine['cores']} cores {machine['cpu']}. Resident memory of the processes.",
    )
    headings = ("process", "workflows cached", "before, MB", "after, MB", "an open order, KB", "cancel p50 / p99, ms")
    for name in headings:
        table.add_column(name, justify="left" if name == "process" else "right")
    for figures in (report, report["bounded"]):
        for name in ("worker", "server"):
            before, after = (f"{figures[when][f'{name}_mb']:.0f}" for when in ("before", "after"))
            each, cancels = f"{figures[f'{name}_bytes_per_open_order'] / 1024:.0f}", figures["cancelled_ms"]
            took = f"{cancels['p50']:.0f} / {cancels['p99']:.0f}" if name == "worker" else ""
            table.add_row(name, f"{figures['cached_workflows']:,}", before, after, each, took)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="open orders")
    add_keep(parser)
    chosen = parser.parse_args()
    with progress_bar(console) as progress:
        task = progress.add_task("placing", total=2 * chosen.orders)
        report = asyncio.run(measure(chosen.orders, lambda: progress.advance(task)))
    console.print(table_of(report))
    keep(chosen.keep, {"memory": report})


if __name__ == "__main__":
    main()
