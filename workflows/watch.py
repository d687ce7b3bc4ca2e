"""The account's watch: one long activity at a time that reads the broker's book and tells the orders what changed."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.watch import WatchActivities

SHIFT = timedelta(minutes=10)
SHIFTS = 100
"""Continue as new after this many shifts: some 600 history events, long before the history grows."""
HEARTBEAT_TIMEOUT = timedelta(seconds=5)
"""How long after its death the watch is taken over by another worker."""
RESTART = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))


@workflow.defn(name="AccountWatch")
class AccountWatchWorkflow:
    @workflow.run
    async def run(self, account: str) -> None:
        for shift in range(SHIFTS):
            workflow.set_current_details(
                f"### Watching the book of account {account}\n\nShift {shift + 1} of {SHIFTS}."
            )
            await workflow.execute_activity_method(
                WatchActivities.watch,
                args=[account, SHIFT.total_seconds()],
                start_to_close_timeout=2 * SHIFT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RESTART,
                summary=f"watch the order book of {account}",
            )
        workflow.continue_as_new(account)
