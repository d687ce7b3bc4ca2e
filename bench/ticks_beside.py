"""A whole backtest beside nautilus_trader 1.221.0 on the same file: `python -m bench.ticks_beside`, some minutes.

Both are given the CSV of `bench.ticks` and the same rule, in turn, so many pairs; CPU and peak memory are those of the
whole process. It is installed once, into an environment of its own. Prints a table; with `--keep` it writes the section
`ticks_beside` of `bench/latest.json`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import ROOT, local_circumstances
from bench.peers.installing import Peer, installed
from bench.report import add_keep, keep
from bench.sampling import progress_bar
from bench.ticks import MEGABYTE, STRATEGY, TICKS, run, waited, write_csv

NAUTILUS = Peer("nautilus_trader", Path(__file__).parent / "peers" / "ticks_with_nautilus.py", "1.221.0")
GOAL = 0.6
"""Of its CPU, at most."""

console = Console(highlight=False)


def measure(pairs: int, ticks: int = TICKS) -> dict[str, Any]:
    """The section, with its circumstances. Raises `SystemExit` where the peer cannot be had, or fails."""
    python = installed(NAUTILUS)
    if isinstance(python, str):
        raise SystemExit(f"{NAUTILUS.name} {NAUTILUS.version}: {python}")
    report = local_circumstances()
    found = []
    with tempfile.TemporaryDirectory(prefix="durable-orders-ticks-") as folder, progress_bar(console) as progress:
        home = Path(folder)
        (home / "cross.py").write_text(STRATEGY)
        write_csv(home / "ticks.csv", ticks)
        program = ROOT / ".venv" / "bin" / "durable-orders"
        task = progress.add_task(f"beside {NAUTILUS.name} {NAUTILUS.version}", total=pairs)
        for number in range(pairs):
            theirs = _peer(python, home) if number % 2 else None
            seconds, megabytes, fills = run(program, home, home / "ticks.csv")
            theirs = theirs or _peer(python, home)
            own = {"seconds": seconds, "mb": megabytes, "filled": int(fills.split()[0])}
            if own["filled"] != theirs["filled"]:
                raise SystemExit(f"{own['filled']} orders filled here, {theirs['filled']} there: not the same work")
            found.append({"here": own, "there": theirs})
            progress.advance(task)
    ratios = [pair["here"]["seconds"] / pair["there"]["seconds"] for pair in found]
    return report | {"peer": f"{NAUTILUS.name} {NAUTILUS.version}", "ratio": round(median(ratios), 3), "pairs": found}


def _peer(python: Path, home: Path) -> dict[str, Any]:
    with (home / "peer").open("w+") as told, (home / "said").open("w+") as said:
        words = [str(python), str(NAUTILUS.script), str(home / "ticks.csv")]
        process = subprocess.Popen(words, stdout=told, stderr=said)
        used, peak = waited(process)
        told.seek(0)
        said.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)}: {said.read()[-2000:]}")
        filled = json.loads(told.read().strip().splitlines()[-1])["filled"]
    return {"seconds": used.ru_utime + used.ru_stime, "mb": peak / MEGABYTE, "filled": filled}


def table_of(report: dict[str, Any]) -> Table:
    words = f"ratio of the CPU, median: {report['ratio']:.2f}, at most {GOAL} wanted"
    table = Table(title=f"Beside {report['peer']}, {len(report['pairs'])} pairs in turn", caption=words)
    for heading in ("", "CPU, s", "peak, MB", "orders filled"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, shown in (("here", "durable-orders"), ("there", report["peer"])):
        every = [pair[name] for pair in report["pairs"]]
        figures = (f"{median(each[key] for each in every):.1f}" for key in ("seconds", "mb"))
        table.add_row(shown, *figures, str(every[0]["filled"]))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ticks_beside", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=TICKS)
    add_keep(parser)
    chosen = parser.parse_args()
    report = measure(chosen.pairs, chosen.ticks)
    console.print(table_of(report))
    keep(chosen.keep, {"ticks_beside": report})


if __name__ == "__main__":
    main()
