"""Ten thousand resting orders in one worker: memory, idling, ticks, and a restart.

`python -m bench.scale` prints a table; with `--keep` it writes `bench/latest-scale.json`.
"""

import argparse
import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench import following, market
from bench.machine import circumstances
from bench.processes import WorkerProcess, cpu_seconds
from bench.report import add_keep, keep
from bench.resting import resting_intent
from bench.sampling import at_once, progress_bar, spread
from bench.site import Site, site
from bench.tables import scale_table
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.orders.order import OrderId

LATEST_SCALE = Path(__file__).with_name("latest-scale.json")
ORDERS = 10_000
IDLE_SECONDS = 60.0
PROBES, BATCHES = 20, 5
"""Orders that one tick fills, and how often."""
CONCURRENCY = 16
MEGA = 2**20

console = Console(highlight=False)


async def measure(count: int, idle_seconds: float, progress: Progress) -> dict[str, Any]:
    """The whole report: circumstances, and the figures under `scale`."""
    async with site() as place:
        report = await circumstances(place.orders.client)
        task = progress.add_task("warming up", total=count)
        await _filled_by_a_tick(place, CONCURRENCY)
        progress.update(task, description="idle, with no orders")
        empty = await _idle(place, idle_seconds)
        before = memory_of(place)
        progress.update(task, description="placing")
        placing = await place_all(place, count, lambda: progress.advance(task))
        progress.update(task, description="idle, with all of them open")
        full = await _idle(place, idle_seconds)
        after = memory_of(place)
        progress.update(task, description="ticks that fill some")
        seconds = [second for _ in range(BATCHES) for second in await _filled_by_a_tick(place, PROBES)]
        progress.update(task, description="kill and restart")
        restart = await _restart(place)
    growth = (after["worker_mb"] - before["worker_mb"]) * MEGA
    memory = {"before": before, "after": after, "worker_bytes_per_open_order": round(growth / count)}
    idle = {"seconds": idle_seconds, "without_orders": empty, "with_orders": full}
    ticks = {"fills": len(seconds), **spread(seconds, 50, 99)}
    figures = {"orders": count, "placing": placing, "memory": memory, "idle": idle}
    return report | {"scale": figures | {"tick_to_recorded_ms": ticks, "restart": restart}}


async def place_all(place: Site, count: int, done: Callable[[], None]) -> dict[str, float]:
    watch = following.Stopwatch()
    await at_once(CONCURRENCY, count, lambda: _placed(place, market.NEVER_MET), done)
    seconds = watch.seconds
    return {"seconds": seconds, "orders_per_second": round(count / seconds, 1)}


async def _placed(place: Site, limit: Decimal) -> OrderHandle:
    """An order that rests at the broker, and the ledger knows it."""
    handle = await place.orders.place(resting_intent(limit))
    await handle.placed(following.MAX_WAIT)
    return handle


async def _filled_by_a_tick(place: Site, count: int) -> list[float]:
    """Seconds from the trade at the exchange until it is recorded, for orders that one tick fills."""
    beginning = range(market.DEEP_DIP_AT + 1, market.PERIOD)
    await following.market_second(place.orders, beginning, market.PERIOD)
    after = await following.last_event(place.orders)
    handles, _ = await at_once(CONCURRENCY, count, lambda: _placed(place, market.MET_BY_A_DIP))
    return await following.fills_recorded(place.orders, _ids(handles), after)


def _ids(handles: list[OrderHandle]) -> set[OrderId]:
    return {handle.order_id for handle in handles}


async def _idle(place: Site, seconds: float) -> dict[str, Any]:
    """CPU in percent of a core and reads of the broker an interval, while the market ticks and nothing matches."""
    processes = {"worker_cpu_percent": place.worker.process, "server_cpu_percent": place.server}
    reads = await place.worker.reads()
    watch, spent = following.Stopwatch(), {name: cpu_seconds(process) for name, process in processes.items()}
    await asyncio.sleep(seconds)
    lasted = watch.seconds
    used = {name: cpu_seconds(process) - spent[name] for name, process in processes.items()}
    intervals = lasted / place.orders.settings.placing.reconciliation_interval
    now = await place.worker.reads()
    return {
        **{name: round(100 * cpu / lasted, 1) for name, cpu in used.items()},
        "reads_per_interval": {name: round((now[name] - reads.get(name, 0)) / intervals, 2) for name in sorted(now)},
    }


def memory_of(place: Site) -> dict[str, float]:
    """Resident megabytes."""
    resident = {"worker_mb": place.worker.memory(), "server_mb": int(place.server.memory_info().rss)}
    return {name: round(size / MEGA, 1) for name, size in resident.items()}


async def _restart(place: Site) -> dict[str, Any]:
    """SIGKILL with everything open, and a new worker: seconds from its start until all is as it was."""
    await following.market_second(place.orders, range(market.DEEP_DIP_AT + 1, market.PERIOD), market.PERIOD)
    after = await following.last_event(place.orders)
    handles, _ = await at_once(CONCURRENCY, PROBES, lambda: _placed(place, market.MET_BY_A_DEEP_DIP))
    place.worker.kill()
    killed, watch = datetime.now(UTC), following.Stopwatch()
    place.worker = WorkerProcess(place.home)
    fills = asyncio.create_task(following.fills_recorded(place.orders, _ids(handles), after))
    await place.worker.ready()
    ready = watch.seconds
    first = await following.book_read_after(place.orders, killed)
    read = watch.seconds
    await following.book_read_after(place.orders, first)
    told = watch.seconds
    seconds = await fills
    return {
        "worker_ready_seconds": ready,
        "book_read_seconds": read,
        "whole_look_done_seconds": told,
        "open_orders_filled_seconds": watch.seconds,
        "tick_to_recorded_ms": spread(seconds, 50, 99),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="resting orders")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds to watch it do nothing")
    add_keep(parser, LATEST_SCALE)
    chosen = parser.parse_args()
    with progress_bar(console) as progress:
        report = asyncio.run(measure(chosen.orders, chosen.idle, progress))
    console.print(scale_table(report))
    keep(chosen.keep, report)


if __name__ == "__main__":
    main()
