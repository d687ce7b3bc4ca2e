"""The `durable-orders` command: exit code 0 for done, 1 for refused or failed with one line, 2 for bad usage."""

import os
import sys

from durable_orders.cli import inquiries, ordering, processes  # noqa: F401  (they add their commands)
from durable_orders.cli.app import app, complain
from trading.errors import DurableOrdersError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line. An error of ours is one line on stderr; a closed pipe is no error."""
    try:
        app()
    except DurableOrdersError as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
