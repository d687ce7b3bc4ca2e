"""The schedule that closes each day of an account."""

from contextlib import suppress
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

from durable_orders.workflows import names

EVENING = ScheduleCalendarSpec(hour=[ScheduleRange(16)], minute=[ScheduleRange(5)])
"""IST: when shares no longer trade at the closing price either."""
LATE = ScheduleCalendarSpec(hour=[ScheduleRange(23)], minute=[ScheduleRange(56)])
"""When commodities are over too, which may have been ordered after the evening's certificate."""
CATCH_UP = timedelta(hours=7)


async def ensure_evenings(client: Client, account: str) -> None:
    """A schedule that closes each day of the account, unless there is one. An operator may change or pause it.

    It fires when the session of shares is over; what trades longer is waited for. It fires again when nothing trades
    any more. A server that was away then makes up for it in the hours after, past midnight too: then the day's book is
    gone, and an alert says that it was not closed.
    """
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            names.DAY_CLOSE_WORKFLOW,
            account,
            id=names.day_close_id(account),
            task_queue=names.orders_queue(account),
        ),
        spec=ScheduleSpec(calendars=[EVENING, LATE], time_zone_name="Asia/Kolkata"),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
    )
    with suppress(ScheduleAlreadyRunningError):
        await client.create_schedule(names.day_close_id(account), schedule)
