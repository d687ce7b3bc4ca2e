"""The command that runs a strategy."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

from durable_orders.cli import render
from durable_orders.cli.app import (
    HOME,
    INTERRUPTED,
    ConfigOption,
    HomeOption,
    JsonOption,
    SetOption,
    app,
    console,
    errors,
    fail,
    note,
    print_json,
    prints_aside,
)
from durable_orders.cli.logs import log_to_stderr
from durable_orders.cli.processes import (
    LiveOption,
    NoLimitsOption,
    Port,
    SpeedOption,
    SymbolOption,
    TicksOption,
    UiPort,
    must_have_limits,
    settings_of,
)
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Mode, Order, Status
from durable_orders.trading.strategies.files import load_strategy
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.running import Run, Summary

ON_ERROR = "cancel|keep|flatten"
CLOCK = re.compile(r"\d{2}:\d{2}(:\d{2})?")
SquareOffOption = Annotated[
    str | None,
    typer.Option(
        metavar="HH:MM",
        help="Market time, IST, at which to stop, cancel and close all it holds; with --engines, what is MIS.",
    ),
]
EnginesOption = Annotated[
    bool,
    typer.Option(
        "--engines",
        help="The strategy is written against `ExecutionEngine`. One session is run, from its open on; "
        "20 minutes before its close, or at --square-off, its orders are cancelled and MIS positions closed.",
    ),
]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Python file with the strategy.", metavar="STRATEGY.py")],
    mode: Annotated[
        Mode | None, typer.Option(help="What the settings must say; a run in the other mode is refused.")
    ] = None,
    ticks: TicksOption = None,
    speed: SpeedOption = None,
    symbol: SymbolOption = None,
    square_off: SquareOffOption = None,
    given: SetOption = None,
    engines: EnginesOption = False,
    on_error: Annotated[
        str, typer.Option(metavar=ON_ERROR, help="What becomes of its open orders if the strategy fails.")
    ] = "cancel",
    port: Annotated[int | None, Port] = None,
    ui_port: Annotated[int | None, UiPort] = None,
    live: LiveOption = False,
    no_limits: NoLimitsOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a strategy over durable orders until its market closes, and print what came of it.

    Starts what is needed, as `up` does, and then the market waits for the strategy after each tick; or joins what is up
    already. A strategy that fails is stopped. Run again, after whatever end, it finds its open orders.

    Exit code 1 if the strategy failed, or is not flat where that was asked for; 130 after Ctrl-C: its open orders go on
    then, with the next start of the home.
    """
    from durable_orders.running import OnError, Plan, run_strategy

    log_to_stderr()
    place = Home(home)
    with prints_aside(as_json=as_json):
        loaded = load_strategy(file, awaited=engines, given=given or ())
    settings = settings_of(place, config, ticks, speed, symbol)
    must_have_limits(settings, live=live, no_limits=no_limits)
    if mode is not None and mode is not settings.execution.mode:
        raise InvalidSettings(f"execution.mode: is {settings.execution.mode}, and --mode {mode} was given")
    if on_error not in list(OnError):
        raise typer.BadParameter(f"must be {', '.join(OnError)}; was {on_error!r}", param_hint="--on-error")
    out_at = _clock(square_off)
    with _progress(loaded.name) as progress, prints_aside(as_json=as_json):
        plan = Plan(
            live=live,
            on_error=OnError(on_error),
            square_off=out_at,
            engines=engines,
            own_market=bool(ticks) or speed is not None or symbol is not None,
            port=port,
            ui_port=ui_port,
            began=progress.began,
            shown=progress.shown,
            told=progress.told,
            warned=progress.warned,
        )
        found = asyncio.run(run_strategy(place, config, settings, loaded, plan))
    _show(found, as_json)
    _leave(found)


