"""The command that plays a strategy file over recorded ticks, in one process and without a server."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_orders.cli.app import (
    HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    SetOption,
    app,
    console,
    errors,
    fail,
    note,
    prints_aside,
)
from durable_orders.cli.numbers import whole_number

if TYPE_CHECKING:
    from durable_orders.backtest.figures import Figures
    from durable_orders.trading.backtest.play import Played
    from durable_orders.trading.config.settings import Settings
    from durable_orders.trading.strategies.files import Loaded
    from durable_orders.workers.home import Home

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE.py", help="The strategy: one class, or an object called strategy.")
]
TicksOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--ticks", help="File or folder of ticks or candles; may be repeated. Without it, as the settings say."
    ),
]
HistoryOption = Annotated[
    Path | None,
    typer.Option("--history", help="File from before those: what the strategy's history begins with.", dir_okay=False),
]
SkipOption = Annotated[
    bool, typer.Option("--skip-bad", help="Count the rows that cannot be; without it the first is an error.")
]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", help="Of times that have none, as in UTC; without it they are IST.")
]
DatesOption = Annotated[
    str | None,
    typer.Option(
        "--dates", metavar="day-first|month-first", help="What 04/05/2025 is, where the file does not show it."
    ),
]
MastersOption = Annotated[
    list[Path] | None,
    typer.Option("--instruments", help="Kite's instruments CSV; may be repeated, as for NSE and NFO.", dir_okay=False),
]
LotOption = Annotated[
    int | None,
    typer.Option("--lot", parser=whole_number, metavar="INTEGER", help="Units, of instruments that no master has."),
]
TickOption = Annotated[str | None, typer.Option("--tick", help="Rupees, of instruments that no master has.")]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Write an HTML page with plots.", dir_okay=False)]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of the fill models, instead of the settings' own.")]
SymbolOption = Annotated[str | None, typer.Option("--symbol", help="Whose ticks those are, where the file has none.")]


@app.command()
def backtest(
    file: FileArgument,
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
    given: SetOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play a strategy over recorded ticks: the same checks, lifecycle and paper exchange, in memory.

    Nothing is sent and nothing is kept but the report. Exit code 1 if the strategy was stopped by an error
    of its own, or if none of its orders passed.
    """
    from durable_orders.backtest.figures import figures_of, refused_throughout
    from durable_orders.backtest.left_out import left_out, silence
    from durable_orders.trading.strategies.files import load_strategy
    from durable_orders.workers.home import Home

    with prints_aside(as_json=as_json):
        loaded = load_strategy(file, given=given or ())
    files = {"ticks": ticks or None, "symbol": symbol, "history": history, "instruments": masters or None}
    reading = {"skip_bad": skip_bad or None, "zone": zone, "dates": dates, "lot": lot, "tick": tick}
    settings = on_paper(Home(home).settings(config), files, reading, seed)
    if unfollowed := "; ".join(left_out(settings)):
        note(f"a backtest leaves out: {unfollowed}")
    played = played_over(loaded, settings, Home(home), as_json=as_json)
    played.notes += silence(played, loaded.strategy)
    for words in played.notes:
        note(words)
    figures = figures_of(played)
    if report is not None:
        from durable_orders.backtest.page import write_page

        make_folder(report, home)
        write_page(report, played, figures)
    _print(figures, as_json=as_json)
    if report is not None:
        note(f"the report is in {report}")
    if (why := figures.failure or refused_throughout(figures)) is not None:
        fail(why)


def make_folder(report: Path, home: Path) -> None:
    """That of the home from which the desk's page shows reports; another folder has to be there. Raises `OSError`."""
    from durable_orders.backtest.kept import REPORTS

    if report.parent.resolve() == (home / REPORTS).resolve():
        report.parent.mkdir(parents=True, exist_ok=True)


def played_over(loaded: "Loaded", settings: "Settings", home: "Home", *, as_json: bool) -> "Played":
    """What comes of the strategy over the ticks of the settings. Raises `InvalidTicks`, `InvalidSettings`."""
    from durable_orders.backtest.recorded import recorded
    from durable_orders.trading.backtest.play import Player

    with prints_aside(as_json=as_json), _progress() as share:
        found = recorded(home, settings, progress=share)
        player = Player(loaded, settings, found.instruments, found.feed.begins, found.earlier)
        with _frozen():
            played = player.play(found.feed)
    played.notes[:0] = found.told.lines()
    return played


def on_paper(own: "Settings", files: dict[str, Any], reading: dict[str, Any], seed: int | None) -> "Settings":
    """Those of the home, on paper whatever they say, with what the command line says over them; `None` is not said."""
    market = {key: value for key, value in files.items() if value is not None}
    recordings = {key: value for key, value in reading.items() if value is not None}
    market["recordings"] = own.market.recordings.model_dump() | recordings
    paper = own.execution.paper.model_dump() | ({"seed": seed} if seed is not None else {})
    if "square_off_enabled" not in own.execution.paper.model_fields_set:
        paper["square_off_enabled"] = True  # nobody's MIS stays over night
    return own.replaced({"market": market, "execution": {"mode": "paper", "dry_run": False, "paper": paper}})


def _ignored(_share: float) -> None:
    return None


@contextmanager
def _frozen() -> Iterator[None]:
    """What was loaded stays: it need not be searched for garbage again and again while ticks come and go."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """A bar on stderr, where that is a terminal, moved by how much of the files was read, from 0 to 1."""
    if not errors.is_terminal:
        yield _ignored
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("playing"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _print(figures: "Figures", *, as_json: bool) -> None:
    from durable_orders.backtest.figures import refused_throughout
    from durable_orders.backtest.table import SHOWN, refused_table, summary_table, trades_table

    if as_json:
        _print_json(figures)
        return
    console.print(summary_table(figures))
    if figures.trades:
        console.print()
        console.print(trades_table(figures.trades[-SHOWN:]))
        if len(figures.trades) > SHOWN:
            console.print(f"The last {SHOWN} of {len(figures.trades)} trades; --report and --json have all.")
    if figures.refused and (refused_throughout(figures) is None or len(figures.refusals) > 1):
        console.print()
        console.print(refused_table(figures.refused[-SHOWN:]))
        if len(figures.refused) > SHOWN:
            console.print(f"The last {SHOWN} of {len(figures.refused)} rejected; --report and --json have all.")


def _print_json(figures: "Figures") -> None:
    import json
    import sys

    from durable_orders.json_text import jsonable

    content: dict[str, Any] = {name: getattr(figures, name) for name in figures.__slots__}
    content["trades"] = [asdict(line) for line in figures.trades]
    content["refused"] = [asdict(line) for line in figures.refused]
    content["trips"] = [asdict(line) for line in figures.trips]
    content["funds"] = asdict(figures.funds) if figures.funds is not None else None
    content["curve"] = [asdict(point) for point in figures.curve]
    charges = figures.charges
    content["charges"] = charges.model_dump() | {"total": charges.total}
    sys.stdout.write(json.dumps(content, default=jsonable, indent=2) + "\n")
