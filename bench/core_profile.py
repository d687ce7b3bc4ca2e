"""Where the core's time goes, by file: `python -m bench.core_profile`.

Profiles the market orders of `bench.core`; with `--keep` it writes the section `core_profile` of `bench/latest.json`. A
profile slows small functions down more than large ones: it says what is worth a look, and not how long anything takes.
"""

import argparse
import cProfile
import pstats
import sysconfig
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.core_case import throughput
from bench.machine import ROOT, local_circumstances
from bench.report import add_keep, keep

ORDERS = 10_000
SHOWN = 12
BUILT_IN = "~"
PACKAGES = Path(sysconfig.get_path("purelib")).resolve()
Function = tuple[str, int, str]
"""File, line, name."""


def measure(count: int) -> dict[str, Any]:
    """The section `core_profile`: percent of the time by file, the greatest first."""
    report = local_circumstances()
    throughput("market", 1_000)
    profile = cProfile.Profile()
    profile.runcall(throughput, "market", count)
    spent = _by_file(pstats.Stats(profile).stats)  # type: ignore[attr-defined]
    total = sum(spent.values())
    greatest = sorted(spent, key=spent.__getitem__, reverse=True)[:SHOWN]
    percent = {part: round(100 * spent[part] / total, 1) for part in greatest}
    return report | {"orders": count, "percent": percent, "rest_percent": round(100 - sum(percent.values()), 1)}


def _by_file(stats: Mapping[Function, tuple[int, int, float, float, Mapping[Function, Any]]]) -> dict[str, float]:
    """Seconds in each file's own code. What is built into Python counts for whoever calls it."""
    spent: defaultdict[str, float] = defaultdict(float)
    for (file, _, _), (_, _, own, _, callers) in stats.items():
        if file == BUILT_IN and callers:
            for (caller, _, _), (_, _, seconds, _) in callers.items():
                spent[_part(caller)] += seconds
        else:
            spent[_part(file)] += own
    return spent


def _part(file: str) -> str:
    """A file of the project by its path, an installed package by its name, and Python."""
    path = Path(file).resolve()
    if path.is_relative_to(PACKAGES):
        return path.relative_to(PACKAGES).parts[0]
    if path.is_relative_to(ROOT):
        return path.relative_to(ROOT).as_posix()
    return "Python"


def table_of(report: Mapping[str, Any]) -> Table:
    table = Table("where", title=f"The core's time, {report['orders']:,} market orders under a profile")
    table.add_column("percent", justify="right")
    for part, percent in report["percent"].items():
        table.add_row(part, f"{percent:.1f}")
    table.add_row("all the rest", f"{report['rest_percent']:.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.core_profile", description=__doc__)
    add_keep(parser)
    chosen = parser.parse_args()
    report = measure(ORDERS)
    Console(highlight=False).print(table_of(report))
    keep(chosen.keep, {"core_profile": report})


if __name__ == "__main__":
    main()
