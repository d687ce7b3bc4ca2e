"""The core of backtests: orders a second, beside other engines that do the same work, in one run on one core.

`python -m bench.core` prints a table and writes the figures under `core` into `bench/latest.json`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import ROOT, local_circumstances
from bench.peers.installing import PEERS, Peer, installed
from bench.report import keep

OUTPUT = Path(__file__).parent / "latest.json"
KINDS = ("market", "limit_and_cancel")
COUNTS = (1_000, 10_000, 100_000)
PEER_ORDERS = 10_000
ROUNDS = 3
"""Of each short case, in turn; the median counts."""
LONGEST = 240
"""Seconds for one case."""
GOAL = 20_000
"""Market orders a second."""

console = Console(highlight=False)


def measure() -> dict[str, Any]:
    """The figures under `core`, with their circumstances."""
    own = [_own(kind, count) for kind in KINDS for count in COUNTS]
    peers = {peer.name: _peer(peer) for peer in PEERS}
    by_case = {(case["kind"], case["orders"]): case for case in own}
    at_market = {count: by_case["market", count] for count in COUNTS}
    return local_circumstances() | {
        "orders_per_second": at_market[10_000]["orders_per_second"],
        "cost_ratio_100k_to_1k": round(at_market[100_000]["us_per_order"] / at_market[1_000]["us_per_order"], 3),
        "bytes_per_order": at_market[10_000]["bytes_per_order"],
        "latency_us": at_market[10_000]["latency_us"],
        "peers_orders_per_second": {
            name: peer["market"]["orders_per_second"] if "market" in peer else None for name, peer in peers.items()
        },
        "cases": own,
        "peers": peers,
    }


def _own(kind: str, count: int) -> dict[str, Any]:
    """The median of some rounds; a hundred thousand orders are long enough to be one."""
    console.print(f"{kind}, {count:,} orders", style="dim")
    details = ["--details"] if count == PEER_ORDERS else []
    rounds = [
        _run(sys.executable, "-m", "bench.core_case", kind, str(count), *details)
        for _ in range(1 if count == max(COUNTS) else ROUNDS)
    ]
    middle = median(each["orders_per_second"] for each in rounds)
    return next(each for each in rounds if each["orders_per_second"] == middle)


def _peer(peer: Peer) -> dict[str, Any]:
    """What it did, or why it is missing."""
    console.print(f"{peer.name}, {PEER_ORDERS:,} orders of each kind", style="dim")
    python = installed(peer)
    if isinstance(python, str):
        return {"missing": python}
    report: dict[str, Any] = {}
    for kind in KINDS:
        try:
            rounds = [_run(str(python), str(peer.script), kind, str(PEER_ORDERS)) for _ in range(ROUNDS)]
        except subprocess.SubprocessError as error:
            return {"missing": f"it failed: {error}"}
        middle = median(each["orders_per_second"] for each in rounds)
        report[kind] = next(each for each in rounds if each["orders_per_second"] == middle)
    return report


def _run(*words: str) -> dict[str, Any]:
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=LONGEST)
    content: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return content


def tables(core: Mapping[str, Any]) -> list[Table]:
    table = Table(
        title="The core: a strategy's orders through guardian and paper exchange to their end",
        caption=f"{core['machine']['cores']} cores {core['machine']['cpu']}, of which one is used; Python "
        f"{core['versions']['python']}. Ten orders a tick; CPU time of the process, the median of {ROUNDS} rounds, "
        "but of 100,000 orders one.",
    )
    for column in ("engine", "orders"):
        table.add_column(column)
    for column in ("count", "orders/s", "us an order", "p50 / p99 us", "bytes an order"):
        table.add_column(column, justify="right")
    for case in core["cases"]:
        latency = case.get("latency_us")
        spread = f"{latency['p50']} / {latency['p99']}" if latency else ""
        _add(table, "durable-orders", case, spread, str(case.get("bytes_per_order", "")))
    for name, peer in core["peers"].items():
        if "missing" in peer:
            table.add_row(name, "missing", "", peer["missing"])
        for kind in KINDS:
            if kind in peer:
                _add(table, f"{name} {peer[kind]['version']}", peer[kind], "", "")
    summary = Table(show_header=False)
    summary.add_row("market orders a second (goal: 20,000)", f"{core['orders_per_second']:,.0f}")
    summary.add_row("cost of an order, 100,000 to 1,000 (goal: not growing)", f"{core['cost_ratio_100k_to_1k']}")
    summary.add_row("bytes an ended order keeps (goal: under 1,024)", str(core["bytes_per_order"]))
    return [table, summary]


def _add(table: Table, engine: str, case: Mapping[str, Any], latency: str, size: str) -> None:
    per_order = 1e6 / case["orders_per_second"]
    rate = f"{case['orders_per_second']:,.0f}"
    kind = case["kind"].replace("_", " ")
    table.add_row(engine, kind, f"{case['orders']:,}", rate, f"{per_order:.1f}", latency, size)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.core", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to write the figures, as JSON")
    chosen = parser.parse_args()
    core = measure()
    for table in tables(core):
        console.print(table)
    keep(chosen.output, {"core": core})


if __name__ == "__main__":
    main()
