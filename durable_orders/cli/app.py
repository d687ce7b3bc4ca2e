"""The options that every command shares, and how things are said. What it imports, `--help` has to wait for."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from durable_orders.cli.commands import app as app
from durable_orders.workers.places import DEFAULT_HOME, HOME_VARIABLE

if TYPE_CHECKING:
    from pydantic import BaseModel

    from durable_orders.orders import Orders

WIDE = 1000
"""Columns of what is not a terminal: a file or a pipe wants one line an order, and links whole."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE


console = Console(highlight=False, emoji=False, width=_width())
errors = Console(stderr=True, highlight=False, emoji=False)

_given: dict[str, str] = {}
"""The home and the settings file that this command line has named. What is in the environment is there next time."""
_HINT = re.compile(r"`(durable-orders [a-z][^`]*)(?<!--help)`")


def _note_given(context: typer.Context, parameter: typer.CallbackParam, value: Path | None) -> Path | None:
    source = context.get_parameter_source(parameter.name or "")
    if value is not None and source is not None and source.name == "COMMANDLINE":
        _given[f"--{parameter.name}"] = quote(str(value))
    return value


def forget_given() -> None:
    """At the beginning of a command line."""
    _given.clear()


def as_given(message: str) -> str:
    """With the commands that it names as they have to be typed for this account: with the `--home` and the `--config`
    that were given."""

    def whole(hint: re.Match[str]) -> str:
        more = [f" {option} {value}" for option, value in _given.items() if f" {option} " not in hint[1]]
        return f"`{hint[1]}{''.join(more)}`"

    return _HINT.sub(whole, message)


HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar=HOME_VARIABLE, callback=_note_given, help="Where this installation keeps its state."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="DURABLE_ORDERS_CONFIG",
        callback=_note_given,
        help="Settings file, instead of the home's own.",
    ),
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
        from importlib.metadata import version

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
    errors.print(as_given(" ".join(message.split())), markup=False, soft_wrap=True)


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


async def connected(home: Path, config: Path | None) -> "Orders":
    from durable_orders.orders import Orders

    return await Orders.connect(home, config)


def link(home: Path, order_id: str) -> str | None:
    """The order's page in the Temporal UI, where that is the embedded server's."""
    from durable_orders.workers.environment import configured_server
    from durable_orders.workers.home import Home

    return None if configured_server() else Home(home).ui_link(order_id)


def print_json(value: "BaseModel | Sequence[BaseModel] | dict[str, object]") -> None:
    """Exactly one JSON value on stdout."""
    from durable_orders.json_text import json_text

    sys.stdout.write(json_text(value, indent=2) + "\n")
    sys.stdout.flush()
