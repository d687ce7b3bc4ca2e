"""The account's watch: one long activity at a time that reads the broker's book and tells the orders what changed.

A circuit breaker that trips is told to it as a signal, and it does with open orders what the settings say.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.watch import TRIPPED, WatchActivities
    from trading.ledger.trips import Trip
    from trading.unwinding import after_trip
    from workflows.unwinding import unwind

SHIFT = timedelta(minutes=10)
SHIFTS = 100
"""Continue as new after this many shifts: some 600 history events, long before the history grows."""
HEARTBEAT_TIMEOUT = timedelta(seconds=5)
"""How long after its death the watch is taken over by another worker."""
RESTART = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))
SHOWN = 10
"""The card has so many of the last trips."""


@workflow.defn(name="AccountWatch")
class AccountWatchWorkflow:
    @workflow.init
    def __init__(self, account: str) -> None:
        self._account = account
        self._shift = 0
        self._trips: dict[str, Trip] = {}

    @workflow.signal(name=TRIPPED, description="A circuit breaker of the account tripped")
    async def breaker_tripped(self, trip: Trip) -> None:
        """Told at least once, done once."""
        if trip.key in self._trips:
            return
        self._trips[trip.key] = trip
        self._show()
        if (request := after_trip(trip)) is not None:
            await unwind(request)

    @workflow.run
    async def run(self, account: str) -> None:
        for self._shift in range(SHIFTS):
            self._show()
            await workflow.execute_activity_method(
                WatchActivities.watch,
                args=[account, SHIFT.total_seconds()],
                start_to_close_timeout=2 * SHIFT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RESTART,
                summary=f"watch the order book of {account}",
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(account)

    def _show(self) -> None:
        lines = [f"### Watching the book of account {self._account}", "", f"Shift {self._shift + 1} of {SHIFTS}."]
        trips = list(self._trips.values())[-SHOWN:]
        lines += ["", *(f"- {trip.at:%Y-%m-%d %H:%M:%S} UTC {trip.cause}: {trip.message}" for trip in trips)]
        workflow.set_current_details("\n".join(lines).rstrip())
