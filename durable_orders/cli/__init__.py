"""The `durable-orders` command: exit code 0 for done, 1 for refused or failed with one line, 2 for bad usage."""

import gc
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import typer

from durable_orders.cli.app import INTERRUPTED, app, complain, forget_given
from durable_orders.trading.errors import DurableOrdersError

__all__ = ["app", "main", "run"]

PROGRAM = "durable-orders"
FAILED = 1


def main() -> NoReturn:
    """The program. It leaves without the interpreter's own farewell, which the Temporal SDK's threads can outlive: one
    exit in some sixty is then an abort, after everything has been done.
    """
    gc.disable()  # until the command's module is there: what is imported is no garbage
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def run(words: Sequence[str]) -> int:
    """Run one command line; gives its exit code. Whatever fails is one line on stderr."""
    forget_given()
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
    except OSError as error:
        complain(f"{error.filename or 'system'}: {error.strerror or error}")
    except Exception as error:
        complain(_of_a_library(error))
    return FAILED


def _of_a_library(error: Exception) -> str:
    """What failed, where the ledger or the server did. Any other error is raised again: it is a fault of ours."""
    from sqlalchemy.exc import SQLAlchemyError
    from temporalio.service import RPCError

    if isinstance(error, SQLAlchemyError):
        return f"ledger: {getattr(error, 'orig', None) or error}"
    if isinstance(error, RPCError):
        return f"the Temporal server did not answer: {error.message or error.status.name}"
    raise error


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
