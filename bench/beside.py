"""What a running recorder costs the orders: `python -m bench.beside`, two minutes.

Paper orders on one embedded server with one worker, one after the other, in rounds: without a recorder, and beside one
that takes down 20,000 ticks a second in a process of its own, as `durable-orders record` does. Both in one run, so the
ratio is of the same machine at the same time. Prints a table; with `--keep` it writes the section `beside` of
`bench/latest.json`.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench import ground
from bench.durable import placed_at
from bench.machine import ROOT, circumstances
from bench.processes import cpu_seconds
from bench.recording import BEGIN, GOAL, SYMBOLS, messages, recorder_at
from bench.report import add_keep, keep
from bench.rounds import Placed, market_order
from bench.sampling import at_once, progress_bar, spread
from durable_orders.trading.market.recordings.places import Place

ORDERS, ROUNDS = 40, 6
WARM_UP = 24
MOST = 1.1
"""Intent to exchange beside a recorder, as a multiple of that without one."""
WRITES = 2
"""A second."""

console = Console(highlight=False)


async def measure(orders: int = ORDERS, rounds: int = ROUNDS, ticks: int = GOAL) -> dict[str, Any]:
    """Each round has so many orders without and so many with a recorder, in turn."""
    async with ground.running() as place:
        report = await circumstances(place.client)
        client = place.orders(place.stranger)
        alone, beside, ratios, used = list[Placed](), list[Placed](), list[float](), list[float]()
        with progress_bar(console) as progress:
            task = progress.add_task("warming up", total=2 * orders * rounds)
            await at_once(1, WARM_UP, lambda: market_order(client))
            for number in range(rounds):
                halves: dict[bool, list[Placed]] = {}
                for is_recorded in (number % 2 == 0, number % 2 == 1):
                    progress.update(task, description="beside a recorder" if is_recorded else "without one")
                    async with _recorder(ticks if is_recorded else 0, used):
                        halves[is_recorded], _ = await at_once(
                            1, orders, lambda: market_order(client), lambda: progress.advance(task)
                        )
                at = await client.read(placed_at)
                ratios.append(median(_seconds(halves[True], at)) / median(_seconds(halves[False], at)))
                alone += halves[False]
                beside += halves[True]
        at = await client.read(placed_at)
        return report | {
            "orders": len(alone),
            "ticks_per_second": ticks,
            "recorder_cpu_percent": round(100 * sum(used) / len(used), 1),
            "intent_to_exchange_ms": spread(_seconds(alone, at), 50, 95, 99),
            "beside_recorder_ms": spread(_seconds(beside, at), 50, 95, 99),
            "ratios": [round(ratio, 3) for ratio in ratios],
            "ratio": round(median(ratios), 3),
        }


def _seconds(placed: Sequence[Placed], exchange: Mapping[str, datetime]) -> list[float]:
    """From the client's call until the exchange had each order."""
    return [(exchange[str(one.order.broker_order_id)] - one.called_at).total_seconds() for one in placed]


@asynccontextmanager
async def _recorder(ticks: int, used: list[float]) -> AsyncIterator[None]:
    """At work for the length of a block, with what it takes of a core added to `used`; none for no ticks."""
    if not ticks:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="durable-orders-bench-") as folder:
        command = (sys.executable, "-m", "bench.beside", "--record", folder, "--ticks", str(ticks))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            own = psutil.Process(process.pid)
            before, began = cpu_seconds(own), time.perf_counter()
            yield
            used.append((cpu_seconds(own) - before) / (time.perf_counter() - began))
        finally:
            process.kill()
            await process.wait()


def record(folder: Path, ticks: int) -> None:
    """Take down so many ticks a second, spread over the second, until this process is killed."""
    place = Place(folder, BEGIN.date())
    recorder = recorder_at(place, SYMBOLS)
    heard = messages(ticks, SYMBOLS)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    began, sent = time.monotonic(), 0
    while True:
        due = min(int((time.monotonic() - began) * len(heard)), sent + len(heard) // WRITES)
        while sent < due:
            recorder.hear(heard[sent % len(heard)])
            sent += 1
            if sent % (len(heard) // WRITES) == 0:
                recorder.take().write()
        time.sleep(0.005)


def table_of(report: Mapping[str, Any]) -> Table:
    machine = report["machine"]
    table = Table(
        "paper market orders, one after the other",
        title=f"Intent to exchange beside a recorder of {report['ticks_per_second']:,} ticks a second",
        caption=f"{machine['cores']} cores {machine['cpu']}. Milliseconds as p50 / p95 / p99 of {report['orders']} "
        f"orders each. The recorder took {report['recorder_cpu_percent']} % of a core. The ratio is the median over "
        f"rounds of one median to the other; the goal is at most {MOST}.",
    )
    table.add_column("ms", justify="right")
    for words, name in (("without one", "intent_to_exchange_ms"), ("beside it", "beside_recorder_ms")):
        table.add_row(words, " / ".join(f"{report[name][part]:.1f}" for part in ("p50", "p95", "p99")))
    table.add_row("ratio", f"{report['ratio']:.2f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--ticks", type=int, default=GOAL, help="a second")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    add_keep(parser)
    chosen = parser.parse_args()
    if chosen.record is not None:
        record(chosen.record, chosen.ticks)
    report = asyncio.run(measure(rounds=chosen.rounds, ticks=chosen.ticks))
    console.print(table_of(report))
    keep(chosen.keep, {"beside": report})


if __name__ == "__main__":
    main()
