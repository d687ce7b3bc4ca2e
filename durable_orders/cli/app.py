"""The application object, the options that every command shares, and how things are said."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python
from rich.console import Console

from durable_orders.cli.render import rupees
from durable_orders.orders import Orders
from workers.connection import configured_server, ui_link
from workers.home import DEFAULT_HOME, Home

WIDE = 1000
"""Columns of what is not a terminal: a file or a pipe wants one line an order, and links whole."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE


app = typer.Typer(
    name="durable-orders",
    help="Durable order execution for Zerodha Kite: every order is a Temporal workflow, and no outcome is guessed.",
    add_completion=False,
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
HOME = DEFAULT_HOME
INTERRUPTED = 130
"""The shell's own exit code for a program that Ctrl-C ended."""


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
    """Exactly one JSON value on stdout. Rupees are strings, so that no paisa is lost, and always to the paisa."""
    adapter = TypeAdapter(list[BaseModel] if isinstance(value, Sequence) else type(value))
    plain = adapter.dump_python(value, serialize_as_any=True)  # type: ignore[arg-type]
    sys.stdout.write(json.dumps(plain, default=jsonable, indent=2) + "\n")
    sys.stdout.flush()


def jsonable(value: object) -> object:
    """For `json.dumps`: what it does not know itself, rupees to the paisa."""
    return rupees(value) if isinstance(value, Decimal) else to_jsonable_python(value)
