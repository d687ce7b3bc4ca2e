"""What happens to positions and holdings without an order of the app, through the real client."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import DataException, InputException, NetworkException

from durable_orders.trading.market.shipped import shipped_instruments
from tests.sandbox.conftest import Serve
from tests.sandbox.serving import FUTURE, Clock, Served, order, row_of
from tests.sandbox.test_portfolio import position

LONG: dict[str, Any] = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "position_type": "day"}


def products(kite: KiteConnect) -> dict[str, int]:
    return {row["product"]: row["quantity"] for row in kite.positions()["net"]}


def test_a_position_is_converted_whole_or_in_part_without_an_order(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(None))
    assert kite.convert_position(**LONG, quantity=4, old_product="MIS", new_product="CNC") is True
    assert products(kite) == {"MIS": 6, "CNC": 4}
    assert position(kite, "CNC")["average_price"] == 1500.0
    assert (position(kite, "MIS")["buy_quantity"], position(kite, "CNC")["buy_quantity"]) == (6, 4)
    assert len(kite.orders()) == 1
    kite.convert_position(**LONG, quantity=6, old_product="MIS", new_product="CNC")
    assert products(kite) == {"CNC": 10}
    assert served.next_day()
    assert [(row["tradingsymbol"], row["quantity"]) for row in kite.holdings()] == [("INFY", 10)]


@pytest.mark.parametrize(
    "terms",
    [
        {"quantity": 11, "old_product": "MIS", "new_product": "CNC"},
        {"quantity": 5, "old_product": "NRML", "new_product": "MIS"},
        {"quantity": 5, "old_product": "MIS", "new_product": "MIS"},
        {"quantity": 0, "old_product": "MIS", "new_product": "CNC"},
        {"quantity": 5, "old_product": "MIS", "new_product": "CNC", "transaction_type": "SELL"},
        {"quantity": 5, "old_product": "MIS", "new_product": "XYZ"},
        {"quantity": 5, "old_product": "MIS", "new_product": "CNC", "position_type": "noon"},
    ],
)
def test_what_is_not_there_is_not_converted(kite: KiteConnect, terms: dict[str, Any]) -> None:
    kite.place_order(**order(None))
    with pytest.raises(InputException):
        kite.convert_position(**LONG | terms)
    assert products(kite) == {"MIS": 10}


def test_rms_squares_off_what_is_intraday_and_nothing_else(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(None))
    kite.place_order(**order(None, product="CNC", quantity=3))
    resting = kite.place_order(**order(1400.0))
    (closing,) = served.control("POST", "square-off")["order_ids"]
    assert products(kite) == {"MIS": 0, "CNC": 3}
    assert row_of(kite, resting)["status"] == "CANCELLED"
    own = row_of(kite, closing)
    assert (own["tag"], own["placed_by"], own["transaction_type"]) == (None, "RMS", "SELL")


def test_an_expired_contract_is_settled_in_cash(served: Served, kite: KiteConnect) -> None:
    served.tick(24000, symbol=FUTURE)
    future = {"exchange": "NFO", "tradingsymbol": FUTURE.removeprefix("NFO:"), "product": "NRML", "quantity": 75}
    kite.place_order(**order(None, **future))
    served.control("POST", "settlements", symbol=FUTURE, price="24100")
    row = position(kite, "NRML")
    assert (row["quantity"], row["realised"]) == (0, 7500.0)
    assert len(kite.orders()) == 1
    served.next_day()
    assert kite.positions()["net"] == []


def test_a_split_makes_more_shares_of_the_same_cost(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(None, product="CNC"))
    served.next_day()
    served.control("POST", "splits", symbol="NSE:INFY", old=1, new=5)
    (held,) = kite.holdings()
    assert (held["quantity"], held["average_price"]) == (50, 300.0)
    served.next_day()
    (held,) = kite.holdings()
    assert (held["quantity"], held["average_price"]) == (50, 300.0)


def test_what_was_moved_outlives_a_restart(serve: Serve, served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(None))
    kite.convert_position(**LONG, quantity=4, old_product="MIS", new_product="NRML")
    served.stop()
    again = serve()
    again.tick(1500)
    assert products(again.kite()) == {"MIS": 6, "NRML": 4}


def test_holdings_are_sold_as_far_as_they_are_free_and_authorised(serve: Serve) -> None:
    served = serve(ddpi=False)
    served.tick(1500)
    kite = served.kite()
    served.control("POST", "holdings", symbol="NSE:INFY", quantity=10, price="1400", t1=2, pledged=3)
    (held,) = kite.holdings()
    assert (held["quantity"], held["t1_quantity"], held["collateral_quantity"], held["opening_quantity"]) == (
        8,
        2,
        3,
        10,
    )
    sale = order(None, product="CNC", quantity=4, transaction_type="SELL")
    refused = row_of(kite, kite.place_order(**sale))
    assert (refused["status"], "TPIN" in refused["status_message"]) == ("REJECTED", True)
    served.control("POST", "authorisations", symbol="NSE:INFY", quantity=5)
    assert kite.holdings()[0]["authorised_quantity"] == 5
    assert row_of(kite, kite.place_order(**sale))["status"] == "COMPLETE"
    assert row_of(kite, kite.place_order(**sale))["status"] == "REJECTED", "one is left of those that are authorised"


def test_rows_of_products_that_the_app_cannot_order(served: Served, kite: KiteConnect) -> None:
    served.control("POST", "positions", symbol="NSE:INFY", product="CO", quantity=-25, price="1510")
    row = position(kite, "CO")
    assert (row["quantity"], row["average_price"], row["value"]) == (-25, 1510.0, 37750.0)
    served.control("POST", "positions", symbol="NSE:INFY", product="CO", quantity=0, price="1510")
    assert position(kite, "CO")["quantity"] == 0
    served.next_day()
    assert kite.positions()["net"] == []


def test_nonsense_is_refused_in_one_line(served: Served) -> None:
    for path, body in (
        ("splits", {"symbol": "NSE:INFY", "old": 1, "new": 5}),
        ("settlements", {"symbol": "NSE:INFY", "price": "-1"}),
        ("holdings", {"symbol": "NSE:INFY", "quantity": 5, "price": "1", "t1": 3, "pledged": 3}),
        ("authorisations", {"symbol": "NSE:INFY", "quantity": 5}),
        ("positions", {"symbol": "NSE:INFY", "product": "MIS", "quantity": 5, "price": "1"}),
    ):
        with pytest.raises(AssertionError, match="InputException"):
            served.control("POST", path, **body)


def test_readings_of_the_portfolio_can_fail(served: Served, kite: KiteConnect) -> None:
    served.fault("book_unreadable", routes=["positions"])
    with pytest.raises(DataException):
        kite.positions()
    for route, call in (("positions", kite.positions), ("holdings", kite.holdings)):
        served.fault("service_unavailable", routes=[route])
        with pytest.raises(NetworkException):
            call()
        call()
    kite.place_order(**order(None))
    served.fault("accept_then_drop", routes=["convert"])
    with pytest.raises(requests.ConnectionError):
        kite.convert_position(**LONG, quantity=4, old_product="MIS", new_product="CNC")
    assert products(kite) == {"MIS": 6, "CNC": 4}, "it was done, and nobody was told"


def test_a_market_order_rests_at_its_protection_when_the_price_has_moved(served: Served, kite: KiteConnect) -> None:
    served.fault("market_rests")
    resting = row_of(kite, kite.place_order(**order(None, transaction_type="SELL")))
    assert (resting["status"], resting["order_type"], resting["price"]) == ("OPEN", "LIMIT", 1545.0)
    kite.modify_order("regular", resting["order_id"], price=1490, order_type="LIMIT")
    assert row_of(kite, resting["order_id"])["status"] == "COMPLETE"
    assert row_of(kite, kite.place_order(**order(None)))["status"] == "COMPLETE", "the next one is taken as ever"


def test_a_market_order_is_refused_where_the_broker_wants_a_limit(served: Served, kite: KiteConnect) -> None:
    served.fault("market_refused")
    kite.place_order(**order(1490.0))
    with pytest.raises(InputException, match="limit order"):
        kite.place_order(**order(None))


def test_market_is_refused_deep_in_an_index_option(serve: Serve) -> None:
    option = "NFO:NIFTY25MAY24400CE"
    served = serve(market_within=5)
    kite = served.kite()
    served.tick(300, symbol=option)
    asked = {"exchange": "NFO", "tradingsymbol": option.removeprefix("NFO:"), "product": "NRML", "quantity": 75}
    served.tick(24000, symbol="NSE:NIFTY 50")
    assert kite.place_order(**order(None, **asked))
    served.tick(26000, symbol="NSE:NIFTY 50")
    with pytest.raises(InputException, match="limit order around the theoretical price"):
        kite.place_order(**order(None, **asked))
    assert kite.place_order(**order(300.0, **asked))


def test_what_is_held_of_a_contract_ends_with_its_last_session(serve: Serve, clock: Clock, tmp_path: Path) -> None:
    """An index future by the index's last price, a share's at its own; the next month goes on. No order tells of it."""
    monday = clock.now.date()
    expiring = f"0,{monday},0,0.05"
    rows = [f"901,1,NIFTY26JANFUT,NIFTY,{expiring},65,FUT,NFO-FUT,NFO"]
    rows += [f"902,2,RELIANCE26JANFUT,RELIANCE,{expiring},500,FUT,NFO-FUT,NFO"]
    rows += [f"903,3,NIFTY26FEBFUT,NIFTY,0,{monday + timedelta(days=28)},0,0.05,65,FUT,NFO-FUT,NFO"]
    master = tmp_path / "master.csv"
    master.write_text(shipped_instruments().read_text() + "\n".join(rows) + "\n")
    served = serve(calendar="XNSE", instruments=master)
    kite = served.kite()
    held = {"NIFTY26JANFUT": (65, 26000), "RELIANCE26JANFUT": (500, 1400), "NIFTY26FEBFUT": (65, 26100)}
    for name, (quantity, price) in held.items():
        served.tick(price, symbol=f"NFO:{name}")
        terms = {"exchange": "NFO", "tradingsymbol": name, "product": "NRML", "quantity": quantity}
        kite.place_order(**order(float(price), **terms))
    served.tick("1401", symbol="NFO:RELIANCE26JANFUT")
    served.tick("26012.35", symbol="NSE:NIFTY 50")
    served.control("POST", "close-session")

    def shown() -> dict[str, tuple[int, float]]:
        return {row["tradingsymbol"]: (row["quantity"], row["realised"]) for row in kite.positions()["net"]}

    ended = {"NIFTY26JANFUT": (0, 802.75), "RELIANCE26JANFUT": (0, 500.0), "NIFTY26FEBFUT": (65, 0.0)}
    assert shown() == ended
    assert len(kite.orders()) == len(held)
    served.next_day()
    assert shown() == {"NIFTY26FEBFUT": (65, 0.0)}
    with pytest.raises(InputException, match="EXPIRED_CONTRACT: NFO:NIFTY26JANFUT expired on 05 Jan 2026"):
        kite.place_order(**order(26000.0, exchange="NFO", tradingsymbol="NIFTY26JANFUT", product="NRML", quantity=65))


def test_a_contract_whose_last_close_nobody_saw_is_settled_before_the_next_session(
    serve: Serve, clock: Clock, tmp_path: Path
) -> None:
    """The sandbox was down, and its prices are those of its database."""
    row = f"901,1,NIFTY26JANFUT,NIFTY,0,{clock.now.date()},0,0.05,65,FUT,NFO-FUT,NFO\n"
    master = tmp_path / "master.csv"
    master.write_text(shipped_instruments().read_text() + row)
    settings: dict[str, Any] = {"calendar": "XNSE", "instruments": master}
    served = serve(**settings)
    served.tick(26000, symbol="NFO:NIFTY26JANFUT")
    terms: dict[str, Any] = {"exchange": "NFO", "tradingsymbol": "NIFTY26JANFUT", "product": "NRML", "quantity": 65}
    served.kite().place_order(**order(26000.0, **terms))
    served.stop()
    clock.advance(days=1)
    assert serve(**settings).kite().positions()["net"] == []
