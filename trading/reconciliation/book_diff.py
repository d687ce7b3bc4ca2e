"""What changed in the broker's book since it was last looked at. Pure; the account watch acts on it.

A sighting is a row together with how much its trades add up to. It is new as long as it has not been settled: either
delivered to the order's workflow, or found to be what the ledger already says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from durable_orders.trading.ledger.reading import OrderSnapshot
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Status, TradeId
from durable_orders.trading.reconciliation.external_orders import kind_of


@dataclass(frozen=True, slots=True)
class OrderStatusReport:
    row: BrokerOrder
    fills: tuple[Fill, ...]

    @property
    def traded(self) -> int:
        return sum(fill.quantity for fill in self.fills)

    @property
    def report(self) -> OrderReport:
        return OrderReport(row=self.row, fills=self.fills)


class KnownOrders:
    """What the ledger knows of some rows of the book."""

    def __init__(self, views: Iterable[OrderSnapshot]) -> None:
        known = list(views)
        self._by_id = {view.broker_order_id: view for view in known if view.broker_order_id is not None}
        self._by_tag = {view.tag: view for view in known}

    def with_tag(self, row: BrokerOrder) -> OrderSnapshot | None:
        """The order that the row's tag was made for, whether or not the row is its own."""
        return self._by_tag.get(row.tag or "")

    def owner(self, row: BrokerOrder) -> OrderSnapshot | None:
        """The order that the row belongs to: by the broker's id, else by the tag of one that has no id yet."""
        own = self._by_id.get(row.broker_order_id)
        same_tag = self.with_tag(row)
        return own or (same_tag if kind_of(row, same_tag) is None else None)

    def is_strange(self, row: BrokerOrder) -> bool:
        """Whether the ledger knows neither the row nor its tag."""
        return row.broker_order_id not in self._by_id and self.with_tag(row) is None


class BookDiff:
    """Remembers what was settled. A book of n unchanged rows costs n dictionary look-ups and makes nothing."""

    def __init__(self) -> None:
        self._settled: dict[BrokerOrderId, tuple[BrokerOrder, int]] = {}
        self._fills: dict[BrokerOrderId, list[Fill]] = {}
        self._counted: list[TradeId] = []

    def changed(self, rows: Iterable[BrokerOrder], fills: Sequence[Fill]) -> list[OrderStatusReport]:
        """The rows that are not settled, in the order of the book. `fills` are the whole day's, oldest first."""
        counted = [fill.trade_id for fill in fills]
        if counted != self._counted:
            self._fills = {}
            for fill in fills:
                self._fills.setdefault(fill.broker_order_id, []).append(fill)
            self._counted = counted
        return [self._sighting(row) for row in rows if not self._is_settled(row)]

    def settle(self, sighting: OrderStatusReport) -> None:
        """This sighting has been dealt with, until the row or its trades change."""
        self._settled[sighting.row.broker_order_id] = (sighting.row, len(sighting.fills))

    def forget(self, broker_order_ids: Iterable[BrokerOrderId]) -> None:
        """The book does not show these any more. When it does again, that is news."""
        for order_id in broker_order_ids:
            self._settled.pop(order_id, None)

    def _is_settled(self, row: BrokerOrder) -> bool:
        known = self._settled.get(row.broker_order_id)
        if known is None:
            return False
        seen, trades = known
        return (seen is row or seen == row) and trades == len(self._fills.get(row.broker_order_id, ()))

    def _sighting(self, row: BrokerOrder) -> OrderStatusReport:
        return OrderStatusReport(row=row, fills=tuple(self._fills.get(row.broker_order_id, ())))


def is_news(view: OrderSnapshot, sighting: OrderStatusReport) -> bool:
    """Whether the book says something that the ledger's view of the order does not."""
    row = sighting.row
    if sighting.traded > view.filled_quantity or view.broker_order_id is None:
        return True
    if view.status.terminal:
        return False
    if row.state is not BookState.WORKING or view.status in (Status.PENDING, Status.UNKNOWN):
        return True
    terms = (row.quantity, row.price, row.trigger_price, row.order_type)
    return terms != (view.quantity, view.price, view.trigger_price, view.order_type)
