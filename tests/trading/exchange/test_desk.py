"""What the broker's own side can do to an order: hold it up, queue, reject, release and trade it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.exchange.oms import PaperOms
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, OrderType, Side, Tag, Terms, Validity
from tests.trading.exchange.exchange import ACCOUNT, INFY, PLAIN, Exchange, accepted, limit, refusal, tick_size

TAG = Tag("desk")


class Desk(Exchange):
    """An exchange whose broker is a desk."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.desk = PaperOms(self.database, ACCOUNT, PLAIN, tick_size, self.clock)
        self.broker = self.desk
        self.market = PaperMarket(self.desk, self.database, ACCOUNT)
        self.market.take_over()

    def message(self, order: BrokerOrderId) -> str | None:
        return self.row(order).message


@pytest.fixture
def desk(url: str) -> Iterator[Desk]:
    desk = Desk(url)
    yield desk
    desk.close()


def terms(**given: Any) -> Terms:
    defaults = {"symbol": INFY, "side": Side.BUY, "quantity": 10, "order_type": OrderType.MARKET}
    return Terms(**defaults | given)


def test_an_order_is_received_as_a_placed_one_is(desk: Desk) -> None:
    desk.show("100")
    report = accepted(desk.desk.receive(terms(), TAG))
    placed = desk.place()
    assert (report.row.state, report.row.tag) == (BookState.COMPLETE, TAG)
    assert desk.statuses(report.row.broker_order_id) == desk.statuses(placed.row.broker_order_id)


def test_an_order_without_a_tag_stands_in_the_book_without_one(desk: Desk) -> None:
    order = accepted(desk.desk.receive(terms(**limit("90")), None)).row.broker_order_id
    assert desk.row(order).tag is None


def test_a_held_order_neither_trades_nor_changes_until_it_is_released(desk: Desk) -> None:
    desk.show("100")
    order = accepted(desk.desk.hold(terms(), TAG)).row.broker_order_id
    assert desk.show("100") == []
    assert desk.row(order).status == "OPEN PENDING"
    assert "being processed" in refusal(desk.broker.cancel(order))
    assert "being processed" in refusal(desk.broker.modify(order, Amendment(quantity=5)))
    assert "cannot trade" in refusal(desk.desk.trade(order, 1, Decimal(100)))
    released = accepted(desk.desk.release(order))
    assert (released.row.state, len(released.fills)) == (BookState.COMPLETE, 1)
    assert desk.statuses(order)[2:] == ["OPEN PENDING", "OPEN", "COMPLETE"]


def test_a_held_ioc_order_that_finds_nobody_ends_at_its_release(desk: Desk) -> None:
    order = accepted(desk.desk.hold(terms(**limit("90"), validity=Validity.IOC), TAG)).row.broker_order_id
    assert desk.row(order).state is BookState.WORKING
    assert accepted(desk.desk.release(order)).row.state is BookState.EXPIRED


def test_a_queued_order_outlives_the_session_that_had_closed_before_it_and_can_be_changed(desk: Desk) -> None:
    desk.show("100")
    desk.market.close_session()
    desk.clock.advance(hours=1)
    order = accepted(desk.desk.queue(terms(**limit("90")), TAG)).row.broker_order_id
    accepted(desk.broker.modify(order, Amendment(price=Decimal(95))))
    assert (desk.row(order).status, desk.row(order).price) == ("AMO REQ RECEIVED", Decimal(95))
    desk.clock.advance(days=1)
    assert desk.show("95") == []
    assert accepted(desk.desk.release(order)).row.state is BookState.COMPLETE
    assert desk.statuses(order)[0] == "AMO REQ RECEIVED"
    assert desk.statuses(order)[-4:] == ["VALIDATION PENDING", "OPEN PENDING", "OPEN", "COMPLETE"]


def test_a_queued_order_can_be_cancelled(desk: Desk) -> None:
    order = accepted(desk.desk.queue(terms(**limit("90")), TAG)).row.broker_order_id
    assert accepted(desk.broker.cancel(order)).row.state is BookState.CANCELLED


def test_a_rejected_order_has_a_receipt_a_row_and_a_reason(desk: Desk) -> None:
    desk.show("100")
    order = accepted(desk.desk.reject(terms(), TAG, "RMS:Margin Exceeds")).row.broker_order_id
    assert desk.statuses(order) == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]
    assert (desk.row(order).state, desk.message(order)) == (BookState.REJECTED, "RMS:Margin Exceeds")
    assert [row.state for row in desk.broker.order_history(order)][-1] is BookState.REJECTED
    assert desk.show("100") == []
    assert desk.broker.trades() == []


def test_somebody_can_take_a_part_of_an_order_and_then_more_than_the_rest(desk: Desk) -> None:
    order = accepted(desk.desk.receive(terms(**limit("90")), TAG)).row.broker_order_id
    assert accepted(desk.desk.trade(order, 4, Decimal(90))).row.filled_quantity == 4
    report = accepted(desk.desk.trade(order, 100, Decimal(89)))
    assert (report.row.state, report.row.filled_quantity) == (BookState.COMPLETE, 10)
    assert [(fill.quantity, fill.price) for fill in report.fills] == [(4, Decimal(90)), (6, Decimal(89))]
    assert "cannot trade" in refusal(desk.desk.trade(order, 1, Decimal(90)))


def test_only_what_is_held_up_can_be_released(desk: Desk) -> None:
    order = accepted(desk.desk.receive(terms(**limit("90")), TAG)).row.broker_order_id
    assert "nothing holds it up" in refusal(desk.desk.release(order))
    assert "Couldn't find" in refusal(desk.desk.release(BrokerOrderId("1")))
    assert "Couldn't find" in refusal(desk.desk.trade(BrokerOrderId("1"), 1, Decimal(1)))
