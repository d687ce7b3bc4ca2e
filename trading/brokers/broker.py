"""The one protocol that every broker speaks: Kite, the paper exchange, and whatever comes."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.gtt.gtt import BrokerGtt, TriggerId
from durable_orders.trading.gtt.outcome import ApprovedGtt, GttOutcome
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.approval import Approved
from durable_orders.trading.orders.book import BilledOrder, BrokerHolding, BrokerOrder, BrokerPosition, Funds, OddRow
from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Fill, Order
from durable_orders.trading.orders.outcome import Outcome


class Broker(Protocol):
    """What this system asks of a broker. Every method blocks and may be called from any thread.

    The three commands never raise for anything that the broker or the network does: they return an outcome.
    The five reads raise `BookUnreadable` when they cannot tell.
    """

    def place(self, approved: Approved, last_look: LastLook | None = None) -> Outcome:
        """Send an order, once. Takes only what the guardian has approved. `last_look` is taken when everything is ready
        and the connection is made; what it says against sending is the outcome then."""

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

    def holdings(self) -> list[BrokerHolding]:
        """Delivery shares of earlier days; none where those are among the positions."""

    def margins(self) -> Funds | None:
        """The funds for shares, derivatives and currencies; `None` where the broker sets no limit.

        Kite keeps commodities apart: their funds are not in it.
        """


@runtime_checkable
class GttBroker(Protocol):
    """A broker that keeps orders until a price is reached. Its commands never raise for what the broker or the network
    does, its reads raise `BookUnreadable`; all of them block, and may be called from any thread."""

    def place_gtt(self, approved: ApprovedGtt, last_look: LastLook | None = None) -> GttOutcome:
        """Send a GTT, once."""

    def modify_gtt(self, trigger_id: TriggerId, approved: ApprovedGtt, last_look: LastLook | None = None) -> GttOutcome:
        """Ask for the whole of it anew. The list shows whether it was done."""

    def delete_gtt(self, trigger_id: TriggerId, last_look: LastLook | None = None) -> GttOutcome:
        """Ask for its end. The list shows whether it was done."""

    def gtts(self) -> list[BrokerGtt]:
        """All that are active, and the others of the last days."""

    def gtt(self, trigger_id: TriggerId) -> BrokerGtt:
        """One, of whatever age."""

    def last_prices(self, symbols: Sequence[str]) -> list[Tick]:
        """Of those symbols that have one."""


@runtime_checkable
class DropsTags(Protocol):
    """A broker whose book may show an order of ours without its tag."""

    def could_be(self, order: Order) -> Sequence[str]:
        """What may be that order, in words: broker order ids of the latest reading, or a call that goes on."""


class ContractNotes(Protocol):
    """A broker that tells what executed orders cost. It blocks, and may be called from any thread."""

    def odd_rows(self) -> Sequence[OddRow]:
        """What its latest readings of orders and trades left out, since it is not understood."""

    def charges(self, billed: Sequence[BilledOrder]) -> list[Charges]:
        """Of each order, in the same order, by the broker's own computation and as it gives them: not rounded.

        Raises `BookUnreadable` when it cannot tell.
        """
