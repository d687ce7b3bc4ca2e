"""Order updates: what Kite tells by itself when an order changes, by socket and as postbacks.

Neither is sent for the stages before the exchange, and nothing is ever repeated (Kite staff). Faults lose, double
and reorder them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from durable_orders.sandbox.exchange import Change
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.sandbox.faults import Faults
from durable_orders.sandbox.order_rows import OrderRows, Row
from durable_orders.trading.exchange.orders import KiteStatus
from durable_orders.trading.orders.book import BrokerOrder

UPDATE = "UPDATE"
"""Not a status of the book: the order was modified, or filled in part."""
ENDS = (KiteStatus.COMPLETE, KiteStatus.CANCELLED, KiteStatus.REJECTED)
RESTING = (KiteStatus.OPEN, KiteStatus.TRIGGER_PENDING, KiteStatus.AMO_REQ_RECEIVED)


@dataclass(frozen=True, slots=True)
class Update:
    row: Row
    by_app: bool
    """Whether the order was placed with the app's key."""


Send = Callable[[Update], None]


class OrderUpdates:
    def __init__(self, rows: OrderRows, faults: Faults) -> None:
        self._rows = rows
        self._faults = faults
        self._held: list[Update] = []
        self.channels: list[Send] = []

    def follow(self, change: Change) -> None:
        """Send an update for each status that has come, in order. To be called in the event loop."""
        for number in range(change.known, len(change.view.snapshots)):
            before = change.view.snapshots[number - 1] if number else None
            if status := told_status(before, change.view.snapshots[number]):
                row = self._rows.update(change.view.until(number + 1), status)
                self._send(Update(row, change.view.details.by_app))

    def _send(self, update: Update) -> None:
        if self._faults.take(FaultKind.UPDATES_LOST):
            return
        if rule := self._faults.take(FaultKind.UPDATES_REORDERED):
            self._held.append(update)
            asyncio.get_running_loop().call_later(rule.lasts, self._let_go)
            return
        self._deliver(update)
        if self._faults.take(FaultKind.UPDATES_DOUBLED):
            self._deliver(update)
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for update in held:
            self._deliver(update)

    def _deliver(self, update: Update) -> None:
        for send in self.channels:
            send(update)


def told_status(before: BrokerOrder | None, now: BrokerOrder) -> str | None:
    """The status that an update carries; `None` where there is none for this step."""
    if now.status in ENDS:
        return now.status
    if now.status not in RESTING or before is None:
        return None
    if now.filled_quantity or before.status == KiteStatus.MODIFIED:
        return UPDATE
    return KiteStatus.OPEN if now.status == KiteStatus.OPEN else None
