from datetime import datetime
from decimal import Decimal

import pytest

from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, OrderType, Side
from durable_orders.trading.orders.outcome import Refused
from tests.trading.exchange.exchange import (
    HALVES,
    Exchange,
    Opened,
    accepted,
    limit,
    refusal,
    stop,
)

NOT_MODIFIABLE = "Order cannot be modified as it is being processed. Try later."
NOT_CANCELLABLE = "Order cannot be cancelled as it is being processed. Try later."


@pytest.fixture
def halving(opened: Opened) -> Exchange:
    return opened(HALVES)


def test_a_modification_passes_through_kites_statuses_and_shows_the_new_terms(exchange: Exchange) -> None:
    exchange.show("100")
    order = exchange.place(**limit("90")).row.broker_order_id
    report = accepted(exchange.broker.modify(order, Amendment(price=Decimal("91"), quantity=20)))
    assert (report.row.price, report.row.quantity, report.row.status) == (Decimal(91), 20, "OPEN")
    history = exchange.broker.order_history(order)[4:]
    assert [(str(row.status), row.price) for row in history] == [
        ("MODIFY VALIDATION PENDING", Decimal(90)),
        ("MODIFY PENDING", Decimal(90)),
        ("MODIFIED", Decimal(91)),
        ("OPEN", Decimal(91)),
    ]
    assert exchange.show("91") == [order]
    assert exchange.row(order).filled_quantity == 20


def test_a_modified_order_meets_the_market_at_once(exchange: Exchange) -> None:
    exchange.show("100")
    order = exchange.place(**limit("90")).row.broker_order_id
    report = accepted(exchange.broker.modify(order, Amendment(price=Decimal("100"))))
    assert report.row.state is BookState.COMPLETE
    assert [fill.price for fill in report.fills] == [Decimal(100)]


@pytest.mark.parametrize("total", [3, 5])
def test_a_total_at_or_below_what_is_filled_completes_the_order_there(halving: Exchange, total: int) -> None:
    halving.show("100")
    order = halving.place(quantity=10).row.broker_order_id
    report = accepted(halving.broker.modify(order, Amendment(quantity=total)))
    assert (report.row.state, report.row.quantity, report.row.filled_quantity) == (BookState.COMPLETE, 5, 5)
    assert halving.show("100") == []


def test_the_new_quantity_is_the_total_not_the_rest(halving: Exchange) -> None:
    halving.show("100")
    order = halving.place(quantity=10).row.broker_order_id
    halving.clock.advance(minutes=1)
    report = accepted(halving.broker.modify(order, Amendment(quantity=6)))
    assert (report.row.quantity, report.row.filled_quantity) == (6, 5)
    assert len(report.fills) == 1
    halving.show("100")
    assert halving.row(order).state is BookState.COMPLETE


def test_the_type_of_an_order_can_change(exchange: Exchange) -> None:
    exchange.show("100")
    order = exchange.place(**limit("90")).row.broker_order_id
    change = Amendment(order_type=OrderType.SL, price=Decimal(106), trigger_price=Decimal(105))
    assert accepted(exchange.broker.modify(order, change)).row.status == "TRIGGER PENDING"
    assert exchange.show("104") == []
    report = accepted(exchange.broker.modify(order, Amendment(order_type=OrderType.MARKET)))
    assert (report.row.price, report.row.trigger_price, report.row.state) == (None, None, BookState.COMPLETE)


def test_a_stop_moves_its_trigger_until_it_is_triggered(exchange: Exchange) -> None:
    exchange.show("100")
    order = exchange.place(**stop("110", "112")).row.broker_order_id
    accepted(exchange.broker.modify(order, Amendment(trigger_price=Decimal("111"))))
    exchange.show("113")
    assert exchange.row(order).status == "OPEN"
    outcome = exchange.broker.modify(order, Amendment(trigger_price=Decimal("110")))
    assert refusal(outcome) == "trigger_price: the order is triggered already"
    report = accepted(exchange.broker.modify(order, Amendment(price=Decimal("113"), trigger_price=Decimal(111))))
    assert report.row.state is BookState.COMPLETE


