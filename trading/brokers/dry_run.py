"""A broker that reads and never writes."""

from trading.brokers.book import BrokerOrder, BrokerPosition, Funds
from trading.brokers.broker import Broker
from trading.guardian.approval import Approved
from trading.guardian.guardian import DRY_RUN
from trading.order import Amendment, BrokerOrderId, Fill
from trading.outcome import Evidence, Outcome, Refused


class DryRun:
    """Stands before a broker while `execution.dry_run` is set: no command reaches it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def place(self, approved: Approved) -> Outcome:
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

    def margins(self) -> Funds | None:
        return self._broker.margins()


def _refused() -> Outcome:
    return Refused(evidence=Evidence(message=DRY_RUN, error_type="DryRun"))
