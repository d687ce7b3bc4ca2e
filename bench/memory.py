"""What an open order costs the worker in memory: `python -m bench.memory`.

Orders are placed one after the other until some hundreds rest, each with its workflow in the worker's cache, and the
worker's process is measured before and after. Prints a table; with `--keep` it writes the section `memory` of
`bench/latest.json`. `python -m bench.scale` does the same with ten thousand.
"""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import circumstances
from bench.report import add_keep, keep
from bench.rounds import market_order
from bench.sampling import at_once, progress_bar
from bench.scale import CONCURRENCY, MEGA, memory_of, place_all
from bench.site import site

ORDERS = 500
WARM_UP = 48

console = Console(highlight=False)


async def measure(count: int, done: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """The section `memory`, with its circumstances. Some orders are filled before, to warm up."""
    async with site() as place:
        report = await circumstances(place.orders.client)
        await at_once(CONCURRENCY, WARM_UP, lambda: market_order(place.orders))
        before = memory_of(place)
        placing = await place_all(place, count, done)
        after = memory_of(place)
    growth = {name: round((after[f"{name}_mb"] - before[f"{name}_mb"]) * MEGA / count) for name in ("worker", "server")}
    return report | {
        "open_orders": count,
        "before": before,
        "after": after,
        "worker_bytes_per_open_order": growth["worker"],
        "server_bytes_per_open_order": growth["server"],
        "placed_per_second": placing["orders_per_second"],
    }


def table_of(report: dict[str, Any]) -> Table:
    machine, before, after = report["machine"], report["before"], report["after"]
    table = Table(
        title=f"Memory of {report['open_orders']:,} open orders",
        caption=f"{machine['cores']} cores {machine['cpu']}. Resident memory of the processes.",
    )
    for name in ("process", "before, MB", "after, MB", "an open order, KB"):
        table.add_column(name, justify="left" if name == "process" else "right")
    for name in ("worker", "server"):
        each = f"{report[f'{name}_bytes_per_open_order'] / 1024:.0f}"
        table.add_row(name, f"{before[f'{name}_mb']:.0f}", f"{after[f'{name}_mb']:.0f}", each)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="open orders")
    add_keep(parser)
    chosen = parser.parse_args()
    with progress_bar(console) as progress:
        task = progress.add_task("placing", total=chosen.orders)
        report = asyncio.run(measure(chosen.orders, lambda: progress.advance(task)))
    console.print(table_of(report))
    keep(chosen.keep, {"memory": report})


if __name__ == "__main__":
    main()
