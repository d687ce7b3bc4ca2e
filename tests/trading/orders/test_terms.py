"""What `buy` and `sell` take: one list for the client, its synchronous twin, a strategy's context and the backtest."""

from decimal import Decimal

import pytest

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.order import OrderIntent, OrderType, Side
from durable_orders.trading.orders.terms import CLIENT_TERMS, TERMS, intent_of


def test_every_term_is_one_of_an_intent() -> None:
    assert set(OrderIntent.model_fields) > CLIENT_TERMS
    assert {"strategy"} == CLIENT_TERMS - TERMS


def test_terms_become_an_intent_over_what_the_caller_says_of_every_order() -> None:
    given = {"order_type": "LIMIT", "price": "1400.05", "client_order_id": None}
    intent = intent_of(Side.BUY, "NSE:INFY", 5, given, TERMS, strategy="breakout", client_order_id="breakout-1")
    assert (intent.order_type, intent.price, intent.strategy) == (OrderType.LIMIT, Decimal("1400.05"), "breakout")
    assert intent.client_order_id == "breakout-1"


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"prise": 5}, "prise: no term of an order, did you mean price?"),
        ({"mode": "live"}, "mode: no term of an order"),
        ({"strategy": "another"}, "strategy: no term of an order"),
        ({"product": "MIX"}, "product: "),
        ({"order_type": "LIMIT"}, "price: a LIMIT order needs one"),
    ],
)
def test_what_is_no_term_is_named(terms: dict[str, object], error: str) -> None:
    with pytest.raises(InvalidOrder) as raised:
        intent_of(Side.SELL, "NSE:INFY", 5, terms, TERMS)
    assert str(raised.value).startswith(error)
