"""GTT as Kite documents it, through the real client: placed, changed, deleted, triggered, refused, and lost."""

from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import DataException, InputException, KiteException, NetworkException

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import FUTURE, INFY, Served, row_of


def leg(price: float, **terms: Any) -> dict[str, Any]:
    usual = {"transaction_type": "SELL", "quantity": 10, "order_type": "LIMIT", "product": "CNC", "price": price}
    return usual | terms


def gtt(*triggers: float, orders: list[dict[str, Any]] | None = None, **terms: Any) -> dict[str, Any]:
    """Parameters of `place_gtt`, of INFY that stands at 1500: to sell 10 at each trigger."""
    usual: dict[str, Any] = {
        "trigger_type": "single" if len(triggers) == 1 else "two-leg",
        "tradingsymbol": "INFY",
        "exchange": "NSE",
        "trigger_values": list(triggers),
        "last_price": 1500,
        "orders": orders if orders is not None else [leg(trigger - 1) for trigger in triggers],
    }
    return usual | terms


def holds(served: Served, quantity: int = 100) -> None:
    served.control("POST", "holdings", symbol=INFY, quantity=quantity, price="1400")


def result_of(kite: KiteConnect, number: int, of: int = 0) -> Any:
    return kite.get_gtt(number)["orders"][of]["result"]


def test_a_gtt_is_shown_as_kite_documents_it(served: Served, kite: KiteConnect) -> None:
    placed = kite.place_gtt(**gtt(1400.0, 1600.0))
    number = placed["trigger_id"]
    (row,) = kite.get_gtts()
    assert row == kite.get_gtt(number)
    assert {key: row[key] for key in ("id", "user_id", "parent_trigger", "type", "status", "created_at")} == {
        "id": number,
        "user_id": "SB0001",
        "parent_trigger": None,
        "type": "two-leg",
        "status": "active",
        "created_at": "2026-01-05 10:00:00",
    }
    assert row["expires_at"] == "2027-01-05 10:00:00"
    assert row["condition"]["trigger_values"] == [1400.0, 1600.0]
    assert row["condition"]["instrument_token"] == 408065
    assert row["orders"][1] == leg(1599.0) | {"exchange": "NSE", "tradingsymbol": "INFY", "result": None}


def test_a_price_that_passes_the_trigger_places_its_order_once(served: Served, kite: KiteConnect) -> None:
    holds(served)
    number = kite.place_gtt(**gtt(1400.0, 1600.0))["trigger_id"]
    served.tick(1590)
    assert kite.orders() == []
    served.tick(1620, 1390)
    (row,) = kite.orders()
    told = kite.get_gtt(number)
    assert (told["status"], told["orders"][0]["result"]) == ("triggered", None)
    result = told["orders"][1]["result"]
    assert result["order_result"] == {"status": "success", "order_id": row["order_id"], "rejection_reason": ""}
    assert (result["triggered_at"], result["validity"]) == (1620, "DAY")
    assert (row["transaction_type"], row["quantity"], row["price"], row["order_type"]) == ("SELL", 10, 1599, "LIMIT")
    assert (row["tag"], row["product"], row["status"]) == (None, "CNC", "COMPLETE")


def test_a_triggered_order_may_be_refused_or_rejected(served: Served, kite: KiteConnect) -> None:
    refused = kite.place_gtt(**gtt(1400.0, orders=[leg(1.0)]))["trigger_id"]
    unheld = kite.place_gtt(**gtt(1410.0))["trigger_id"]
    served.tick(1395)
    told = result_of(kite, refused)["order_result"]
    assert (told["status"], told["order_id"]) == ("failed", "")
    assert "circuit limits" in told["rejection_reason"]
    assert kite.get_gtt(refused)["status"] == "triggered"
    assert row_of(kite, result_of(kite, unheld)["order_result"]["order_id"])["status"] == "REJECTED"


def test_a_change_says_all_of_it_anew_and_a_deleted_one_triggers_nothing(served: Served, kite: KiteConnect) -> None:
    number = kite.place_gtt(**gtt(1400.0))["trigger_id"]
    kite.modify_gtt(trigger_id=number, **gtt(1300.0, orders=[leg(1290.0, quantity=20)]))
    row = kite.get_gtt(number)
    assert (row["condition"]["trigger_values"], row["orders"][0]["quantity"]) == ([1300.0], 20)
    served.tick(1390)
    assert kite.get_gtt(number)["status"] == "active"
    kite.delete_gtt(number)
    served.tick(1290)
    assert (kite.get_gtt(number)["status"], kite.orders()) == ("deleted", [])
    with pytest.raises(InputException, match="The trigger is deleted"):
        kite.delete_gtt(number)
    with pytest.raises(InputException, match="The trigger is deleted"):
        kite.modify_gtt(trigger_id=number, **gtt(1200.0))
    with pytest.raises(InputException, match="Trigger not found"):
        kite.get_gtt(1)


