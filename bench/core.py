"""The core of backtests: orders a second, beside other engines that do the same work, in one run on one core.

`python -m bench.core` takes some minutes and prints a table; with `--keep` it writes `core` of `bench/latest.json`.
One process at a time; a case that fails, or is not done within its limit, is said to be missing, and the rest stands.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from rich.console import Console

from bench.core_tables import tables
from bench.machine import ROOT, local_circumstances
from bench.peers.installing import PEERS, Peer, installed
from bench.report import add_keep, keep

KINDS = ("market", "limit_and_cancel")

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and for how long at most."""

    counts: Sequence[int] = (1_000, 10_000, 100_000)
    """Orders of a case, ascending. The middle one is the one that is compared."""
    rounds: int = 3
    """Of each case, of which the median counts; the largest case is long enough to be one."""
    longest: float = 120
    """Seconds for one round: the largest case takes 20 at 5,000 orders a second."""
    peers: Sequence[Peer] = PEERS

    @property
    def middle(self) -> int:
        return self.counts[len(self.counts) // 2]

    def rounds_of(self, count: int) -> int:
        return 1 if count == max(self.counts) else self.rounds


def measure(plan: Plan) -> dict[str, Any]:
    """The figures under `core`, with their circumstances. One that could not be had is `None`."""
    circumstances = local_circumstances()
    own = [_own(plan, kind, count) for kind in KINDS for count in plan.counts]
    peers = {peer.name: of_peer(plan, peer) for peer in plan.peers}
    at_market = {case["orders"]: case for case in own if case["kind"] == "market"}
    compared = at_market[plan.middle]
    return circumstances | {
        "rounds": plan.rounds,
        "orders_per_second": compared.get("orders_per_second"),
        "cost_ratio_100k_to_1k": _ratio(at_market.get(100_000, {}), at_market.get(1_000, {})),
        "bytes_per_order": compared.get("bytes_per_order"),
        "latency_us": compared.get("latency_us"),
        "peers_orders_per_second": {name: peer["market"].get("orders_per_second") for name, peer in peers.items()},
        "cases": own,
        "peers": peers,
    }


def _ratio(large: Mapping[str, Any], small: Mapping[str, Any]) -> float | None:
    if "us_per_order" not in large or "us_per_order" not in small:
        return None
    ratio: float = large["us_per_order"] / small["us_per_order"]
    return round(ratio, 3)


def _own(plan: Plan, kind: str, count: int) -> dict[str, Any]:
    """Its median round. Latency and memory are of one round, and measured after its orders a second."""
    details = ["--details"] if count == plan.middle else []
    words = [sys.executable, "-m", "bench.core_case", kind, str(count)]
    return _case(plan, "durable-orders", kind, count, [words + details, *[words] * (plan.rounds_of(count) - 1)])


def of_peer(plan: Plan, peer: Peer) -> dict[str, Any]:
    """By kind of order, what it did or why it is missing."""
    python = installed(peer)
    if isinstance(python, str):
        return {kind: {"kind": kind, "orders": plan.middle, "missing": python} for kind in KINDS}
    return {
        kind: _case(
            plan, peer.name, kind, plan.middle, [[str(python), str(peer.script), kind, str(plan.middle)]] * plan.rounds
        )
        for kind in KINDS
    }


def _case(plan: Plan, engine: str, kind: str, count: int, commands: Sequence[Sequence[str]]) -> dict[str, Any]:
    console.print(f"{engine}: {kind.replace('_', ' ')}, {count:,} orders", style="dim")
    rounds: list[dict[str, Any]] = []
    for words in commands:
        answer = _run(words, plan.longest)
        if isinstance(answer, str):
            return {"kind": kind, "orders": count, "missing": answer}
        rounds.append(answer)
    middle = median_low(each["orders_per_second"] for each in rounds)
    return rounds[0] | next(each for each in rounds if each["orders_per_second"] == middle)


def _run(words: Sequence[str], longest: float) -> dict[str, Any] | str:
    """What a round found, or why it found nothing."""
    try:
        answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=longest)
    except subprocess.TimeoutExpired:
        return f"not done within its limit of {longest:g} s"
    if answer.returncode < 0:
        return f"its process was ended by signal {-answer.returncode}"
    if answer.returncode:
        return f"it failed: {(answer.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}"
    content: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return content


def main() -> None:
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench.core", description=__doc__)
    add_keep(parser)
    parser.add_argument("--counts", type=int, nargs="+", default=usual.counts, help="orders of the cases")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="of each case but the largest")
    parser.add_argument("--longest", type=float, default=usual.longest, help="seconds for one round")
    chosen = parser.parse_args()
    if chosen.rounds < 1 or min(chosen.counts) < 10 or any(count % 10 for count in chosen.counts):
        parser.error("--rounds: at least 1; --counts: multiples of 10")
    core = measure(Plan(sorted(chosen.counts), chosen.rounds, chosen.longest))
    keep(chosen.keep, {"core": core})
    for table in tables(core):
        console.print(table)


if __name__ == "__main__":
    main()
