"""The evening of a live account: started each day by a schedule, it waits for the close and for a login."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from durable_orders.activities.day_closing import DayClosing
    from durable_orders.trading.ist import IST

ONE_TRY = timedelta(minutes=10)
AGAIN = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    maximum_interval=timedelta(minutes=5),
    non_retryable_error_types=["BookGone"],
)
"""A session that is not over, a login that is missing and a book that cannot be read: all may be otherwise later. The
next day the book of this one is gone."""
SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""The server's own: for when a schedule has meant the run, which a server or worker that was away starts later."""
TOLD = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1))


@workflow.defn(name="DayClose")
class DayCloseWorkflow:
    @workflow.run
    async def run(self, account: str) -> str:
        """How the day came out, in a sentence: the day it was scheduled for, though it may begin later."""
        meant_for = workflow.info().typed_search_attributes.get(SCHEDULED_AT) or workflow.now()
        day = meant_for.astimezone(IST).date().isoformat()
        workflow.set_current_details(f"### Closing {day} of account {account}")
        try:
            return await workflow.execute_activity_method(
                DayClosing.close_day,
                day,
                start_to_close_timeout=ONE_TRY,
                retry_policy=AGAIN,
                summary=f"hold {day} against the broker",
            )
        except ActivityError as error:
            return await workflow.execute_activity_method(
                DayClosing.tell_not_closed,
                args=[day, str(error.cause or error)],
                start_to_close_timeout=ONE_TRY,
                retry_policy=TOLD,
                summary=f"tell that {day} was not closed",
            )
