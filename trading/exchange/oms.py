"""The paper exchange seen from Kite's own side: what its OMS, its RMS and the other party do to an order.

For a server that stands for the broker (`sandbox/`). Its orders come over a wire, checked by the guardian of whoever
sent them; so nothing in here asks for an approval, and nothing that trades may use it.
"""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.exchange import refusals as paper_refusals
from durable_orders.trading.exchange import rows as paper_rows
from durable_orders.trading.exchange import store as paper_store
from durable_orders.trading.exchange.fill_models import Request
from durable_orders.trading.exchange.orders import ExchangeOrder, Progress
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.protection import Protection
from durable_orders.trading.exchange.reading import reading
from durable_orders.trading.ledger.last_ticks import last_price
from durable_orders.trading.market.expiry import Expiry
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Product, Tag, Terms
from durable_orders.trading.orders.outcome import Outcome, Refused


class Expired(NamedTuple):
    """A position in a contract that has ended."""

    symbol: str
    product: Product
    quantity: int
    """Signed; short is negative."""
    price: Decimal
    """Rupees, at which it is settled."""


class PaperOms(PaperBroker):
    """A `PaperBroker` whose orders can also be held up, queued, rejected, released and traded by hand."""

    def receive(
        self, terms: Terms, tag: Tag | None, protection: Protection | None = None, disclosed: int | None = None
    ) -> Outcome:
        """As `place`: to the exchange, where it is matched at once."""
        return self._receive(terms, tag, Progress.open, disclosed=disclosed, protection=protection)

    def hold(self, terms: Terms, tag: Tag | None, disclosed: int | None = None) -> Outcome:
        """Take an order that stays OPEN PENDING: it can neither trade nor be changed until it is released."""
        return self._receive(terms, tag, Progress.hold, disclosed=disclosed)

    def queue(self, terms: Terms, tag: Tag | None, disclosed: int | None = None) -> Outcome:
        """Take an after-market order: AMO REQ RECEIVED until it is released. It can be changed, not traded."""
        return self._receive(terms, tag, Progress.queue, disclosed=disclosed)

    def reject(self, terms: Terms, tag: Tag | None, message: str) -> Outcome:
        """Take an order and turn it down afterwards: a receipt, and a row that is REJECTED."""
        return self._receive(terms, tag, lambda progress: progress.reject(message))

    def change(self, broker_order_id: BrokerOrderId, change: Amendment, disclosed: int) -> Outcome:
        """As `modify`, with what of the order the market is to see; 0 for all."""
        self._travel(Request.MODIFY)
        return self._transact(lambda connection: self._modify(connection, broker_order_id, change, disclosed))

    def release(self, broker_order_id: BrokerOrderId) -> Outcome:
        """Let a held or queued order through to the exchange. Refused for one that waits for nothing."""
        return self._transact(lambda connection: self._release(connection, broker_order_id))

    def trade(self, broker_order_id: BrokerOrderId, quantity: int, price: Decimal) -> Outcome:
        """Somebody takes so many shares of a working order at so many rupees, whatever the last price.

        A quantity above what remains takes what remains. Refused for an order that is not at the exchange.
        """
        return self._transact(lambda connection: self._trade(connection, broker_order_id, quantity, price))

    def move(self, symbol: str, product: Product, quantity: int, price: Decimal) -> None:
        """A position moves by so many, signed, at so many rupees, without an order: by a conversion, a settlement, a
        split. The positions tell of it, and neither book nor trades."""
        now = self.clock()
        with self._database.write(self._account) as connection:
            version = paper_store.bump_market(connection, self._account).version
            own = paper_store.new_broker_order_id(connection, self._account, now, version)
            paper_store.insert_movement(connection, self._account, own, symbol, product, quantity, price, now)

    def expired(self, expiry: Expiry, last: date) -> list[Expired]:
        """What is held of contracts that ended on that day or before, where a price is known at which they do."""
        found = []
        with reading(self._database) as connection:
            for symbol, product, held in paper_rows.held(connection, self._account):
                day = expiry.day_of(symbol)
                if day is None or day > last:
                    continue
                settled = expiry.settled(symbol, lambda asked: last_price(connection, self._account, asked))
                if settled is not None:
                    found.append(Expired(symbol, product, held, settled.price))
        return found

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
