"""The command that runs a strategy."""

import asyncio
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
    app,
    console,
    errors,
    fail,
    note,
    print_json,
    prints_aside,
)
from durable_orders.cli.processes import (
    LiveOption,
    Port,
    SpeedOption,
    SymbolOption,
    TicksOption,
    UiPort,
    log_to_stderr,
    settings_of,
)
from trading.errors import InvalidSettings
from trading.market.ticks import Tick
from trading.order import Mode, Order, Status
from trading.strategy_files import load_strategy
from workers.home import Home

if TYPE_CHECKING:
    from durable_orders.running import Run, Summary

ON_ERROR = "cancel|keep|flatten"
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
    engines: EnginesOption = False,
    on_error: Annotated[
        str, typer.Option(metavar=ON_ERROR, help="What becomes of its open orders if the strategy fails.")
    ] = "cancel",
    port: Annotated[int | None, Port] = None,
    ui_port: Annotated[int | None, UiPort] = None,
    live: LiveOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a strategy over durable orders until its market closes, and print what came of it.

    Starts what is needed, as `up` does, and then the market waits for the strategy after each tick; or joins what is up
    already. A strategy that fails is stopped. Run again, after whatever end, it finds its open orders.

    Exit code 1 if the strategy failed, 130 after Ctrl-C; its open orders go on then, with the next start of the home.
    """
    from durable_orders.running import OnError, Plan, run_strategy

    log_to_stderr()
    place = Home(home)
    with prints_aside(as_json=as_json):
        loaded = load_strategy(file, awaited=engines)
    settings = settings_of(place, config, ticks, speed, symbol)
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
            own_market=any(given is not None for given in (ticks, speed, symbol)),
            port=port,
            ui_port=ui_port,
            began=progress.began,
            shown=progress.shown,
            told=progress.told,
        )
        found = asyncio.run(run_strategy(place, config, settings, loaded, plan))
    _show(found, as_json)
    _leave(found)


def _clock(text: str | None) -> time | None:
    if text is None:
        return None
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"must be a time of day, as in 15:10; was {text!r}", param_hint="--square-off"
        ) from None


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
        words = f"{tick.at:%d %b %H:%M:%S}  {tick.symbol} {render.rupees(tick.last_price)}  {counted}"
        self._bar.update(self._task, description=words)

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
    if found.failure is not None:
        fail(found.failure)
    if found.ended == Why.INTERRUPTED:
        note(f"interrupted; open orders that go on with the next start: {len(found.open_orders)}")
        raise typer.Exit(INTERRUPTED)
