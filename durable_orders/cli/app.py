"""The application object, the options that every command shares, and how things are said."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import BaseModel, TypeAdapter, ValidationError
from rich.console import Console

from durable_orders.orders import Orders
from trading.errors import InvalidOrder
from workers.home import DEFAULT_HOME

app = typer.Typer(
    name="durable-orders",
    help="Durable order execution for Zerodha Kite: every order is a Temporal workflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)
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


def complain(message: str) -> None:
    """One line on stderr, however the message was broken."""
    errors.print(f"error: {' '.join(message.split())}", markup=False, soft_wrap=True)


def fail(message: str) -> NoReturn:
    complain(message)
    raise typer.Exit(1)


async def connected(home: Path, config: Path | None) -> Orders:
    return await Orders.connect(home, config)


def print_json(value: BaseModel | Sequence[BaseModel] | dict[str, object], indent: int | None = 2) -> None:
    """Exactly one JSON value on stdout; decimals are strings, so that no paisa is lost."""
    adapter = TypeAdapter(type(value)) if not isinstance(value, list | tuple) else TypeAdapter(list[BaseModel])
    text = adapter.dump_json(value, indent=indent, serialize_as_any=True)  # type: ignore[arg-type]
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def explained(error: ValidationError) -> InvalidOrder:
    """Every field that is wrong, and the rule it breaks, on one line."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        message = problem["msg"].removeprefix("Value error, ")
        field = ".".join(str(part) for part in problem["loc"])
        problems.append(f"{field}: {message}" if field else message)
    return InvalidOrder("; ".join(problems))
