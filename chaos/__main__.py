"""`python -m chaos`: a run of chaos, its tally, and exit code 1 if anything was not as it must be."""

import argparse
import asyncio
import secrets
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from temporalio.runtime import Runtime, TelemetryConfig

from chaos.operators import Act
from chaos.report import show
from chaos.run import Result, run_somewhere
from chaos.schedule import Plan

console = Console(highlight=False)


def main() -> int:
    plan = _plan()
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))  # that a killed server is missed is no news
    console.print(
        f"seed {plan.seed}: {plan.orders} orders, {plan.faults} faults, {plan.worker_kills} kills of workers, "
        f"{plan.server_kills} of the server, {plan.acts} acts of operators"
    )
    result = asyncio.run(_run(plan))
    show(result, console)
    return 1 if result.violations else 0


async def _run(plan: Plan) -> Result:
    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {what: progress.add_task(what, total=plan.orders) for what in ("placed", "ended")}
        return await run_somewhere(plan, lambda what: progress.advance(tasks[what]))


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Prove the live path against its faults.")
    add = parser.add_argument
    add("--orders", type=_count, default=200)
    add("--faults", type=_count, default=100)
    add("--seed", type=int, default=None, help="replays the schedule of an earlier run; by default another each time")
    add("--workers", type=_count, default=2, help="worker processes")
    add("--kills", type=_count, default=None, help="of workers; one for each 40 orders by default")
    add("--server-kills", type=_count, default=None, help="of the Temporal server; one for each 100 by default")
    add("--acts", type=_count, default=0, help="of operators: resets, terminations, restores, ...")
    add("--only", type=Act, nargs="+", default=(), metavar="ACT", help=f"kinds of acts: {', '.join(Act)}")
    add("--rate", type=float, default=3.0, help="orders placed in a second")
    chosen = parser.parse_args()
    return Plan(
        seed=chosen.seed if chosen.seed is not None else secrets.randbelow(10**6),
        orders=chosen.orders,
        faults=chosen.faults,
        worker_kills=chosen.orders // 40 if chosen.kills is None else chosen.kills,
        server_kills=chosen.orders // 100 if chosen.server_kills is None else chosen.server_kills,
        workers=max(chosen.workers, 1),
        orders_per_second=chosen.rate,
        acts=chosen.acts,
        only=frozenset(chosen.only),
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be below 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
