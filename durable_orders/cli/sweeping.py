"""The command that plays a strategy with many values of its parameters."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_orders.cli.app import (
    HOME,
    INTERRUPTED,
    ConfigOption,
    HomeOption,
    JsonOption,
    app,
    console,
    errors,
    fail,
    note,
)
from durable_orders.cli.backtest import (
    DatesOption,
    FileArgument,
    HistoryOption,
    LotOption,
    MastersOption,
    SeedOption,
    SkipOption,
    SymbolOption,
    TickOption,
    TicksOption,
    ZoneOption,
    make_folder,
    on_paper,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from durable_orders.backtest.trials import Result
    from durable_orders.backtest.walk_forward import WalkForward

SHOWN = 20
NAMED = 12
"""Characters of a fingerprint in a file's name."""

ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=FIRST:LAST:STEP", help="A parameter's values, or NAME=VALUE,VALUE; may be repeated."
    ),
]
CoresOption = Annotated[int | None, typer.Option("--cores", min=1, help="Processes; without it one for each core.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Play again what an earlier sweep has played.")]
ReportOption = Annotated[
    Path | None, typer.Option("--report", help="Write an HTML page with a heat map.", dir_okay=False)
]


WalkOption = Annotated[
    str | None,
    typer.Option(
        "--walk-forward", metavar="DAYS:DAYS", help="Choose the best of so many days, play it on so many that follow."
    ),
]


@app.command()
def sweep(
    file: FileArgument,
    params: ParamOption = None,
    walk: WalkOption = None,
    ticks: TicksOption = None,
    symbol: SymbolOption = None,
    history: HistoryOption = None,
    skip_bad: SkipOption = False,
    zone: ZoneOption = None,
    dates: DatesOption = None,
    masters: MastersOption = None,
    lot: LotOption = None,
    tick: TickOption = None,
    report: ReportOption = None,
    seed: SeedOption = None,
    cores: CoresOption = None,
    fresh: FreshOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Backtest a strategy with every combination of its parameters' values, on all cores.

    What is finished is kept in the home, so the same command goes on after Ctrl-C. Exit code 1 if every combination
    was stopped by an error or had all its orders refused; with --walk-forward, if that is so out of sample.
    """
    from durable_orders.backtest.kept import SWEEPS
    from durable_orders.backtest.kept_results import Kept
    from durable_orders.backtest.left_out import left_out
    from durable_orders.backtest.sweep import Sweep, check, combinations, run
    from durable_orders.backtest.trials import Trial
    from durable_orders.backtest.walk_forward import lengths_of, walk_forward
    from durable_orders.workers.home import Home

    files = {"ticks": ticks or None, "symbol": symbol, "history": history, "instruments": masters or None}
    reading = {"skip_bad": skip_bad or None, "zone": zone, "dates": dates, "lot": lot, "tick": tick}
    settings = on_paper(Home(home).settings(config), files, reading, seed)
    every, asked = combinations(params or ()), Sweep(file, home, settings)
    lengths = lengths_of(walk) if walk is not None else None
    check(asked, every)
    kept = Kept(home / SWEEPS / f"{file.stem}-{asked.fingerprint()[:NAMED]}.jsonl")
    if fresh:
        kept.forget()
    if unfollowed := "; ".join(left_out(settings)):
        note(f"a backtest leaves out: {unfollowed}")
    available = cores or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        with _progress() as told:
            if lengths is not None:
                walked = walk_forward(asked, every, lengths, kept, available, told)
            else:
                results = run(asked, [Trial(values) for values in every], kept, available, told)
    except KeyboardInterrupt:
        note("interrupted: what was finished is kept, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    for words in kept.told() or ():
        note(words)
    if report is not None:
        make_folder(report, home)
    if lengths is not None:
        _tell_walked(walked, file.stem, report, as_json=as_json)
    else:
        _tell(results, file.stem, report, as_json=as_json)


def _tell(results: "Sequence[Result]", name: str, report: Path | None, *, as_json: bool) -> None:
    if report is not None:
        from durable_orders.backtest.sweep_page import write_sweep

        write_sweep(report, name, results)
    _print(results, as_json=as_json)
    if report is not None:
        note(f"the report is in {report}")
    if all(each.stopped is not None for each in results):
        fail(f"every combination was stopped: {results[0].stopped}")


def _tell_walked(walked: "WalkForward", name: str, report: Path | None, *, as_json: bool) -> None:
    if report is not None:
        from durable_orders.backtest.sweep_page import write_walk_forward

        write_walk_forward(report, name, walked)
    if as_json:
        _print_json(asdict(walked))
    else:
        from durable_orders.backtest.walk_table import total, walk_table

        console.print(walk_table(walked))
        console.print()
        console.print(total(walked))
    if report is not None:
        note(f"the report is in {report}")
    if all(step.stopped is not None for step in walked.steps):
        fail(f"nothing came of any window: {walked.steps[0].stopped}")


@contextmanager
def _progress() -> "Iterator[Callable[[int, int], None]]":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("combinations"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _print(results: "Sequence[Result]", *, as_json: bool) -> None:
    if as_json:
        _print_json([asdict(each) for each in results])
        return
    console.print(_table(results))
    if len(results) > SHOWN:
        console.print(f"The best {SHOWN} of {len(results)} combinations; --report and --json have all.")


def _print_json(content: object) -> None:
    import json

    from durable_orders.json_text import jsonable

    sys.stdout.write(json.dumps(content, default=jsonable, indent=2) + "\n")


def _table(results: "Sequence[Result]") -> "Table":
    from rich.table import Table

    from durable_orders.backtest.trials import best_first
    from durable_orders.cli.render import rupees

    table = Table(box=None, pad_edge=False)
    for heading in (*results[0].values, "net profit", "charges", "drawdown", "orders", "won", "lost"):
        table.add_column(heading, justify="right")
    if any(each.stopped for each in results):
        table.add_column("stopped")
    for each in best_first(results)[:SHOWN]:
        amounts = (rupees(amount) for amount in (each.net_profit, each.charges, each.max_drawdown))
        counts = (str(count) for count in (each.orders, each.wins, each.losses))
        stopped = [each.stopped] if each.stopped else []
        table.add_row(*each.values.values(), *amounts, *counts, *stopped)
    return table
