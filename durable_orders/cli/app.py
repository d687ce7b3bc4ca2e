"""The application object, the options that every command shares, and how things are said."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console

from durable_orders.json_text import json_text
from durable_orders.json_text import jsonable as jsonable
from durable_orders.orders import Orders
from durable_orders.workers.connection import configured_server, ui_link
from durable_orders.workers.home import DEFAULT_HOME, Home

WIDE = 1000
"""Columns of what is not a terminal: a file or a pipe wants one line an order, and links whole."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE


app = typer.Typer(
    name="durable-orders",
    help="Durable order execution for Zerodha Kite: every order is a Temporal workflow, and no outcome is guessed.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, width=_width())
errors = Console(stderr=True, highlight=False)

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="DURABLE_ORDERS_HOME", help="Where this installation keeps its state.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar="DURABLE_ORDERS_CONFIG", help="Settings file, instead of the home's own."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter that the strategy declares; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
HOME = DEFAULT_HOME
INTERRUPTED = 130
"""The shell's own exit code for a program that Ctrl-C ended."""


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"durable-orders {version('durable-orders')}")
        raise typer.Exit


@app.callback()
def _main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What every command shares."""


def complain(message: str) -> None:
    """One line on stderr, however the message was broken."""
    _say(f"error: {message}")


def note(message: str) -> None:
    """One line on stderr that is no error."""
    _say(f"note: {message}")


def _say(message: str) -> None:
    errors.print(" ".join(message.split()), markup=False, soft_wrap=True)


def fail(message: str) -> NoReturn:
    complain(message)
    raise typer.Exit(1)


@contextmanager
def prints_aside(*, as_json: bool) -> Iterator[None]:
    """What a strategy's own code prints goes to stderr where stdout is for one JSON value."""
    if as_json:
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


async def connected(home: Path, config: Path | None) -> Orders:
    return await Orders.connect(home, config)


def link(home: Path, order_id: str) -> str | None:
    """The order's page in the Temporal UI, where that is the embedded server's."""
    return None if configured_server() else ui_link(Home(home), order_id)


def print_json(value: BaseModel | Sequence[BaseModel] | dict[str, object]) -> None:
    """Exactly one JSON value on stdout."""
    sys.stdout.write(json_text(value, indent=2) + "\n")
    sys.stdout.flush()
