"""A broker that reads and never writes."""

from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.orders.approval import DRY_RUN, Approved
from durable_orders.trading.orders.book import BrokerHolding, BrokerOrder, BrokerPosition, Funds
from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Fill
from durable_orders.trading.orders.outcome import Evidence, Outcome, Refused


class DryRun:
    """Stands before a broker while `execution.dry_run` is set: no command reaches it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def place(self, approved: Approved, last_look: LastLook | None = None) -> Outcome:
        return _refused()

    def modify(self, broker_order_id: BrokerOrderId, change: Amendment) -> Outcome:
        return _refused()

    def cancel(self, broker_order_id: BrokerOrderId) -> Outcome:
        return _refused()

    def order_book(self) -> list[BrokerOrder]:
        return self._broker.order_book()

    def trades(self) -> list[Fill]:
        return self._broker.trades()

    def positions(self) -> list[BrokerPosition]:
        return self._broker.positions()

    def holdings(self) -> list[BrokerHolding]:
        return self._broker.holdings()

    def margins(self) -> Funds | None:
        return self._broker.margins()


def _refused() -> Outcome:
    return Refused(evidence=Evidence(message=DRY_RUN, error_type="DryRun"))
