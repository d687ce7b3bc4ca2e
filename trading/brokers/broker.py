"""The one protocol that every broker speaks: Kite, the paper exchange, and whatever comes."""

from typing import Protocol

from trading.brokers.book import BrokerOrder, BrokerPosition, Funds
from trading.guardian.approval import Approved
from trading.order import Amendment, BrokerOrderId, Fill
from trading.outcome import Outcome


class Broker(Protocol):
    """What this system asks of a broker. Every method blocks and may be called from any thread.

    The three commands never raise for anything that the broker or the network does: they return an outcome.
    The four reads raise `BookUnreadable` when they cannot tell.
    """

    def place(self, approved: Approved) -> Outcome:
        """Send an order, once. Takes only what the guardian has approved."""

    def modify(self, broker_order_id: BrokerOrderId, change: Amendment) -> Outcome:
        """Ask for a change. `Accepted` means the request was taken: the book shows whether it was done."""

    def cancel(self, broker_order_id: BrokerOrderId) -> Outcome:
        """Ask for a cancel. `Accepted` means the request was taken, not that the order is cancelled."""

    def order_book(self) -> list[BrokerOrder]:
        """All orders of the trading day, of every source, in the order of their placing."""

    def trades(self) -> list[Fill]:
        """All trades of the trading day, in the order of their execution."""

    def positions(self) -> list[BrokerPosition]:
        """Net positions."""

    def margins(self) -> Funds | None:
        """The funds for shares, derivatives and currencies; `None` where the broker sets no limit.

        Kite keeps commodities apart: their funds are not in it.
        """
