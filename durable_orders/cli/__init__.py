"""The `durable-orders` command: exit code 0 for done, 1 for refused or failed with one line, 2 for bad usage."""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import typer
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

# In the order in which the help shows their commands.
from durable_orders.cli import processes  # noqa: F401

# isort: split
from durable_orders.cli import overview  # noqa: F401

# isort: split
from durable_orders.cli import running  # noqa: F401

# isort: split
from durable_orders.cli import live  # noqa: F401

# isort: split
from durable_orders.cli import ordering  # noqa: F401

# isort: split
from durable_orders.cli import changing  # noqa: F401

# isort: split
from durable_orders.cli import planning  # noqa: F401

# isort: split
from durable_orders.cli import halting  # noqa: F401

# isort: split
from durable_orders.cli import settling  # noqa: F401

# isort: split
from durable_orders.cli import inquiries  # noqa: F401

# isort: split
from durable_orders.cli import journal  # noqa: F401

# isort: split
from durable_orders.cli import evening  # noqa: F401

# isort: split
from durable_orders.cli import quality  # noqa: F401

# isort: split
from durable_orders.cli import backtest  # noqa: F401

# isort: split
from durable_orders.cli import calendar  # noqa: F401

# isort: split
from durable_orders.cli import desk  # noqa: F401

# isort: split
from durable_orders.cli import checking  # noqa: F401
from durable_orders.cli.app import INTERRUPTED, app, complain
from durable_orders.trading.errors import DurableOrdersError

__all__ = ["app", "main", "run"]

PROGRAM = "durable-orders"
FAILED = 1


def main() -> NoReturn:
    """The program. It leaves without the interpreter's own farewell, which the Temporal SDK's threads can outlive: one
    exit in some sixty is then an abort, after everything has been done.
    """
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def run(words: Sequence[str]) -> int:
    """Run one command line; gives its exit code. Whatever fails is one line on stderr."""
    try:
        return app(list(words) or ["--help"], prog_name=PROGRAM, standalone_mode=False) or 0
    except SystemExit as done:
        return int(done.code or 0)
    except typer.TyperException as error:
        complain(_usage(error))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except DurableOrdersError as error:
        complain(str(error))
    except SQLAlchemyError as error:
        complain(f"ledger: {getattr(error, 'orig', None) or error}")
    except RPCError as error:
        complain(f"the Temporal server did not answer: {error.message or error.status.name}")
    except OSError as error:
        complain(f"{error.filename or 'system'}: {error.strerror or error}")
    return FAILED


def _usage(error: typer.TyperException) -> str:
    """What is wrong with the command line, and where its help is."""
    words = error.format_message().replace("Value error, ", "").replace("Input should be", "must be").rstrip(".")
    words = words.replace("does not match the formats '%Y-%m-%d'", "is no day, as 2025-04-29 is one")
    words = re.sub(", unable to parse string as an? (integer|number)$", "", words)
    if negative := re.fullmatch(r"No such option: (-\d)", words):
        words = f"a quantity is above 0, and {negative[1]}... is read as an option"
    context = getattr(error, "ctx", None)
    command = f" {context.command_path}" if context is not None and context.parent is not None else ""
    return f"{words} (see `{PROGRAM}{command.removeprefix(f' {PROGRAM}')} --help`)"
