"""Ticks a second that a strategy is shown on paper, over durable orders: `python -m bench.paper_ticks`, a minute.

The command `run`, with a server and a worker of its own, over a made day of one share. Orders rest far from its price,
or plans are open whose stop and target are far from it; the strategy looks at every tick and asks for nothing, as most
strategies do at most ticks. Measured from the tick after the orders were placed to the last hundredth one, by the
strategy itself: on the wall's clock, and by the CPU of the run's own process, in which market and worker are. Prints a
table; with `--keep` it writes the section `paper_ticks` of `bench/latest.json`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import ROOT, local_circumstances
from bench.report import add_keep, keep
from bench.ticks import write_csv

TICKS = 80_000
RESTING = (0, 31, 200)
BRACKETS = (1, 10)
"""Plans whose entry is filled and whose stop rests."""
GOAL = 20_000
"""Ticks a second."""
LONGEST = 600
"""Seconds for one run."""
STRATEGY = """
import json
import time

from durable_orders import Parameter, Strategy


class Resting(Strategy):
    orders = Parameter(31, least=0)
    brackets = Parameter(0, least=0)

    def on_start(self, context):
        self.seen, self.began = 0, None

    def on_tick(self, context, tick):
        self.seen += 1
        if self.seen == 2:
            for step in range(self.orders):
                context.buy(tick.symbol, 1, product="CNC", order_type="LIMIT", price=str(1_400 - step))
            for _ in range(self.brackets):
                context.bracket("BUY", tick.symbol, 1, product="CNC", stop="1000", target="2000")
        if self.seen == 10:
            self.resting, self.began = len(context.open_orders()), (time.monotonic(), time.process_time())
        if self.seen % 100 == 0:
            self.shown, self.ended = self.seen - 10, (time.monotonic(), time.process_time())

    def on_stop(self, context):
        wall, cpu = (ended - began for ended, began in zip(self.ended, self.began))
        found = {"ticks": self.shown, "seconds": wall, "cpu_seconds": cpu, "resting": self.resting}
        with open(__file__ + ".json", "w") as file:
            json.dump(found, file)
"""


def measure(ticks: int, resting: int, brackets: int = 0) -> dict[str, Any]:
    """One run. Raises `SystemExit` if it fails."""
    with tempfile.TemporaryDirectory(prefix="durable-orders-paper-") as folder:
        home = Path(folder)
        file = home / "resting.py"
        file.write_text(STRATEGY)
        write_csv(home / "ticks.csv", ticks)
        program = str(ROOT / ".venv" / "bin" / "durable-orders")
        words = [program, "run", str(file), "--mode", "paper", "--ticks", str(home / "ticks.csv"), "--home", folder]
        words += ["--speed", "100000", "--port", "0", "--ui-port", "0", "--set", f"orders={resting}"]
        words += ["--set", f"brackets={brackets}", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}:\n{done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(file.with_name(f"{file.name}.json").read_text())
    if found["resting"] != resting + brackets:
        raise SystemExit(f"{found['resting']} of {resting + brackets} orders rested")
    rates = {name.replace("seconds", "second"): found["ticks"] / found[name] for name in ("seconds", "cpu_seconds")}
    return found | {"brackets": brackets} | {f"ticks_per_{name}": round(rate) for name, rate in rates.items()}


def table_of(report: dict[str, Any]) -> Table:
    table = Table(title="A strategy on paper that asks for nothing")
    for name in ("orders that rest", "of them stops of plans", "ticks", "ticks a second", "a second of CPU", "goal"):
        table.add_column(name, justify="right")
    for case in report["cases"]:
        table.add_row(
            str(case["resting"]),
            str(case.get("brackets", 0)),
            f"{case['ticks']:,}",
            f"{case['ticks_per_second']:,}",
            f"{case['ticks_per_cpu_second']:,}",
            f"{GOAL:,}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.paper_ticks", description=__doc__)
    parser.add_argument("--ticks", type=int, default=TICKS)
    parser.add_argument("--resting", type=int, nargs="+", default=list(RESTING), help="orders, of each run")
    parser.add_argument("--brackets", type=int, nargs="*", default=list(BRACKETS), help="open plans, of each run")
    add_keep(parser)
    chosen = parser.parse_args()
    cases = [measure(chosen.ticks, resting) for resting in chosen.resting]
    cases += [measure(chosen.ticks, 0, brackets) for brackets in chosen.brackets]
    report = local_circumstances() | {"cases": cases}
    Console(highlight=False).print(table_of(report))
    keep(chosen.keep, {"paper_ticks": report})


if __name__ == "__main__":
    main()
