"""Orders of which Kite makes several: the legs of an iceberg, one after the other, and slices, all at once."""

from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import InputException

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import FUTURE, Served, order, row_of, until

BIG: dict[str, Any] = {"exchange": "NFO", "tradingsymbol": "NIFTY25MAYFUT", "quantity": 75 * 50}


def iceberg(**terms: Any) -> dict[str, Any]:
    """25 in legs of 10, 10 and 5."""
    split: dict[str, Any] = {"variety": "iceberg", "quantity": 25, "iceberg_legs": 3, "iceberg_quantity": 10}
    return order(**split | {"tag": "mine"} | terms)


def legs(kite: KiteConnect) -> list[dict[str, Any]]:
    return [row for row in kite.orders() if row["variety"] == "iceberg"]


def test_a_leg_comes_when_the_one_before_is_filled(served: Served, kite: KiteConnect) -> None:
    first = kite.place_order(**iceberg(price=1480.0))
    assert (row_of(kite, first)["quantity"], row_of(kite, first)["parent_order_id"]) == (10, None)
    told = {"leg": 1, "legs": 3, "leg_quantity": 10, "total_quantity": 25, "remaining_quantity": 15}
    assert row_of(kite, first)["meta"] == {"iceberg": told}
    served.control("POST", f"orders/{first}/fill", quantity=9, price="1480")
    assert len(legs(kite)) == 1
    served.control("POST", f"orders/{first}/fill", quantity=1, price="1480")
    until(lambda: len(legs(kite)) == 2)
    served.tick(1480)
    until(lambda: [row["status"] for row in legs(kite)] == ["COMPLETE"] * 3)
    assert [(row["quantity"], row["parent_order_id"], row["tag"]) for row in legs(kite)] == [
        (10, None, "mine"),
        (10, first, "mine"),
        (5, first, "mine"),
    ]
    assert [row["meta"]["iceberg"]["remaining_quantity"] for row in legs(kite)] == [15, 5, 0]


def test_none_comes_behind_a_leg_that_was_cancelled(served: Served, kite: KiteConnect) -> None:
    first = kite.place_order(**iceberg(price=1480.0))
    kite.cancel_order("iceberg", first)
    other = kite.place_order(**iceberg(price=1480.0))
    served.tick(1480)
    until(lambda: len(legs(kite)) == 4)  # one of the first order, and by then all three of the other
    assert [row["parent_order_id"] for row in legs(kite)] == [None, None, other, other]


def test_parts_without_a_tag_tell_their_first_all_the_same(serve: Serve) -> None:
    served = serve(tags_parts=False)
    kite = served.kite()
    served.tick(24400, symbol=FUTURE)
    answer = kite.place_autoslice_order(**order(24300.0, tag="mine", **BIG))
    tags = {row["order_id"]: (row["tag"], row["tags"]) for row in kite.orders()}
    marks = (None, ["autoslice", f"autoslice:{answer['order_id']}"])
    assert tags.pop(answer["order_id"]) == ("mine", ["mine", "autoslice"])
    assert list(tags.values()) == [marks, marks]


def test_a_slice_that_is_refused_is_an_error_among_the_children(served: Served, kite: KiteConnect) -> None:
    served.tick(24400, symbol=FUTURE)
    served.fault("slice_refused", next=True, message="no margin for this one")
    answer = kite.place_autoslice_order(**order(24300.0, **BIG))
    refused, taken = answer["children"]
    assert refused["error"]["message"] == "no margin for this one"
    assert [row["quantity"] for row in kite.orders()] == [75 * 24, 75 * 2]
    assert taken["order_id"] == kite.orders()[1]["order_id"]


def test_eleven_slices_are_too_many(served: Served, kite: KiteConnect) -> None:
    served.tick(24400, symbol=FUTURE)
    with pytest.raises(InputException, match="11 slices"):
        kite.place_autoslice_order(**order(24300.0, **BIG | {"quantity": 75 * 24 * 11}))
    assert kite.orders() == []


def test_a_leg_above_the_freeze_quantity_is_too_much(served: Served, kite: KiteConnect) -> None:
    served.tick(24400, symbol=FUTURE)
    terms = iceberg(**BIG, price=24300.0, iceberg_legs=2, iceberg_quantity=75 * 25)
    with pytest.raises(InputException, match="higher than the maximum quantity"):
        kite.place_order(**terms)
