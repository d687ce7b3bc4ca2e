"""Commands for the account as a whole: status, and stop."""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from durable_orders.cli import render
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, as_given, console, fail, print_json
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.status import AccountStatus

STOP_EVERY = 0.1
FEW = 10
"""Open orders that are shown; `list --open` has all."""


@app.command()
def status(home: HomeOption = HOME, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the account at a glance: server, workers, open orders, unknown outcomes, positions, the day's result."""
    from durable_orders.status import status_of

    place = Home(home)
    found = asyncio.run(status_of(place, place.settings(config)))
    if as_json:
        print_json(found)
        return
    for label, value in _rows(found).items():
        console.print(Text(f"{label:<{render.LABEL}}", style="bold").append_text(value), soft_wrap=True)
    if found.open_orders:
        console.print()
        console.print(render.orders_table(found.open_orders[:FEW], console.width))
        if len(found.open_orders) > FEW:
            more = f"The newest {FEW} of {len(found.open_orders)}; `durable-orders list --open` has all."
            console.print(as_given(more), soft_wrap=True)
    if found.positions:
        console.print()
        console.print(render.positions_table(found.positions, console.width))
    if found.positions or found.result.realized_pnl:
        console.print(render.result_text(found.result))


def _rows(found: "AccountStatus") -> dict[str, Text]:
    good = found.state == "ACTIVE"
    state = f"{found.state.lower()}{'' if good else f': {found.reason}'}"
    up = f"durable-orders up{' --live' if found.mode == 'live' else ''}"
    rows = {
        "account": Text(f"{found.account} ({found.mode}), ").append(state, style="" if good else "bold red"),
        "home": Text(f"up, process {found.up}" if found.up else "not up"),
        "server": Text(f"answers on {found.server}" if found.server else as_given(f"none answers: `{up}` starts it")),
        "workers": _workers(found.workers),
        "book": _book(found.book_read_at),
        "open orders": Text(str(len(found.open_orders))),
        "unknown": _unknown(found),
        "positions": Text(f"{len(found.positions)} open" if found.positions else "flat, by the ledger"),
    }
    if found.session is not None:
        opens, closes = render.exact(found.session.opens), render.exact(found.session.closes)
        rows["session"] = Text(f"open until {closes}" if found.session.is_open else f"closed until {opens}")
    return rows


def _unknown(found: "AccountStatus") -> Text:
    orders = ", ".join(each.split(":", 2)[-1] for each in found.unknown)
    words = [f"{orders}: no new risk is taken"] if orders else []
    if found.unknown_gtts:
        gtts = ", ".join(found.unknown_gtts)
        words.append(f"GTT {gtts}: no new one of its symbol is sent, see `durable-orders gtt list`")
    return Text(as_given("; ".join(words)), style="bold red") if words else Text("none")


def _workers(count: int | None) -> Text:
    if count is None:
        return Text("not known without a server")
    return Text(str(count)) if count else Text("none: orders wait", style="bold red")


def _book(read_at: datetime | None) -> Text:
    if read_at is None:
        return Text("never read yet")
    return Text(f"read {(datetime.now(UTC) - read_at).total_seconds():.0f} s ago")


@app.command()
def stop(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")] = 60.0, home: HomeOption = HOME
) -> None:
    """Stop the `up` or `run` that has this home, as Ctrl-C does: open orders wait for the next start.

    Exit code 1 if nothing is up, or it has not ended after --wait seconds. What works at the broker goes on working
    there: `halt --cancel-open` ends that.
    """
    place = Home(home)
    holder = place.holder()
    if holder is None:
        fail(f"home {home}: nothing is up")
    os.kill(holder, signal.SIGTERM)
    deadline = time.monotonic() + wait
    while place.holder() == holder:
        if time.monotonic() > deadline:
            fail(f"process {holder} has not ended after {wait:g} s; it was told to, and still may")
        time.sleep(STOP_EVERY)
    console.print("Stopped.")
