"""Commands that run processes or look at them: up, worker, doctor, demo.

What they run is imported when it is run, so that `place` does not have to load the broker's client.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, fail, print_json
from durable_orders.cli.desk import PagePort, must_be_installed, page_port
from durable_orders.cli.logs import log_to_stderr
from durable_orders.cli.render import findings_table
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.children import beside
from durable_orders.workers.home import Home, ServerAddress

TicksOption = Annotated[
    list[Path] | None,
    typer.Option("--ticks", help="File or folder to replay, instead of the setting; may be repeated."),
]
SpeedOption = Annotated[float | None, typer.Option("--speed", help="Market seconds per second.")]
SymbolOption = Annotated[str | None, typer.Option("--symbol", help="Whose ticks those are, if the file does not say.")]
LiveOption = Annotated[bool, typer.Option("--live", help="Real money. The settings must say execution.mode: live too.")]
NoLimitsOption = Annotated[
    bool, typer.Option("--no-limits", help="Start live without limits of position, loss and order. Your money.")
]
Port = typer.Option(min=0, max=65535, help="Port of the Temporal server; 0 for any that is free.")
UiPort = typer.Option(min=0, max=65535, help="Port of the Temporal UI; 0 for any that is free.")


def settings_of(
    home: Home, config: Path | None, ticks: list[Path] | None, speed: float | None, symbol: str | None
) -> Settings:
    """The settings, with what the command line says about the market over them."""
    given = {"ticks": ticks or None, "speed": speed, "symbol": symbol}
    return home.settings(config).replaced({"market": {key: value for key, value in given.items() if value is not None}})


def must_have_limits(settings: Settings, *, live: bool, no_limits: bool) -> None:
    """Real money starts with a limit of position, loss and order, or `--no-limits`. Raises `InvalidSettings`."""
    from durable_orders.trading.guardian.advice import must_be_limited

    if live and settings.execution.mode is Mode.LIVE and not no_limits:
        must_be_limited(settings)


@app.command()
def up(
    port: Annotated[int | None, Port] = None,
    ui_port: Annotated[int | None, UiPort] = None,
    page: PagePort = None,
    ticks: TicksOption = None,
    speed: SpeedOption = None,
    symbol: SymbolOption = None,
    live: LiveOption = False,
    no_limits: NoLimitsOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Start the Temporal server, the worker and the market feed of this home, until Ctrl-C.

    Orders that were open when it last stopped go on, however it stopped.
    """
    from durable_orders.workers.up import up as run_up

    log_to_stderr()
    place = Home(home)
    settings = settings_of(place, config, ticks, speed, symbol)
    must_have_limits(settings, live=live, no_limits=no_limits)
    serving = page_port(page, settings)
    if settings.channels:
        must_be_installed()

    def ready(address: ServerAddress | None) -> None:
        mode = settings.execution.mode
        place.follow_config(config)
        console.print(f"[bold]Up[/bold]: account {settings.account} ({mode}), home {escape(str(home))}", soft_wrap=True)
        if address is not None:
            console.print(f"Temporal server on {address.target}, its UI on {address.ui}", soft_wrap=True)
        if serving is not None:
            console.print(f"Page and API on http://127.0.0.1:{serving}", soft_wrap=True)
        console.print("Ctrl-C stops it; open orders wait for the next start.")

    @asynccontextmanager
    async def programs() -> AsyncIterator[None]:
        own = ["--home", str(home), *(["--config", str(config)] if config is not None else [])]
        async with AsyncExitStack() as stack:
            if serving is not None:
                await stack.enter_async_context(beside("web", *own, "--port", str(serving)))
            if settings.channels:
                await stack.enter_async_context(beside("notify", "run", *own))
            yield

    asyncio.run(run_up(place, settings, port, ui_port, ready, live=live, beside=programs))
    console.print("Stopped.")


@app.command()
def worker(
    ticks: TicksOption = None,
    speed: SpeedOption = None,
    symbol: SymbolOption = None,
    live: LiveOption = False,
    no_limits: NoLimitsOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Join a running Temporal server with a worker for this home's account, until Ctrl-C."""
    from durable_orders.workers.up import run_worker

    log_to_stderr()
    place = Home(home)
    settings = settings_of(place, config, ticks, speed, symbol)
    must_have_limits(settings, live=live, no_limits=no_limits)
    said = f"Worker for account {settings.account} ({settings.execution.mode}) is running."
    asyncio.run(run_worker(place, settings, lambda: console.print(said), live=live))


@app.command()
def doctor(
    alive: Annotated[
        bool,
        typer.Option("--alive", help="Fail only for what a restart may mend: no halt, no unknown order, no login."),
    ] = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed, reachable and healthy. Exit code 1 if something is not."""
    from durable_orders.doctor import examine, is_of_the_account

    findings = asyncio.run(examine(Home(home), config, asks_broker=not alive))
    if as_json:
        print_json(findings)
    else:
        console.print(findings_table(findings))
    counted = [finding for finding in findings if not (alive and is_of_the_account(finding))]
    unhealthy = [finding.name for finding in counted if not finding.healthy]
    if unhealthy:
        fail(f"not healthy: {', '.join(unhealthy)}")


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it up afterwards, to look around.")] = False,
    speed: Annotated[float, typer.Option(min=1, help="Market seconds per second.")] = 600.0,
    home: Annotated[
        Path | None, typer.Option("--home", help="Where to keep its state; a new directory without.")
    ] = None,
) -> None:
    """Trade a real day on paper, with a crash in the middle, and prove what happened to every order.

    Exit code 1 if exchange and ledger disagree in anything.
    """
    from durable_orders import demo as demonstration

    agreed = asyncio.run(demonstration.run(home, speed, keep))
    if not agreed:
        raise typer.Exit(1)