@app.command()
def rehearse(
    file: Annotated[Path, typer.Argument(help="Python file with the strategy.", metavar="STRATEGY.py")],
    ticks: TicksOption = None,
    speed: SpeedOption = None,
    symbol: SymbolOption = None,
    square_off: SquareOffOption = None,
    given: SetOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a strategy as on a live day, against the sandbox: a login, live orders, and recorded ticks as they come.

    The settings' limits hold, and nothing reaches a real broker. Each rehearsal has a home of its own in the home;
    its orders are shown with `--home`.
    """
    from durable_orders.rehearsal import USUAL_SPEED, recorded_ticks, stage
    from durable_orders.rehearsal import rehearse as play
    from durable_orders.running import Plan
    from durable_orders.trading.market.files.report import ReadingReport

    log_to_stderr()
    with prints_aside(as_json=as_json):
        loaded = load_strategy(file, given=given or ())
    settings = settings_of(Home(home), config, ticks, speed, symbol)
    report = ReadingReport()
    recorded, out_at = recorded_ticks(settings, report), _clock(square_off)
    for words in report.lines():
        note(words)

    async def rehearsed() -> "Summary":
        async with stage(Home(home), settings) as (place, sandbox):
            note(f"a rehearsal against the sandbox, in {place.path}")
            plan = Plan(
                square_off=out_at,
                port=0,
                ui_port=0,
                began=progress.began,
                shown=progress.shown,
                told=progress.told,
                warned=progress.warned,
            )
            return await play(place, sandbox, loaded, plan, recorded, speed or USUAL_SPEED)

    with _progress(loaded.name) as progress, prints_aside(as_json=as_json):
        found = asyncio.run(rehearsed())
    _show(found, as_json)
    _leave(found)


def _clock(text: str | None) -> time | None:
    if text is None:
        return None
    try:
        if CLOCK.fullmatch(text) is None:
            raise ValueError(text)
        return time.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"must be a time of day, as in 15:10; was {text!r}", param_hint="--square-off"
        ) from None


ELAPSED = len(" 0:00:00") + 1
"""What the time that a run has taken needs of its line."""


class _Progress:
    """On stderr: a line that moves with the market, and each order at its end."""

    def __init__(self, bar: Progress, task: TaskID, strategy: str) -> None:
        self._bar = bar
        self._task = task
        self._strategy = strategy
        self._ended: set[str] = set()

    def began(self, words: str) -> None:
        self._bar.console.print(f"{self._strategy} begins{f': {words}' if words else ''}", markup=False, soft_wrap=True)

    def shown(self, run: "Run", tick: Tick) -> None:
        counted = f"{len(run.seen)} orders, {len(run.desk.open_orders())} open"
        at = f"{tick.at:%H:%M:%S}"
        price = f"{tick.symbol} {render.rupees(tick.last_price)}"
        forms = (f"{tick.at:%d %b} {at}  {price}  {counted}", f"{at}  {price}  {counted}", f"{at}  {price}", at)
        room = self._bar.console.width - ELAPSED
        self._bar.update(self._task, description=next((each for each in forms if len(each) <= room), at))

    def warned(self, words: str) -> None:
        self._bar.console.print(f"note: {self._strategy}: {words}", markup=False, soft_wrap=True)

    def told(self, order: Order) -> None:
        if order.status.terminal and order.order_id not in self._ended:
            self._ended.add(order.order_id)
            self._bar.console.print(_line(order), markup=False, soft_wrap=True)


@contextmanager
def _progress(strategy: str) -> Iterator[_Progress]:
    columns = (TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        yield _Progress(bar, bar.add_task("waiting for the first tick", total=None), strategy)


def _line(order: Order) -> str:
    at = f" at {render.rupees(order.average_price)}" if order.average_price is not None else ""
    why = f": {'; '.join(order.reasons)}" if order.status is Status.REJECTED else ""
    return f"{order.status} {order.client_order_id}: {order.summary()}, {order.filled_quantity} filled{at}{why}"


def _show(found: "Summary", as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for label, words in _figures(found):
        console.print(f"{label:<{render.LABEL}}{words}", markup=False, soft_wrap=True)


def _figures(found: "Summary") -> Iterator[tuple[str, str]]:
    yield "strategy", f"{found.strategy}, account {found.account} ({found.mode})"
    yield "ended", found.ended
    span = f", {found.first_tick:%d %b %Y %H:%M:%S} to {found.last_tick:%d %b %Y %H:%M:%S}" if found.first_tick else ""
    yield "ticks", f"{found.ticks}{span}"
    yield "orders", ", ".join(f"{count} {status}" for status, count in found.orders.items()) or "none"
    yield "fills", f"{found.fills}, {found.units} units"
    yield "realized", render.rupees(found.realized_pnl)
    if found.holdings:
        yield "unrealized", render.rupees(found.unrealized_pnl) or "not known: a symbol has no price"
    unknown = f", and {found.uncharged_fills} fills whose charges nobody knows" if found.uncharged_fills else ""
    yield "charges", f"{render.rupees(found.charges)}{unknown}"
    for held in found.holdings:
        yield "holds", f"{held.quantity} {held.symbol} {held.product} at {render.rupees(held.average_price)}"
    for own in found.open_orders:
        yield "open", f"{own} goes on"


def _leave(found: "Summary") -> None:
    """Say what went wrong, and with which exit code."""
    from durable_orders.running import Why

    for words in found.notes:
        note(words)
    wrong = [
        *([found.failure] if found.failure else []),
        *([f"not flat: {'; '.join(found.left)}"] if found.left else []),
    ]
    if wrong:
        fail("; ".join(wrong))
    if found.ended == Why.INTERRUPTED:
        note(f"interrupted; open orders that go on with the next start: {len(found.open_orders)}")
        raise typer.Exit(INTERRUPTED)
