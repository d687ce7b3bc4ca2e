"""The production worker, with a counter on the broker's reads: `python -m bench.counting_worker HOME`.

On SIGUSR1 it writes what it counted to `reads.json` in its home. It prints a line when it is ready.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.workers.home import Home
from durable_orders.workers.up import run_worker

READS = ("order_book", "trades", "positions", "order_history")
READS_FILE = "reads.json"

counted: Counter[str] = Counter()


def count_reads() -> None:
    """From now on, every read of a paper broker in this process is counted."""
    for name in READS:
        setattr(PaperBroker, name, _counting(name, getattr(PaperBroker, name)))


def _counting(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
    def counting(*args: Any) -> Any:
        counted[name] += 1
        return read(*args)

    return counting


def write_counts(home: Home) -> None:
    half = home.path / f"{READS_FILE}.tmp"
    half.write_text(json.dumps(counted), encoding="utf-8")
    half.replace(home.path / READS_FILE)


async def main(home: Home) -> None:
    count_reads()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, write_counts, home)
    await run_worker(home, home.settings(), lambda: print("ready", flush=True))


if __name__ == "__main__":
    asyncio.run(main(Home(Path(sys.argv[1]))))
