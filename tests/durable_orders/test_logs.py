"""What a worker says on stderr."""

import asyncio
import logging
import sys

import pytest
from temporalio.exceptions import CancelledError

from durable_orders.cli.logs import FORMAT, OneLine
from durable_orders.trading.errors import BookUnreadable


def said(error: BaseException) -> str:
    try:
        raise error
    except BaseException:
        record = logging.LogRecord("worker", logging.WARNING, __file__, 1, "an activity failed", (), sys.exc_info())
    return OneLine(FORMAT).format(record)


@pytest.mark.parametrize(
    "error", [BookUnreadable("no\nanswer"), asyncio.CancelledError("Activity cancelled"), CancelledError("Cancelled")]
)
def test_what_says_itself_is_one_line(error: BaseException) -> None:
    assert said(error).endswith(f"an activity failed: {' '.join(str(error).split())}")
    assert "\n" not in said(error)


def test_what_else_fails_has_its_traceback() -> None:
    assert "Traceback" in said(KeyError("tag"))
