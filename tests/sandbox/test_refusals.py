"""What Kite refuses: at once, without a row, or later, with one. And which exception of the client it becomes."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import (
    DataException,
    GeneralException,
    InputException,
    KiteException,
    NetworkException,
    OrderException,
    PermissionException,
    TokenException,
)

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import FUTURE, Served, order, row_of, statuses

Terms = dict[str, Any]
NIFTY: Terms = {"exchange": "NFO", "tradingsymbol": "NIFTY25MAYFUT"}


def refusal(kite: KiteConnect, **terms: Any) -> KiteException:
    with pytest.raises(KiteException) as refused:
        kite.place_order(**terms)
    assert kite.orders() == [], "a refusal leaves no row"
    return refused.value


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (order(None, market_protection=None), "Market orders without market protection are not allowed via API"),
        (order(None, market_protection=0), "Market orders without market protection are not allowed via API"),
        (
            order(None, order_type="SL-M", trigger_price=1510.0, market_protection=None),
            "Market orders without market protection",
        ),
        (order(None, market_protection=101), "Invalid `market_protection`"),
        (order(tag="x" * 21), "Invalid `tag`"),
        (order(tradingsymbol="NOSUCH"), "has either expired or does not exist"),
        (order(tradingsymbol="NIFTY 50"), "has either expired or does not exist"),
        (order(1490.03), "Tick size for this script is 10 paise"),
        (order(1512.0, order_type="SL", trigger_price=1510.01), "Tick size for this script"),
        (order(2000.0), "outside the circuit limits of 1200.0 to 1800.0"),
        (order(quantity=0), "`quantity`"),
        (order(quantity=-1), "Invalid `quantity`"),
        (order(quantity="ten"), "Invalid `quantity`"),
        (order(price=None, order_type="LIMIT"), "a LIMIT order needs one"),
        (order(1490.0, order_type="SL", trigger_price=1500.0), "the limit of a BUY SL order must lie"),
        (order(transaction_type="HOLD"), "Invalid `transaction_type`"),
        (order(product="XXX"), "Invalid `product`"),
        (order(order_type=""), "Missing or empty field `order_type`"),
        (order(tradingsymbol=" "), "Missing or empty field `tradingsymbol`"),
        (order(validity="GTC"), "Invalid `validity`"),
        (order(validity="TTL"), "`validity_ttl`"),
        (order(validity_ttl=5), "`validity_ttl`"),
        (order(variety="auction"), "Invalid `variety`"),
        (order(variety="iceberg"), "Invalid `iceberg_legs`: must be 2 to 50"),
        (order(variety="iceberg", iceberg_legs=1, iceberg_quantity=10), "Invalid `iceberg_legs`"),
        (order(variety="iceberg", iceberg_legs=3, iceberg_quantity=3), "the legs must make up the quantity"),
        (
            order(24300.0, variety="iceberg", quantity=75 * 3, iceberg_legs=3, iceberg_quantity=80, **NIFTY),
            "multiples of the lot size",
        ),
        (order(variety="amo"), "can be placed only while the market is closed"),
        (order(24300.0, quantity=10, **NIFTY), "multiples of the lot size of 75"),
        (
            order(24300.0, quantity=75 * 25, **NIFTY),
            r"The order quantity 1875 \(25 lots\) is higher than the maximum quantity of 1800 \(24 lots\)",
        ),
        (order(1512.0, order_type="SL", trigger_price=1510.0, validity="IOC"), "cannot be IOC"),
    ],
)
def test_an_order_that_breaks_a_rule_is_an_input_exception(kite: KiteConnect, terms: Terms, words: str) -> None:
    with pytest.raises(InputException, match=words) as refused:
        kite.place_order(**terms)
    assert refused.value.code == 400
    assert kite.orders() == [], "a refusal leaves no row"


def test_a_tag_of_20_characters_is_taken_whatever_they_are(kite: KiteConnect) -> None:
    assert row_of(kite, kite.place_order(**order(tag="a-b_c d" + "x" * 13)))["tag"] == "a-b_c d" + "x" * 13


def test_too_little_money_is_a_margin_exception_that_the_client_has_no_class_for(serve: Serve) -> None:
    served = serve(cash=1000)
    served.tick(1500)
    error = refusal(served.kite(), **order(1490.0, quantity=10))
    assert type(error) is GeneralException
    assert str(error) == "Insufficient funds. Required margin is 2980.00 but available margin is 1000.00."
    assert error.code == 400


def test_what_closes_a_position_needs_no_money(serve: Serve) -> None:
    served = serve(cash=3000)
    served.tick(1500)
    kite = served.kite()
    kite.place_order(**order(None))
    assert type(_error(kite, **order(None))) is GeneralException
    kite.place_order(**order(None, transaction_type="SELL"))
    assert kite.margins("equity")["net"] == 3000


def _error(kite: KiteConnect, **terms: Any) -> KiteException:
    with pytest.raises(KiteException) as refused:
        kite.place_order(**terms)
    return refused.value


def test_shares_that_are_not_there_are_rejected_after_the_receipt(served: Served, kite: KiteConnect) -> None:
    sold = kite.place_order(**order(None, transaction_type="SELL", product="CNC", tag="t1"))
    row = row_of(kite, sold)
    assert (row["status"], row["tag"], row["filled_quantity"]) == ("REJECTED", "t1", 0)
    assert row["status_message"].startswith("RMS:Rule: Check holdings")
    assert (row["exchange_order_id"], row["exchange_timestamp"]) == (None, None)
    assert statuses(kite, sold) == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]
    assert served.tally()["accepted"] == {"t1": [sold]}
    kite.place_order(**order(None, product="CNC"))
    again = kite.place_order(**order(None, transaction_type="SELL", product="CNC"))
    assert row_of(kite, again)["status"] == "COMPLETE"


def test_an_order_that_is_over_can_neither_be_modified_nor_cancelled(kite: KiteConnect) -> None:
    filled = kite.place_order(**order(None))
    with pytest.raises(InputException, match=r"cannot be cancelled as it is being processed. Try later"):
        kite.cancel_order("regular", filled)
    with pytest.raises(InputException, match=r"cannot be modified as it is being processed. Try later"):
        kite.modify_order("regular", filled, quantity=20)


def test_an_order_that_nobody_knows_is_a_general_exception(kite: KiteConnect) -> None:
    asked: list[Callable[[], object]] = [
        lambda: kite.order_history("1"),
        lambda: kite.order_trades("1"),
        lambda: kite.cancel_order("regular", "1"),
        lambda: kite.modify_order("regular", "1", price=1.0),
    ]
    for ask in asked:
        with pytest.raises(GeneralException, match="Couldn't find that `order_id`"):
            ask()


def test_the_variety_of_a_change_must_be_that_of_the_order(kite: KiteConnect) -> None:
    placed = kite.place_order(**order())
    with pytest.raises(InputException, match="Invalid `variety`: the order is regular"):
        kite.cancel_order("amo", placed)
    assert row_of(kite, placed)["status"] == "OPEN"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": 1490.03}, "Tick size"),
        ({"price": 2500.0}, "circuit limits"),
        ({"order_type": "MARKET"}, "Market orders without market protection"),
        ({"order_type": "SL"}, "needs one"),
        ({"validity": "IOC"}, "`validity` of an order cannot be modified"),
        ({"price": 0}, "give at least one"),
        ({}, "give at least one"),
    ],
)
def test_a_change_that_breaks_a_rule_changes_nothing(kite: KiteConnect, change: Terms, words: str) -> None:
    placed = kite.place_order(**order())
    before = row_of(kite, placed)
    with pytest.raises(InputException, match=words):
        kite.modify_order("regular", placed, **change)
    assert row_of(kite, placed) == before


def test_an_order_is_modified_25_times_and_not_once_more(kite: KiteConnect) -> None:
    placed = kite.place_order(**order(1400.0))
    for step in range(25):
        kite.modify_order("regular", placed, price=1400.0 + step)
    with pytest.raises(NetworkException, match="Maximum allowed order modifications exceeded") as refused:
        kite.modify_order("regular", placed, price=1450.0)
    assert refused.value.code == 429
    assert row_of(kite, placed)["price"] == 1424.0


@pytest.mark.parametrize(
    ("error_type", "status", "raised"),
    [
        ("TokenException", 403, TokenException),
        ("PermissionException", 403, PermissionException),
        ("InputException", 400, InputException),
        ("OrderException", 400, OrderException),
        ("NetworkException", 503, NetworkException),
        ("DataException", 502, DataException),
        ("GeneralException", 500, GeneralException),
        ("MarginException", 400, GeneralException),
        ("HoldingException", 400, GeneralException),
        ("UserException", 403, GeneralException),
    ],
)
def test_each_error_type_is_the_exception_that_the_client_makes_of_it(
    served: Served, kite: KiteConnect, error_type: str, status: int, raised: type[KiteException]
) -> None:
    served.fault("refused", error_type=error_type, http_status=status, message="no")
    error = refusal(kite, **order())
    assert (type(error), error.code, str(error)) == (raised, status, "no")


def test_what_is_not_there_answers_in_the_envelope_too(served: Served, kite: KiteConnect) -> None:
    with pytest.raises(GeneralException, match="Route not found") as refused:
        kite.mf_orders()
    assert refused.value.code == 404
    answer = requests.patch(f"{served.sandbox.root}/orders", timeout=60)
    assert (answer.status_code, answer.json()["message"]) == (405, "Method not allowed")


def test_a_closed_market_hints_at_amo_and_takes_that(served: Served, kite: KiteConnect) -> None:
    served.clock.advance(hours=6)
    served.control("POST", "close-session")
    with pytest.raises(InputException, match=r"could not be converted to a After Market Order \(AMO\)"):
        kite.place_order(**order())
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    url = f"{served.sandbox.root}/orders/regular"
    answer = requests.post(url, data=order() | {"variety": "regular"}, headers=headers, timeout=60)
    assert answer.json()["data"] == {"hints": ["switch_to_amo"]}
    placed = kite.place_order(**order(1490.0, variety="amo", tag="t1"))
    assert (row_of(kite, placed)["status"], row_of(kite, placed)["variety"]) == ("AMO REQ RECEIVED", "amo")
    kite.modify_order("amo", placed, price=1480.0)
    other = kite.place_order(**order(1490.0, variety="amo"))
    kite.cancel_order("amo", other)
    served.next_day()
    row = row_of(kite, placed)
    assert (row["status"], row["price"], row["variety"], row["tag"]) == ("OPEN", 1480.0, "amo", "t1")
    assert statuses(kite, placed)[0] == "AMO REQ RECEIVED"
    assert [row["order_id"] for row in kite.orders()] == [placed]
    served.tick(1480)
    assert row_of(kite, placed)["status"] == "COMPLETE"


def test_funds_are_bound_by_positions_and_open_orders(served: Served, kite: KiteConnect) -> None:
    served.tick(24400, symbol=FUTURE)
    free = kite.margins()["equity"]["net"]
    kite.place_order(**order(1490.0))
    assert free - kite.margins("equity")["net"] == pytest.approx(1490 * 10 * 0.2)
    kite.place_order(**order(None, quantity=75, product="NRML", **NIFTY))
    funds = kite.margins("equity")
    assert free - funds["net"] == pytest.approx(1490 * 10 * 0.2 + 24400 * 75 * 0.12)
    assert funds["utilised"]["debits"] == pytest.approx(free - funds["net"])
    assert kite.margins("commodity")["enabled"] is False