def test_a_triggered_stop_that_becomes_a_limit_order_and_a_stop_again_waits_again(exchange: Exchange) -> None:
    order = exchange.place(**stop("105", "106")).row.broker_order_id
    exchange.show("107")
    accepted(exchange.broker.modify(order, Amendment(order_type=OrderType.LIMIT)))
    again = Amendment(order_type=OrderType.SL, trigger_price=Decimal(110), price=Decimal(111))
    assert accepted(exchange.broker.modify(order, again)).row.status == "TRIGGER PENDING"
    assert exchange.show("109") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Amendment(trigger_price=Decimal(1)), "trigger_price: a LIMIT order takes none"),
        (Amendment(order_type=OrderType.SL), "trigger_price: a SL order needs one"),
        (Amendment(order_type=OrderType.MARKET, price=Decimal(90)), "price: a MARKET order takes none"),
        (Amendment(price=Decimal("90.01")), "price: 90.01 is not a multiple of the tick size 0.05"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(
    exchange: Exchange, change: Amendment, words: str
) -> None:
    order = exchange.place(**limit("90")).row
    assert words in refusal(exchange.broker.modify(order.broker_order_id, change))
    assert exchange.row(order.broker_order_id) == order
    assert exchange.statuses(order.broker_order_id)[-1] == "OPEN"


def test_the_26th_modification_is_refused(exchange: Exchange) -> None:
    order = exchange.place(**limit("90")).row.broker_order_id
    for number in range(25):
        accepted(exchange.broker.modify(order, Amendment(quantity=11 + number)))
    outcome = exchange.broker.modify(order, Amendment(quantity=50))
    assert refusal(outcome) == "Maximum allowed order modifications exceeded."
    assert exchange.row(order).quantity == 35
    assert accepted(exchange.broker.cancel(order)).row.state is BookState.CANCELLED


def test_a_cancelled_order_keeps_its_fills_and_fills_no_more(halving: Exchange) -> None:
    halving.show("100")
    order = halving.place(quantity=10).row.broker_order_id
    report = accepted(halving.broker.cancel(order))
    assert (report.row.state, report.row.filled_quantity, report.row.message) == (BookState.CANCELLED, 5, None)
    assert sum(fill.quantity for fill in report.fills) == 5
    assert halving.statuses(order)[-2:] == ["CANCEL PENDING", "CANCELLED"]
    assert halving.show("100") == []


def test_a_stop_can_be_cancelled_before_its_trigger(exchange: Exchange) -> None:
    order = exchange.place(side=Side.SELL, **stop("95")).row.broker_order_id
    accepted(exchange.broker.cancel(order))
    assert exchange.show("90") == []


def test_what_is_over_can_be_neither_modified_nor_cancelled(exchange: Exchange) -> None:
    exchange.show("100")
    filled = exchange.place().row
    cancelled = exchange.place(**limit("90")).row.broker_order_id
    exchange.broker.cancel(cancelled)
    for order in (filled.broker_order_id, cancelled):
        assert refusal(exchange.broker.modify(order, Amendment(quantity=20))) == NOT_MODIFIABLE
        assert refusal(exchange.broker.cancel(order)) == NOT_CANCELLABLE
    assert exchange.row(filled.broker_order_id) == filled


def test_an_unknown_id_is_refused_in_kites_words(exchange: Exchange) -> None:
    unknown = BrokerOrderId("1953341975595868160")
    for outcome in (exchange.broker.modify(unknown, Amendment(quantity=1)), exchange.broker.cancel(unknown)):
        assert refusal(outcome) == "Couldn't find that `order_id`."
        assert isinstance(outcome, Refused)
        assert outcome.evidence.error_type == "GeneralException"


def test_a_change_is_dated_and_the_placing_keeps_its_date(exchange: Exchange) -> None:
    placed: datetime = exchange.place(**limit("90")).row.placed_at
    exchange.clock.advance(seconds=5)
    order = exchange.broker.order_book()[0].broker_order_id
    row = accepted(exchange.broker.modify(order, Amendment(quantity=11))).row
    assert (row.placed_at, (row.updated_at - placed).total_seconds()) == (placed, 5)