def test_what_has_ended_leaves_the_list_after_a_week_and_is_still_found(served: Served, kite: KiteConnect) -> None:
    number = kite.place_gtt(**gtt(1400.0))["trigger_id"]
    active = kite.place_gtt(**gtt(1300.0))["trigger_id"]
    served.control("POST", f"gtt/{number}/end", status="disabled")
    assert [row["status"] for row in kite.get_gtts()] == ["disabled", "active"]
    served.clock.advance(days=8)
    assert [row["id"] for row in kite.get_gtts()] == [active]
    assert kite.get_gtt(number)["status"] == "disabled"


def test_a_gtt_expires_after_a_year(served: Served, kite: KiteConnect) -> None:
    young = kite.place_gtt(**gtt(1400.0))["trigger_id"]
    served.clock.advance(days=-370)
    old = kite.place_gtt(**gtt(1400.0))["trigger_id"]
    served.clock.advance(days=370)
    served.next_day()
    assert [kite.get_gtt(number)["status"] for number in (young, old)] == ["active", "expired"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (gtt(1499.0), "at least 3.75 away"),
        (gtt(1400.0, last_price=1300), "already met"),
        (gtt(1400.03, orders=[leg(1399.0)]), "multiple of the tick"),
        (gtt(1510.0, 1600.0), "lie between the two"),
        (gtt(1400.0, orders=[leg(1399.0, product="MIS")]), "Product MIS is not allowed"),
        (gtt(1400.0, orders=[leg(1399.0, order_type="MARKET")]), "places LIMIT orders"),
        (gtt(1400.0, orders=[]), "takes 1 of `trigger_values`"),
        (
            gtt(1400.0, 1600.0, orders=[leg(1401.0, transaction_type="BUY"), leg(1601.0, transaction_type="BUY")]),
            "in futures and options only",
        ),
        (gtt(1400.0, tradingsymbol="NOSUCH"), "does not exist"),
    ],
)
def test_what_kite_refuses_leaves_nothing(served: Served, kite: KiteConnect, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InputException, match=words):
        kite.place_gtt(**asked)
    assert kite.get_gtts() == []


def test_there_are_at_most_so_many_active_ones(served: Served, kite: KiteConnect) -> None:
    for _ in range(250):
        number = kite.place_gtt(**gtt(1400.0))["trigger_id"]
    with pytest.raises(InputException, match="at most 250"):
        kite.place_gtt(**gtt(1400.0))
    kite.delete_gtt(number)
    assert kite.place_gtt(**gtt(1400.0))


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("accept_then_drop", requests.ConnectionError),
        ("accept_then_504", DataException),
        ("accept_then_500", NetworkException),
        ("empty_body", DataException),
    ],
)
def test_an_answer_is_lost_and_the_gtt_is_there(
    served: Served, kite: KiteConnect, kind: str, raised: type[BaseException]
) -> None:
    served.fault(kind, routes=["gtt_place"])
    with pytest.raises(raised):
        kite.place_gtt(**gtt(1400.0))
    assert [row["status"] for row in kite.get_gtts()] == ["active"]
    number = kite.get_gtts()[0]["id"]
    served.fault(kind, routes=["gtt_delete"])
    with pytest.raises(raised):
        kite.delete_gtt(number)
    assert kite.get_gtt(number)["status"] == "deleted"


@pytest.mark.parametrize("kind", ["too_many_requests", "service_unavailable", "refuse_connection"])
def test_a_request_that_is_turned_away_leaves_nothing(served: Served, kite: KiteConnect, kind: str) -> None:
    served.fault(kind, routes=["gtt_place"])
    with pytest.raises((KiteException, requests.ConnectionError)):
        kite.place_gtt(**gtt(1400.0))
    assert kite.get_gtts() == []


def test_a_gtt_may_be_shown_late(served: Served, kite: KiteConnect) -> None:
    served.fault("gtt_hidden", seconds=60)
    number = kite.place_gtt(**gtt(1400.0))["trigger_id"]
    assert kite.get_gtts() == []
    served.clock.advance(seconds=61)
    assert [row["id"] for row in kite.get_gtts()] == [number]


def test_gtts_outlive_a_restart(serve: Serve) -> None:
    first = serve()
    first.tick(1500)
    number = first.kite().place_gtt(**gtt(1400.0))["trigger_id"]
    first.stop()
    again = serve()
    again.tick(1500, 1390)
    told = again.kite().get_gtt(number)
    assert told["status"] == "triggered"
    assert told["orders"][0]["result"]["order_result"]["order_id"]


def test_a_future_takes_both_sides_and_not_delivery(served: Served) -> None:
    served.tick(24000, symbol=FUTURE)
    kite = served.kite()
    to_buy = [leg(23000.0, transaction_type="BUY", quantity=75, product="NRML")] * 2
    future: dict[str, Any] = {"exchange": "NFO", "tradingsymbol": FUTURE.partition(":")[2], "last_price": 24000}
    assert kite.place_gtt(**gtt(23000.0, 25000.0, orders=to_buy, **future))
    with pytest.raises(InputException, match="Product CNC is not allowed"):
        kite.place_gtt(**gtt(23000.0, orders=[leg(23000.0, quantity=75)], **future))
    with pytest.raises(InputException, match="lot size"):
        kite.place_gtt(**gtt(23000.0, orders=[leg(23000.0, quantity=10, product="NRML")], **future))
