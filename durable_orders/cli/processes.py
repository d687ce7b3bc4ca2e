"""Commands that run processes or look at them: up, worker, doctor, demo.

What they run is imported when it is run, so that `place` does not have to load the broker's client.
"""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, fail, print_json
from durable_orders.cli.render import findings_table
from trading.settings import Settings
from workers.home import Home, ServerAddress

TicksOption = Annotated[Path | None, typer.Option("--ticks", help="CSV or Parquet to replay, instead of the setting.")]
SpeedOption = Annotated[float | None, typer.Option("--speed", help="Market seconds per second.")]
SymbolOption = Annotated[str | None, typer.Option("--symbol", help="Whose ticks those are, if the file does not say.")]
LiveOption = Annotated[bool, typer.Option("--live", help="Real money. The settings must say execution.mode: live too.")]
Port = typer.Option(min=1, max=65535, help="Port of the Temporal server.")
UiPort = typer.Option(min=1, max=65535, help="Port of the Temporal UI.")


def settings_of(
    home: Home, config: Path | None, ticks: Path | None, speed: float | None, symbol: str | None
) -> Settings:
    """The settings, with what the command line says about the market over them."""
    given = {"ticks": ticks, "speed": speed, "symbol": symbol}
    return home.settings(config).replaced({"market": {key: value for key, value in given.items() if value is not None}})


def log_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


@app.command()
def up(
    port: Annotated[int | None, Port] = None,
    ui_port: Annotated[int | None, UiPort] = None,
    ticks: TicksOption = None,
    speed: SpeedOption = None,
    symbol: SymbolOption = None,
    live: LiveOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Start the Temporal server, the worker and the market feed of this home, until Ctrl-C.

    Orders that were open when it last stopped go on, however it stopped.
    """
    from workers.up import up as run_up

    log_to_stderr()
    place = Home(home)
    settings = settings_of(place, config, ticks, speed, symbol)

    def ready(address: ServerAddress | None) -> None:
        mode = settings.execution.mode
        console.print(f"[bold]Up[/bold]: account {settings.account} ({mode}), home {escape(str(home))}", soft_wrap=True)
        if address is not None:
            console.print(f"Temporal server on {address.target}, its UI on {address.ui}", soft_wrap=True)
        console.print("Ctrl-C stops it; open orders wait for the next start.")

    asyncio.run(run_up(place, settings, port, ui_port, ready, live=live))
    console.print("Stopped.")


@app.command()
def worker(
    ticks: TicksOption = None,
    speed: SpeedOption = None,
    symbol: SymbolOption = None,
    live: LiveOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Join a running Temporal server with a worker for this home's account, until Ctrl-C."""
    from workers.up import run_worker

    log_to_stderr()
    place = Home(home)
    settings = settings_of(place, config, ticks, speed, symbol)
    said = f"Worker for account {settings.account} ({settings.execution.mode}) is running."
    asyncio.run(run_worker(place, settings, lambda: console.print(said), live=live))


@app.command()
def doctor(home: HomeOption = HOME, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what is installed, reachable and healthy. Exit code 1 if something is not."""
    from durable_orders.doctor import examine

    findings = asyncio.run(examine(Home(home), config))
    if as_json:
        print_json(findings)
    else:
        console.print(findings_table(findings))
    unhealthy = [finding.name for finding in findings if not finding.healthy]
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
