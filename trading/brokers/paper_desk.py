"""The paper exchange seen from Kite's own side: what its OMS, its RMS and the other party do to an order.

For a server that stands for the broker (`sandbox/`). Its orders come over a wire, checked by the guardian of whoever
sent them; so nothing in here asks for an approval, and nothing that trades may use it.
"""

from decimal import Decimal

import sqlalchemy as sa

from trading.brokers import paper_refusals, paper_rows, paper_store
from trading.brokers.paper import PaperBroker
from trading.brokers.paper_orders import ExchangeOrder, Progress
from trading.order import BrokerOrderId, Tag, Terms
from trading.outcome import Outcome, Refused


class PaperDesk(PaperBroker):
    """A `PaperBroker` whose orders can also be held up, queued, rejected, released and traded by hand."""

    def receive(self, terms: Terms, tag: Tag | None) -> Outcome:
        """As `place`: to the exchange, where it is matched at once."""
        return self._receive(terms, tag, Progress.open)

    def hold(self, terms: Terms, tag: Tag | None) -> Outcome:
        """Take an order that stays OPEN PENDING: it can neither trade nor be changed until it is released."""
        return self._receive(terms, tag, Progress.hold)

    def queue(self, terms: Terms, tag: Tag | None) -> Outcome:
        """Take an after-market order: AMO REQ RECEIVED until it is released. It can be changed, not traded."""
        return self._receive(terms, tag, Progress.queue)

    def reject(self, terms: Terms, tag: Tag | None, message: str) -> Outcome:
        """Take an order and turn it down afterwards: a receipt, and a row that is REJECTED."""
        return self._receive(terms, tag, lambda progress: progress.reject(message))

    def release(self, broker_order_id: BrokerOrderId) -> Outcome:
        """Let a held or queued order through to the exchange. Refused for one that waits for nothing."""
        return self._transact(lambda connection: self._release(connection, broker_order_id))

    def trade(self, broker_order_id: BrokerOrderId, quantity: int, price: Decimal) -> Outcome:
        """Somebody takes so many shares of a working order at so many rupees, whatever the last price.

        A quantity above what remains takes what remains. Refused for an order that is not at the exchange.
        """
        return self._transact(lambda connection: self._trade(connection, broker_order_id, quantity, price))

    def _release(self, connection: sa.Connection, broker_order_id: BrokerOrderId) -> Outcome:
        order = self._found(connection, broker_order_id)
        if isinstance(order, Refused):
            return order
        if not order.working or order.at_exchange:
            return paper_refusals.refused(f"order {broker_order_id} is {order.status}: nothing holds it up")
        progress, market = Progress(order, self.clock()), paper_store.bump_market(connection, self._account)
        progress.release()
        self._meet_market(connection, progress, market)
        return self._written(connection, progress, market)

    def _trade(
        self, connection: sa.Connection, broker_order_id: BrokerOrderId, quantity: int, price: Decimal
    ) -> Outcome:
        order = self._found(connection, broker_order_id)
        if isinstance(order, Refused):
            return order
        if not order.at_exchange:
            return paper_refusals.refused(f"order {broker_order_id} is {order.status}: it cannot trade")
        progress = Progress(order, self.clock())
        progress.fill(min(quantity, order.remaining), price)
        return self._written(connection, progress, paper_store.bump_market(connection, self._account))

    def _found(self, connection: sa.Connection, broker_order_id: BrokerOrderId) -> ExchangeOrder | Refused:
        order = paper_rows.find_order(connection, self._account, broker_order_id)
        return order if order is not None else paper_refusals.unknown_order()
