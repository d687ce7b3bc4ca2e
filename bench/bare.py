"""The floor: a workflow that starts, has one task, and ends. And the frame: an order's steps with nothing in them."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from durable_orders.trading.orders.order import Status
from durable_orders.workflows.names import STATUS

SECONDS = timedelta(seconds=30)


@workflow.defn(name="Bare")
class BareWorkflow:
    @workflow.run
    async def run(self) -> None:
        """Nothing. What this costs is what the server and the worker take for any workflow at all."""


@activity.defn(name="nothing")
async def nothing() -> None:
    """What guard, place and record would cost if they did nothing."""


@workflow.defn(name="Frame")
class FrameWorkflow:
    @workflow.run
    async def run(self) -> None:
        """A local activity, an ordinary one, a local one and a search attribute, as a paper market order has them.

        What this costs more than the floor is the price of that many steps, whatever is done in them.
        """
        await workflow.execute_local_activity(nothing, start_to_close_timeout=SECONDS)
        await workflow.execute_activity(
            nothing,
            start_to_close_timeout=SECONDS,
            heartbeat_timeout=SECONDS,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        await workflow.execute_local_activity(nothing, start_to_close_timeout=SECONDS)
        workflow.upsert_search_attributes([STATUS.value_set(Status.FILLED.value)])
