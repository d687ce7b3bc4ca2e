"""What the server, and the workflows on it, answer: in the domain's own errors."""

from temporalio import exceptions
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_orders.trading import errors

ENDED_FROM_OUTSIDE = (exceptions.TerminatedError, exceptions.CancelledError, exceptions.TimeoutError)
"""Why a run of a workflow ended without a word of its own."""


def domain_error(cause: BaseException | None) -> errors.DurableOrdersError:
    """The error that a workflow or an update gave as its answer, in the domain's own type."""
    if isinstance(cause, ApplicationError):
        family = getattr(errors, cause.type or "", None)
        if isinstance(family, type) and issubclass(family, errors.DurableOrdersError):
            return family(cause.message)
        return errors.BrokenError(cause.message)
    return errors.BrokenError(str(cause))


def unreachable(error: RPCError) -> errors.ServerUnreachable:
    return errors.ServerUnreachable(f"the Temporal server did not answer: {error.message or error.status.name}")
