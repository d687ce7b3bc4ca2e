"""The exchange's life on each database that the ledger runs on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.errors import MarketNotOwned
from durable_orders.trading.orders.book import BookState, BrokerPosition
from durable_orders.trading.orders.order import Amendment, Product, Side, Validity
from tests.trading.exchange.exchange import INFY, Exchange, accepted, approved, limit, stop


def test_a_day_of_orders(any_exchange: Exchange) -> None:
    exchange, other = any_exchange, any_exchange.again()
    exchange.show("100")
    filled = exchange.place().row.broker_order_id
    resting = exchange.place(**limit("95")).row.broker_order_id
    stopped = exchange.place(side=Side.SELL, **stop("94", "93")).row.broker_order_id
    expired = exchange.place(validity=Validity.IOC, **limit("99")).row.broker_order_id
    assert accepted(other.broker.modify(resting, Amendment(quantity=4))).row.quantity == 4
    assert exchange.show("95") == [resting]
    assert exchange.show("94") == [stopped]
    cancelled = other.place(**limit("90")).row.broker_order_id
    assert accepted(other.broker.cancel(cancelled)).row.state is BookState.CANCELLED
    ends = {row.broker_order_id: row.state for row in other.broker.order_book()}
    assert ends == {
        filled: BookState.COMPLETE,
        resting: BookState.COMPLETE,
        stopped: BookState.COMPLETE,
        expired: BookState.EXPIRED,
        cancelled: BookState.CANCELLED,
    }
    assert [(fill.quantity, str(fill.price)) for fill in other.broker.trades()] == [(10, "100"), (4, "95"), (10, "94")]
    assert other.broker.positions() == [BrokerPosition(INFY, Product.MIS, 4, Decimal("98.5714"))]
    assert exchange.statuses(cancelled)[-2:] == ["CANCEL PENDING", "CANCELLED"]


def test_the_turn_of_the_session_and_of_the_owner(any_exchange: Exchange) -> None:
    any_exchange.show("100")
    order = any_exchange.place(**limit("95")).row.broker_order_id
    any_exchange.clock.advance(days=1)
    successor = any_exchange.again()
    successor.market.take_over()
    with pytest.raises(MarketNotOwned):
        any_exchange.show("95")
    assert successor.market.resume_point() == any_exchange.clock.now - timedelta(days=1, seconds=1)
    assert successor.show("95") == [order]
    assert any_exchange.row(order).state is BookState.EXPIRED


def test_threads_of_two_processes_place_at_once(any_exchange: Exchange) -> None:
    any_exchange.show("100")
    brokers = [any_exchange.broker, any_exchange.again().broker]
    with ThreadPoolExecutor(max_workers=4) as threads:
        outcomes = list(threads.map(lambda number: brokers[number % 2].place(approved()), range(24)))
    assert len({accepted(outcome).row.broker_order_id for outcome in outcomes}) == 24
    assert brokers[0].order_book() == brokers[1].order_book()
    assert sum(fill.quantity for fill in brokers[1].trades()) == 240
