"""Commands of live trading: login.

What they use is imported when they are run, so that other commands do not have to load the broker's client.
"""

import asyncio
import sys
import webbrowser
from typing import Annotated

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, app, console
from workers.home import Home


@app.command()
def login(
    request_token: Annotated[str | None, typer.Option(help="From the redirect, if you have it already.")] = None,
    access_token: Annotated[
        str | None, typer.Option(help="One that was got elsewhere; `-` reads it from standard input.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the app's redirect URL points to, on loopback.")
    ] = 5010,
    browser: Annotated[bool, typer.Option(help="Open the login page in a browser.")] = True,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Log in at Kite for the day. Orders that wait for it go on by themselves.

    The token is kept in the home directory, readable by its owner only, and never printed.
    """
    from durable_orders import login as logins

    place = Home(home)
    settings = place.settings(config).kite
    if access_token == "-":  # noqa: S105  (a dash, not a secret)
        access_token = sys.stdin.readline().strip()
    if access_token is None:
        access_token = logins.exchange(
            settings, request_token or _by_browser(logins.login_url(settings), port, browser)
        )
    user = logins.keep(place, settings, access_token)
    console.print(f"Logged in as {user}.")


def _by_browser(url: str, port: int, browser: bool) -> str:
    from durable_orders import login as logins

    console.print(f"Log in at {url}", soft_wrap=True)
    console.print(f"Waiting for the redirect on http://127.0.0.1:{port}/ (or give --request-token)")
    if browser:
        webbrowser.open(url)
    return asyncio.run(logins.catch_redirect(port))
