"""One `Order` class: it takes and shows the names that the in-process engine used, and still cannot be built wrong."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Product, Side, Status, Validity
from tests.trading.orders.test_order import named_in

TAGS = {"product": "NRML", "validity": "IOC", "reason": "breakout", "tag": "run-7", "confidence": 0.75}


def older(**fields: Any) -> Order:
    content: dict[str, Any] = {
        "order_id": "",
        "symbol": "NIFTY24DECFUT",
        "side": "BUY",
        "qty": 50,
        "order_type": "MARKET",
    }
    return Order(**content | {"strategy": "s"} | fields)


def test_it_is_made_and_read_in_older_names() -> None:
    order = older(order_type="LIMIT", price=24000.05, tags=TAGS)
    assert (order.symbol, order.side, order.qty, order.order_type) == ("NFO:NIFTY24DECFUT", "BUY", 50, "LIMIT")
    assert (order.status, order.filled_qty, order.avg_price, order.message) == ("PENDING", 0, None, None)
    assert (order.strategy, order.tags) == ("s", TAGS)
    assert order.created_at == order.updated_at
    assert order.created_at.tzinfo is not None


def test_what_stood_among_the_tags_is_part_of_the_order() -> None:
    order = older(symbol="INFY", order_type="SL-M", tags=TAGS | {"exchange": "NSE", "trigger_price": 1500.1})
    assert order.symbol == "NSE:INFY"
    assert (order.product, order.validity) == (Product.NRML, Validity.IOC)
    assert (order.trigger_price, order.reason) == (Decimal("1500.1"), "breakout")


def test_enums_equal_their_strings() -> None:
    order = older()
    assert order.side is Side.BUY
    assert order.order_type is OrderType.MARKET
    assert order.status is Status.PENDING
    assert f"{order.side} {order.order_type} {order.status}" == "BUY MARKET PENDING"


def test_two_orders_without_an_id_are_two_orders() -> None:
    first, second = older(), older()
    assert first.order_id != second.order_id
    assert first.tag != second.tag


def test_an_order_that_was_over_keeps_what_was_filled() -> None:
    at = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
    done = {"status": "FILLED", "filled_qty": 50, "avg_price": 24000.060005, "message": "ok", "updated_at": at}
    order = older(order_id="PAPER-1", created_at=at, **done)
    assert (order.order_id, order.status, order.filled_qty, order.message) == ("PAPER-1", "FILLED", 50, "ok")
    assert order.avg_price == 24000.06
    assert order.average_price == Decimal("24000.0600")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"side": "HOLD"}, "side"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": None}, "symbol"),
        ({"qty": 0}, "qty"),
        ({"qty": -50}, "qty"),
        ({"qty": 1.5}, "qty"),
        ({"qty": True}, "qty"),
        ({"order_type": "LIMIT"}, "price"),
        ({"order_type": "SL", "price": 100.0}, "trigger_price"),
        ({"order_type": "STOP"}, "order_type"),
        ({"strategy": "EMA 20/50"}, "strategy"),
        ({"tags": "MIS"}, "tags"),
        ({"tags": {"product": "BO"}}, "product"),
        ({"filled_qty": 50}, "avg_price"),
    ],
)
def test_what_is_no_order_is_refused_with_field_and_rule(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field) as refusal:
        older(**wrong)
    assert field in named_in(refusal.value)  # type: ignore[arg-type]


def test_tags_travel_with_the_intent_and_are_no_part_of_what_is_asked_for() -> None:
    intent = OrderIntent(symbol="NSE:INFY", side=Side.BUY, quantity=1, client_order_id="a", tags=TAGS)
    again = intent.model_copy(update={"tags": {}})
    assert intent.fingerprint() == again.fingerprint()
    order = Order.from_intent(intent, datetime.now(UTC))
    assert order.tags == TAGS
    assert Order.model_validate_json(order.model_dump_json()) == order
    assert hash(order) == hash(order.model_copy(update={"tags": {}}))
