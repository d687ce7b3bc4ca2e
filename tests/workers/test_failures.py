"""What an activity fails with is shown by the server, however deep it was raised."""

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from durable_orders.workers.payloads import data_converter

MOST = 4096
"""Bytes of a failure that the server keeps of an activity that is tried again."""


def even(depth: int) -> None:
    """Two functions in turn: Python folds the lines of one that calls itself."""
    if depth == 0:
        raise ValueError("no login for today")
    odd(depth - 1)


def odd(depth: int) -> None:
    try:
        even(depth - 1)
    except ValueError as error:
        if depth > 1:
            raise
        raise ApplicationError("the day cannot be closed now", type="LoginNeeded") from error


def test_a_failure_from_deep_within_keeps_its_reason_and_its_cause() -> None:
    failure = Failure()
    with pytest.raises(ApplicationError) as raised:
        even(60)
    data_converter.failure_converter.to_failure(raised.value, data_converter.payload_converter, failure)
    assert failure.ByteSize() < MOST
    assert (failure.message, failure.application_failure_info.type) == ("the day cannot be closed now", "LoginNeeded")
    cause = failure.cause
    assert (cause.message, cause.application_failure_info.type) == ("no login for today", "ValueError")
    assert "from error" in failure.stack_trace, "the innermost lines are kept"
    assert "raise ValueError" in cause.stack_trace
