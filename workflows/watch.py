"""The account's watch: one long activity at a time that reads the broker's book and tells the orders what changed.

A circuit breaker that trips is told to it as a signal, and it does with open orders what the settings say.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from durable_orders.activities.watch import TO_FLATTEN, TRIPPED, WatchActivities
    from durable_orders.trading.flatten.request import FlattenRequest, after_trip
    from durable_orders.trading.ledger.trips import Trip
    from durable_orders.workflows import messages
    from durable_orders.workflows.flatten import flatten
    from durable_orders.workflows.names import HOME, SERVED_BY

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
        self._misread: list[str] = []

    def misread(self, words: str) -> None:
        self._misread.append(words)
        self._show()

    @messages.signal("A circuit breaker of the account tripped", name=TRIPPED)
    async def breaker_tripped(self, trip: Trip) -> None:
        """Told at least once, done once."""
        if trip.key in self._trips:
            return
        self._trips[trip.key] = trip
        self._show()
        if (request := after_trip(trip)) is not None:
            await flatten(request)

    @messages.signal("Something that is held is to be closed", name=TO_FLATTEN)
    async def flatten_wanted(self, request: FlattenRequest) -> None:
        await flatten(request)

    @messages.signal("Which home serves the account", name=SERVED_BY)
    def served_by(self, mark: str) -> None:
        """For a watch that was started before homes had marks."""
        workflow.upsert_memo({HOME: mark})

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
        workflow.continue_as_new(account, memo=workflow.memo())

    def _show(self) -> None:
        lines = [f"### Watching the book of account {self._account}", "", f"Shift {self._shift + 1} of {SHIFTS}."]
        trips = list(self._trips.values())[-SHOWN:]
        lines += ["", *(f"- {trip.at:%Y-%m-%d %H:%M:%S} UTC {trip.cause}: {trip.message}" for trip in trips)]
        lines += [f"- {words}" for words in self._misread[-SHOWN:]]
        workflow.set_current_details("\n".join(lines).rstrip())
