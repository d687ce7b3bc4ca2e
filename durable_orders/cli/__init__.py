"""The `durable-orders` command: exit code 0 for done, 1 for refused or failed with one line, 2 for bad usage."""

import re
import sys

import typer
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

# In the order in which the help shows their commands.
from durable_orders.cli import processes  # noqa: F401

# isort: split
from durable_orders.cli import live  # noqa: F401

# isort: split
from durable_orders.cli import ordering  # noqa: F401

# isort: split
from durable_orders.cli import changing  # noqa: F401

# isort: split
from durable_orders.cli import inquiries  # noqa: F401

# isort: split
from durable_orders.cli import journal  # noqa: F401
from durable_orders.cli.app import app, complain
from trading.errors import DurableOrdersError

__all__ = ["app", "main"]

INTERRUPTED = 130
"""The shell's own exit code for a program that Ctrl-C ended."""


def main() -> None:
    """Run the command line. Whatever fails is one line on stderr."""
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False))
    except typer.TyperException as error:
        complain(_usage(error))
        sys.exit(error.exit_code)
    except DurableOrdersError as error:
        complain(str(error))
    except SQLAlchemyError as error:
        complain(f"ledger: {getattr(error, 'orig', None) or error}")
    except RPCError as error:
        complain(f"the Temporal server did not answer: {error.message or error.status.name}")
    except OSError as error:
        complain(f"{error.filename or 'system'}: {error.strerror or error}")
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    sys.exit(1)


def _usage(error: typer.TyperException) -> str:
    """What is wrong with the command line, and where its help is."""
    words = error.format_message().replace("Value error, ", "").replace("Input should be", "must be").rstrip(".")
    if negative := re.fullmatch(r"No such option: (-\d)", words):
        words = f"a quantity is above 0, and {negative[1]}... is read as an option"
    context = getattr(error, "ctx", None)
    command = f" {context.command_path}" if context is not None and context.parent is not None else ""
    return f"{words} (see `durable-orders{command.removeprefix(' durable-orders')} --help`)"
