"""What a running worker says on stderr: a line a message."""

import asyncio
import logging
import sys

from temporalio import activity
from temporalio.exceptions import CancelledError

from durable_orders.trading.errors import DurableOrdersError

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """An error of ours says all there is to say in its words, and so does a cancellation: what was cancelled has not
    failed. Where anything else did, its traceback follows."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, DurableOrdersError | CancelledError | asyncio.CancelledError):
            return super().format(record)
        plain = logging.makeLogRecord(record.__dict__ | {"exc_info": None, "exc_text": None})
        return f"{super().format(plain)}: {' '.join(str(error).split())}"


def log_to_stderr() -> None:
    """Warnings and worse. The activity that failed is named by its type; its workflow's page has the rest."""
    activity.logger.activity_info_on_message = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
