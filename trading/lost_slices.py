"""An autoslice order whose answer was lost: how many slices it has, proved by the book over the settle window."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from trading.brokers.book import BrokerOrder
from trading.lifecycle import Receipt
from trading.order import BrokerOrderId, Order
from trading.slices import ids_of, is_short


@dataclass
class LostSlices:
    """Readings of the book in a row that show the same slices, which do not add up to the order."""

    window: timedelta
    _shown: tuple[BrokerOrderId, ...] = ()
    _since: datetime | None = None
    _reads: int = 0

    def seen(self, order: Order, row: BrokerOrder | None, now: datetime) -> Receipt | None:
        """What the answer must have been, once the window is over. A reading without the order, or with another slice,
        or none at all (`row` is `None`), begins it anew."""
        if row is None or not is_short(order, row):
            self._shown, self._since, self._reads = (), None, 0
            return None
        if self._since is None or ids_of(row) != self._shown:
            self._shown, self._since, self._reads = ids_of(row), now, 0
        self._reads += 1
        if now - self._since < self.window:
            return None
        words = (
            f"the order book showed {len(self._shown)} slices of it, {row.quantity} of {order.quantity}, in "
            f"{self._reads} readings through the settle window of {self.window.total_seconds():g} s: no more were taken"
        )
        return Receipt(row.broker_order_id, self._shown, (words,))
