"""Positions, holdings, margins, through the real client; and what a new day does to them."""

from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import GeneralException, InputException

from tests.sandbox.serving import Served, order, row_of


def position(kite: KiteConnect, product: str, which: str = "net") -> dict[str, Any]:
    found = [row for row in kite.positions()[which] if row["product"] == product]
    assert len(found) == 1, found
    return dict(found[0])


def test_a_position_is_the_sum_of_its_trades(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(None, quantity=10))
    served.tick(1510)
    kite.place_order(**order(None, quantity=10))
    served.tick(1520)
    kite.place_order(**order(None, quantity=5, transaction_type="SELL"))
    row = position(kite, "MIS")
    assert (row["quantity"], row["average_price"], row["last_price"]) == (15, 1505.0, 1520.0)
    assert (row["realised"], row["unrealised"], row["pnl"]) == (75.0, 225.0, 300.0)
    assert (row["buy_quantity"], row["buy_value"], row["sell_quantity"]) == (20, 30100.0, 5)
    assert row == position(kite, "MIS", "day")


def test_a_position_that_is_closed_stays_in_sight_for_the_day(kite: KiteConnect) -> None:
    kite.place_order(**order(None))
    kite.place_order(**order(None, transaction_type="SELL"))
    assert (position(kite, "MIS")["quantity"], position(kite, "MIS")["average_price"]) == (0, 0.0)


def test_a_new_day_wipes_the_book_and_keeps_what_is_held(served: Served, kite: KiteConnect) -> None:
    resting = kite.place_order(**order(1400.0))
    bought = kite.place_order(**order(None, product="NRML"))
    kite.place_order(**order(None, product="CNC", quantity=3))
    served.next_day()
    assert (kite.orders(), kite.trades()) == ([], [])
    for gone in (resting, bought):
        with pytest.raises(GeneralException, match="Couldn't find that `order_id`"):
            kite.order_history(gone)
    assert kite.positions()["day"] == []
    carried = position(kite, "NRML")
    assert (carried["quantity"], carried["overnight_quantity"], carried["average_price"]) == (10, 10, 1500.0)
    assert [(row["tradingsymbol"], row["quantity"]) for row in kite.holdings()] == [("INFY", 3)]
    assert [row["product"] for row in kite.positions()["net"]] == ["NRML"]


def test_a_day_is_marked_to_market_from_the_close_before_it(served: Served, kite: KiteConnect) -> None:
    """Three at 1500 that closed at 1510, one more at 1520, all sold at 1530: 30 of each carried one count since the
    purchase and 20 since the close. As in the sample of Kite's documentation, only the `day` leaves out what was
    carried."""
    kite.place_order(**order(None, product="NRML", quantity=3))
    kite.place_order(**order(None, product="CNC", quantity=2))
    served.tick(1510)
    served.next_day()
    assert (position(kite, "NRML")["close_price"], position(kite, "NRML")["m2m"]) == (1510.0, 0.0)
    served.tick(1520)
    kite.place_order(**order(None, product="NRML", quantity=1))
    served.tick(1530)
    kite.place_order(**order(None, product="NRML", quantity=4, transaction_type="SELL"))
    row = position(kite, "NRML")
    assert (row["close_price"], row["last_price"], row["pnl"], row["m2m"]) == (1510.0, 1530.0, 100.0, 70.0)
    assert (row["buy_quantity"], row["buy_price"], row["buy_value"], row["buy_m2m"]) == (4, 1505.0, 6020.0, 6050.0)
    assert (row["day_buy_quantity"], row["day_buy_value"], row["sell_m2m"]) == (1, 1520.0, 6120.0)
    assert (position(kite, "NRML", "day")["quantity"], position(kite, "NRML", "day")["m2m"]) == (-3, 10.0)
    (held,) = kite.holdings()
    assert (held["close_price"], held["day_change"], round(held["day_change_percentage"], 4)) == (1510.0, 20.0, 1.3245)


def test_holdings_that_are_sold_show_as_a_short_position_of_the_day(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(None, product="CNC", quantity=3))
    served.next_day()
    served.tick(1500)
    sold = kite.place_order(**order(None, product="CNC", quantity=2, transaction_type="SELL"))
    assert row_of(kite, sold)["status"] == "COMPLETE"
    assert position(kite, "CNC")["quantity"] == -2
    assert kite.holdings()[0]["used_quantity"] == 2
    short = kite.place_order(**order(None, product="CNC", quantity=2, transaction_type="SELL"))
    assert row_of(kite, short)["status"] == "REJECTED", "only one is left"


def test_trade_ids_begin_anew_each_day(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(None))
    first = [trade["trade_id"] for trade in kite.trades()]
    served.next_day()
    served.tick(1500)
    kite.place_order(**order(None))
    assert [trade["trade_id"] for trade in kite.trades()] == first


def test_a_new_day_can_flush_the_tokens(served: Served, kite: KiteConnect) -> None:
    assert served.next_day() == "2026-01-06"
    assert kite.profile()
    served.next_day(flush_tokens=True)
    with pytest.raises(Exception, match="Incorrect"):
        kite.profile()


LIMIT = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "variety": "regular",
    "product": "CNC",
    "order_type": "LIMIT",
    "quantity": 10,
    "price": 1490.5,
    "trigger_price": 0,
}


def test_order_margins_tell_what_each_order_would_bind(kite: KiteConnect) -> None:
    rows = kite.order_margins([LIMIT, LIMIT | {"product": "MIS", "order_type": "MARKET", "price": 0}])
    assert [row["total"] for row in rows] == [14905.0, 3000.0]
    assert rows[0]["charges"]["total"] == 0


def test_basket_margins_count_what_is_held_if_asked_to(kite: KiteConnect) -> None:
    kite.place_order(**order(None, product="CNC"))
    basket = [LIMIT | {"transaction_type": "SELL"}, LIMIT]
    answer = kite.basket_order_margins(basket)
    assert (answer["initial"]["total"], answer["final"]["total"]) == (29810.0, 14905.0)
    assert kite.basket_order_margins(basket, consider_positions=False)["final"]["total"] == 29810.0
    assert "orders" not in kite.basket_order_margins(basket, mode="compact")


def test_margins_of_nonsense_are_refused(kite: KiteConnect) -> None:
    for basket in ([], ["x"], [LIMIT | {"tradingsymbol": "NOSUCH"}], [LIMIT | {"quantity": 0}]):
        with pytest.raises(InputException):
            kite.order_margins(basket)
    with pytest.raises(InputException, match="Invalid `segment`"):
        kite.margins("bonds")
