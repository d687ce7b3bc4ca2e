"""Commands of live trading: login, and the sandbox to try it with.

What they use is imported when they are run, so that other commands do not have to load the broker's client.
"""

import asyncio
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, app, console
from durable_orders.trading.explained import explained
from durable_orders.workers.home import Home


@app.command()
def login(
    request_token: Annotated[str | None, typer.Option(help="From the redirect, if you have it already.")] = None,
    access_token: Annotated[
        str | None, typer.Option(help="One that was got elsewhere; `-` reads it from standard input.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the app's redirect URL points to, on loopback.")
    ] = 5010,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to wait for the redirect; 0.0.0.0 within a container.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the login page in a browser.")] = True,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Log in at Kite for the day. Orders that wait for it go on by themselves.

    The token is kept in the home directory, readable by its owner only, and never printed.
    """
    from durable_orders import login as logins

    place = Home(home)
    own = place.settings(config)
    settings = own.kite
    if access_token == "-":  # noqa: S105  (a dash, not a secret)
        access_token = sys.stdin.readline().strip()
    if access_token is None:
        access_token = logins.exchange(
            settings, request_token or _by_browser(logins.login_url(settings), listen, port, browser)
        )
    user = logins.keep(place, settings, access_token, own)
    console.print(f"Logged in as {user}.")


def _by_browser(url: str, listen: str, port: int, browser: bool) -> str:
    from durable_orders import login as logins

    console.print(f"Log in at {url}", soft_wrap=True)
    console.print(f"Waiting for the redirect on http://127.0.0.1:{port}/ (or give --request-token)")
    if browser:
        webbrowser.open(url)
    return asyncio.run(logins.catch_redirect(port, listen))


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=1, max=65535, help="REST and WebSocket, on loopback.")] = 8899,
    ticks: Annotated[
        Path | None, typer.Option("--ticks", help="CSV or Parquet to replay, instead of a random walk.")
    ] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="Of a replay: market seconds per second.")] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="Whose ticks those are, if the file does not say.")
    ] = None,
    redirect_url: Annotated[str, typer.Option(help="Where its login page leads.")] = "http://127.0.0.1:5010/",
    postback_url: Annotated[str | None, typer.Option(help="Where its postbacks go.")] = None,
    database: Annotated[Path | None, typer.Option(help="Keep the exchange there; without, it forgets.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random walk and of the faults.")] = 0,
    feed: Annotated[
        str | None,
        typer.Option(
            help="What moves the market: synthetic, replay (--ticks, or the shipped day) or pushed (its control)."
        ),
    ] = None,
    rate_limits: Annotated[bool, typer.Option(help="Refuse what comes faster than Kite allows.")] = True,
) -> None:
    """Serve Kite Connect v3 on loopback, over a paper exchange, with faults on demand (docs/sandbox.md)."""
    from durable_orders.sandbox import FeedKind, SandboxSettings, run  # its parts are of no use to other commands

    try:
        settings = SandboxSettings.model_validate(
            {
                "port": port,
                "feed": feed or (FeedKind.REPLAY if ticks is not None else FeedKind.SYNTHETIC),
                "ticks": ticks,
                "speed": speed,
                "symbol": symbol,
                "redirect_url": redirect_url,
                "postback_url": postback_url,
                "database": database,
                "seed": seed,
                "rate_limits": rate_limits,
            }
        )
    except ValidationError as error:
        raise explained(error) from None
    run(settings)
