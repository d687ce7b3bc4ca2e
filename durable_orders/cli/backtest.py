"""The command that plays a strategy file over recorded ticks, in one process and without a server."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable_orders.backtest.figures import Figures
    from durable_orders.trading.backtest.play import Played
    from durable_orders.trading.config.settings import Settings
    from durable_orders.trading.market.calendar import SessionSource
    from durable_orders.trading.market.feeds import Timed
    from durable_orders.trading.market.ticks import Tick

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
LotOption = Annotated[int | None, typer.Option("--lot", help="Units, of instruments that no master has.")]
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
    from durable_orders.workers.instruments import instruments_of

    with prints_aside(as_json=as_json):
        loaded = load_strategy(file, given=given or ())
    files = {"ticks": ticks or None, "symbol": symbol, "history": history, "instruments": masters or None}
    reading = {"skip_bad": skip_bad or None, "zone": zone, "dates": dates, "lot": lot, "tick": tick}
    settings = _settings(Home(home).settings(config), files, reading, seed)
    if unfollowed := "; ".join(left_out(settings)):
        note(f"a backtest leaves out: {unfollowed}")
    instruments = instruments_of(Home(home), settings)
    from durable_orders.trading.backtest.play import Player
    from durable_orders.trading.market.files.report import ReadingReport
    from durable_orders.trading.market.instrument_sessions import InstrumentSessions
    from durable_orders.trading.market.recorded_bars import earlier_ticks
    from durable_orders.trading.market.recorded_ticks import market_ticks

    told = ReadingReport()
    sessions = InstrumentSessions(settings.market, instruments)
    recorded = list(market_ticks(settings.market, instruments, sessions, told))
    earlier = earlier_ticks(settings.market, instruments, sessions, recorded, told)
    start = recorded[0].at if recorded else datetime.now().astimezone()
    player = Player(loaded, settings, instruments, start, earlier)
    with prints_aside(as_json=as_json):
        played = _play(player.play, sessions, recorded)
    played.notes[:0] = told.lines()
    played.notes += silence(played, loaded.strategy)
    for words in played.notes:
        note(words)
    figures = figures_of(played)
    if report is not None:
        from durable_orders.backtest.page import write_page

        write_page(report, played, figures)
    _print(figures, as_json=as_json)
    if report is not None:
        note(f"the report is in {report}")
    if (why := figures.failure or refused_throughout(figures)) is not None:
        fail(why)


def _settings(own: "Settings", files: dict[str, Any], reading: dict[str, Any], seed: int | None) -> "Settings":
    """Those of the home, on paper whatever they say, with what the command line says over them; `None` is not said."""
    market = {key: value for key, value in files.items() if value is not None}
    recordings = {key: value for key, value in reading.items() if value is not None}
    market["recordings"] = own.market.recordings.model_dump() | recordings
    paper = own.execution.paper.model_dump() | ({"seed": seed} if seed is not None else {})
    if "square_off_enabled" not in own.execution.paper.model_fields_set:
        paper["square_off_enabled"] = True  # nobody's MIS stays over night
    return own.replaced({"market": market, "execution": {"mode": "paper", "dry_run": False, "paper": paper}})


def _play(play: "Callable[..., Played]", sessions: "SessionSource", ticks: "list[Tick]") -> "Played":
    from durable_orders.trading.market.feeds import ReplayFeed

    feed = ReplayFeed(ticks, 1.0, sessions, rounds=1)
    with _progress(len(ticks)) as shown:
        return play(feed, shown)


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[Timed], None]]":
    """A bar on stderr, where that is a terminal. It is moved once in a while: drawing costs more than a tick."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
    )
    every = max(total // 200, 1)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("playing", total=total)
        seen = 0

        def show(timed: "Timed") -> None:
            nonlocal seen
            seen += 1
            if seen % every == 0:
                progress.update(task, completed=seen, description=f"{timed.tick.at:%d %b %H:%M}")

        yield show


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
