"""This tree beside an older commit of the repository: `python -m bench.older durable`, `core`, `start` or `ticks`.

The older one is built from its commit, once, with the requirements that it pins. Then both are measured in turn, so
many pairs, each with its own `bench` and in its own processes. Ratios of this tree to the older one; the median counts.
With `--keep` they are written to the section `older` of `bench/latest.json`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import platformdirs
from rich.console import Console
from rich.table import Table

from bench.machine import ROOT, local_circumstances
from bench.report import LATEST, add_keep, keep
from bench.sampling import progress_bar
from bench.start import Commands
from bench.ticks import Backtests

COMMIT = "7d4ef65"
LONGEST = 600
"""Seconds for one measurement of one tree."""
Figures = Mapping[str, float]

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Part:
    """What is measured: a statement for either tree's own `bench` that makes `report`, and the figures in it."""

    statement: str
    figures: Callable[[Any], Figures]
    pairs: int = 5

    @contextmanager
    def in_tree(self, tree: Path) -> Iterator[Callable[[], Figures]]:
        """What measures it in that tree, as often as it is called."""
        yield lambda: figures_of(tree, self)


def _durable(report: Any) -> Figures:
    durable = report["durable"]
    cpu = durable["cpu_ms"]["order"]
    found = {"worker and client, CPU": cpu["worker_and_client"], "all processes, CPU": sum(cpu.values())}
    for case in durable["cases"]:
        if case["started_over"] == "its own connection":
            at = f"{case['concurrency']} at once"
            found[f"orders a second, {at}"] = case["orders_per_second"]
            found[f"intent to exchange, p50, {at}"] = case["intent_to_exchange_ms"]["p50"]
    return found


def _core(report: Any) -> Figures:
    return {f"{kind.replace('_', ' ')} orders a second": rate for kind, rate in report.items()}


PARTS: dict[str, Part | Commands | Backtests] = {
    "start": Commands(),
    "ticks": Backtests(),
    "durable": Part(
        "import asyncio; from bench.durable import measure; report = asyncio.run(measure({1: 40, 16: 96, 48: 144}, 1))",
        _durable,
    ),
    "core": Part(
        "from bench.core_case import throughput; throughput('market', 1_000); "
        "report = {kind: throughput(kind, 10_000)['orders_per_second'] for kind in ('market', 'limit_and_cancel')}",
        _core,
    ),
}


def built(commit: str) -> Path:
    """The tree of that commit, with an environment of its own. It is kept for the next time.

    Raises `SystemExit` for a commit that this repository does not have, or that cannot be built.
    """
    tree = Path(platformdirs.user_cache_dir("durable-orders-bench")) / commit
    if (tree / ".venv" / ".ready").exists():
        return tree
    console.print(f"building {commit}, some minutes the first time")
    tree.mkdir(parents=True, exist_ok=True)
    try:
        packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "--extract"], cwd=tree, input=packed, check=True)
        subprocess.run(["make", "setup", f"PYTHON={sys.executable}"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode().strip()
        raise SystemExit(f"{commit} could not be built: {said or error}") from None
    return tree


def figures_of(tree: Path, part: Part) -> Figures:
    """One measurement, in a process of that tree's own. Raises `SystemExit` if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "report.json"
        program = f"import json, sys; {part.statement}; json.dump(report, open(sys.argv[1], 'w'), default=str)"
        asked = [str(tree / ".venv" / "bin" / "python"), "-c", program, str(answer)]
        done = subprocess.run(asked, cwd=tree, capture_output=True, text=True, timeout=LONGEST, check=False)
        if done.returncode:
            raise SystemExit(f"{tree.name} could not be measured:\n{done.stderr[-2000:]}")
        return part.figures(json.loads(answer.read_text(encoding="utf-8")))


def measure(part: Part | Commands | Backtests, commit: str, pairs: int) -> dict[str, Any]:
    """Ratios of this tree to the older one, each with the pairs that it is the median of."""
    older = built(commit)
    found: list[tuple[Figures, Figures]] = []
    with ExitStack() as stack, progress_bar(console) as progress:
        measuring = {tree: stack.enter_context(part.in_tree(tree)) for tree in (ROOT, older)}
        task = progress.add_task(f"beside {commit}", total=2 * pairs)
        for number in range(pairs):
            measured = {}
            for tree in (older, ROOT) if number % 2 else (ROOT, older):
                measured[tree] = measuring[tree]()
                progress.advance(task)
            found.append((measured[ROOT], measured[older]))
    return {"commit": commit, "pairs": pairs, "ratios": _ratios(found)}


def _ratios(found: Sequence[tuple[Figures, Figures]]) -> dict[str, Any]:
    each = {name: [own[name] / older[name] for own, older in found] for name in found[0][0]}
    return {
        name: {
            "median": round(median(ratios), 3),
            "pairs": [round(ratio, 3) for ratio in ratios],
            "here": round(median(own[name] for own, _ in found), 2),
            "older": round(median(older[name] for _, older in found), 2),
        }
        for name, ratios in each.items()
    }


def table(measured: Mapping[str, Any]) -> Table:
    shown = Table(title=f"This tree beside {measured['commit']}, {measured['pairs']} pairs in turn")
    for heading in ("", "here", measured["commit"], "ratio, median", "of the pairs"):
        shown.add_column(heading, justify="left" if not heading else "right")
    for name, one in measured["ratios"].items():
        pairs = " ".join(f"{ratio:.2f}" for ratio in sorted(one["pairs"]))
        shown.add_row(name, f"{one['here']:g}", f"{one['older']:g}", f"{one['median']:.2f}", pairs)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.older", description=__doc__)
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("--commit", default=COMMIT, help="of this repository")
    parser.add_argument("--pairs", type=int, help="as many as the part needs, otherwise")
    add_keep(parser)
    chosen = parser.parse_args()
    part = PARTS[chosen.part]
    measured = local_circumstances() | measure(part, chosen.commit, chosen.pairs or part.pairs)
    console.print(table(measured))
    before = json.loads(LATEST.read_text(encoding="utf-8")).get("older", {}) if chosen.keep else {}
    keep(chosen.keep, {"older": before | {chosen.part: measured}})


if __name__ == "__main__":
    main()
