"""Every kind of fault, as the real client sees it; and what the exchange has really done."""

from collections.abc import Callable
from datetime import timedelta
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
    PermissionException,
    TokenException,
)

from durable_orders.sandbox.faults import FaultRule
from tests.sandbox.conftest import Serve
from tests.sandbox.serving import Served, order, row_of, statuses, until

FINAL = ["COMPLETE", "CANCELLED", "REJECTED"]


def lose_answer(kind: str, raised: type[BaseException], words: str, code: int | None) -> object:
    return pytest.param(kind, raised, words, code, id=kind)


@pytest.mark.parametrize(
    ("kind", "raised", "words", "code"),
    [
        lose_answer("accept_then_drop", requests.ConnectionError, "RemoteDisconnected", None),
        lose_answer("accept_then_504", DataException, "text/html.*504 Gateway", 502),
        lose_answer("accept_then_500", NetworkException, "Gateway timed out", 500),
        lose_answer("empty_body", DataException, "Couldn't parse the JSON", 502),
        lose_answer("no_error_type", TypeError, "attribute name must be string", None),
    ],
)
def test_an_answer_is_lost_and_the_order_is_there(
    served: Served, kite: KiteConnect, kind: str, raised: type[BaseException], words: str, code: int | None
) -> None:
    served.fault(kind)
    with pytest.raises(raised, match=words) as lost:
        kite.place_order(**order(tag="lost"))
    assert getattr(lost.value, "code", None) == code
    assert [row["tag"] for row in kite.orders()] == ["lost"]
    tally = served.tally()
    assert (list(tally["accepted"]), tally["faults"]) == (["lost"], {kind: 1})
    assert kite.place_order(**order()), "only the next one was struck"


def test_an_answer_comes_after_the_clients_timeout(served: Served) -> None:
    kite = served.kite(timeout=0.3)
    served.fault("accept_then_late", seconds=3600)
    with pytest.raises(requests.ReadTimeout):
        kite.place_order(**order(tag="late"))
    patient = served.kite()
    until(patient.orders)
    assert [row["tag"] for row in patient.orders()] == ["late"]


def test_an_answer_leads_elsewhere_and_the_client_takes_that_for_the_answer(served: Served, kite: KiteConnect) -> None:
    served.fault("redirected")
    assert kite.place_order(**order(tag="lost")) == "elsewhere"
    assert [row["tag"] for row in kite.orders()] == ["lost"]
    served.fault("redirected", routes=["order_book"])
    assert kite.orders() == []


def test_an_answer_leads_nowhere_and_the_order_is_there(served: Served, kite: KiteConnect) -> None:
    served.fault("redirected_nowhere")
    with pytest.raises(requests.ConnectionError, match="Connection refused"):
        kite.place_order(**order(tag="lost"))
    assert [row["tag"] for row in kite.orders()] == ["lost"]


def test_an_answer_drips_below_the_clients_timeout(served: Served) -> None:
    kite = served.kite(timeout=5)
    served.fault("dripping", seconds=0.001)
    placed = kite.place_order(**order())
    assert row_of(kite, placed)["status"] == "OPEN"


def test_an_answer_that_is_late_within_the_timeout_is_an_answer(served: Served, kite: KiteConnect) -> None:
    served.fault("accept_then_late", seconds=0.01)
    assert row_of(kite, kite.place_order(**order()))["status"] == "OPEN"


def test_a_success_with_status_500_is_a_success_to_the_client(served: Served, kite: KiteConnect) -> None:
    served.fault("success_with_500")
    placed = kite.place_order(**order())
    assert row_of(kite, placed)["status"] == "OPEN"
    assert served.tally()["requests"]["place"] == {"500": 1}


@pytest.mark.parametrize(
    ("kind", "raised", "words", "code"),
    [
        lose_answer("refuse_connection", requests.ConnectionError, "Connection aborted", None),
        lose_answer("too_many_requests", NetworkException, "Too many requests", 429),
        lose_answer("service_unavailable", NetworkException, "Request failed", 503),
        lose_answer("refused", PermissionException, "is not allowed to place orders for this app", 403),
    ],
)
def test_a_request_is_turned_away_and_nothing_is_done(
    served: Served, kite: KiteConnect, kind: str, raised: type[BaseException], words: str, code: int | None
) -> None:
    served.fault(kind)
    with pytest.raises(raised, match=words) as refused:
        kite.place_order(**order())
    assert getattr(refused.value, "code", None) == code
    assert kite.orders() == []
    assert served.tally()["accepted"] == {}


def test_the_tally_tells_dropped_connections_from_answers(served: Served, kite: KiteConnect) -> None:
    for kind in ("refuse_connection", "accept_then_drop"):
        served.fault(kind)
        with pytest.raises(requests.ConnectionError):
            kite.place_order(**order())
    assert served.tally()["requests"]["place"] == {"dropped": 2}


def test_changes_and_cancels_lose_their_answers_too(served: Served, kite: KiteConnect) -> None:
    placed = kite.place_order(**order())
    served.fault("accept_then_drop")
    with pytest.raises(requests.ConnectionError):
        kite.modify_order("regular", placed, price=1480.0)
    served.fault("accept_then_500", routes=["cancel"])
    assert kite.modify_order("regular", placed, price=1470.0), "the rule names the route"
    with pytest.raises(NetworkException):
        kite.cancel_order("regular", placed)
    row = row_of(kite, placed)
    assert (row["price"], row["status"]) == (1470.0, "CANCELLED")


def test_a_rule_can_strike_a_reading(served: Served, kite: KiteConnect) -> None:
    served.fault("accept_then_504", routes=["positions"])
    assert kite.orders() == []
    with pytest.raises(DataException):
        kite.positions()


def test_a_request_that_is_refused_anyway_spends_no_fault(served: Served, kite: KiteConnect) -> None:
    served.fault("accept_then_drop")
    with pytest.raises(InputException):
        kite.place_order(**order(tag="x" * 21))
    with pytest.raises(requests.ConnectionError):
        kite.place_order(**order())


def test_a_token_is_flushed_in_mid_session(served: Served, kite: KiteConnect) -> None:
    served.fault("token_flushed", routes=["place"])
    with pytest.raises(TokenException, match="Incorrect `api_key` or `access_token`"):
        kite.place_order(**order())
    with pytest.raises(TokenException):
        kite.orders()
    assert served.kite().orders() == [], "a new login sees that nothing was placed"


Reading = Callable[[KiteConnect, str], object]
READINGS: list[Reading] = [
    lambda kite, _: kite.orders(),
    lambda kite, placed: kite.order_history(placed),
    lambda kite, _: kite.trades(),
    lambda kite, placed: kite.order_trades(placed),
]


def test_the_book_cannot_be_read(served: Served, kite: KiteConnect) -> None:
    placed = kite.place_order(**order())
    for reading in READINGS:
        served.fault("book_unreadable")
        with pytest.raises(DataException, match="was not understood") as unreadable:
            reading(kite, placed)
        assert unreadable.value.code == 502
        reading(kite, placed)


def test_the_book_is_stale(served: Served, kite: KiteConnect) -> None:
    old = kite.place_order(**order(1490.0, quantity=10))
    served.clock.advance(seconds=3)
    served.control("POST", f"orders/{old}/fill", quantity=4, price="1490")
    served.clock.advance(seconds=3)
    served.tick(1490)
    new = kite.place_order(**order(None))
    served.clock.advance(seconds=1)
    served.fault("book_stale", count=3, seconds=2)
    assert [(row["order_id"], row["status"], row["filled_quantity"]) for row in kite.orders()] == [(old, "OPEN", 4)]
    assert [trade["quantity"] for trade in kite.trades()] == [4]
    with pytest.raises(GeneralException, match="Couldn't find"):
        kite.order_history(new)
    assert [row["status"] for row in kite.orders()] == ["COMPLETE", "COMPLETE"]
    assert [trade["quantity"] for trade in kite.trades()] == [4, 6, 10]


def test_an_order_is_visible_only_after_some_seconds(served: Served, kite: KiteConnect) -> None:
    served.fault("order_hidden", seconds=4)
    placed = kite.place_order(**order(None))
    assert (kite.orders(), kite.trades()) == ([], [])
    for reading in (kite.order_history, kite.order_trades, lambda order_id: kite.cancel_order("regular", order_id)):
        with pytest.raises(GeneralException, match="Couldn't find that `order_id`"):
            reading(placed)
    assert kite.positions()["net"][0]["quantity"] == 10, "it is traded all the same"
    served.clock.advance(seconds=4)
    assert row_of(kite, placed)["status"] == "COMPLETE"
    assert len(kite.trades()) == 1


def test_an_order_is_stuck_in_open_pending(served: Served, kite: KiteConnect) -> None:
    served.fault("stuck_open_pending")
    placed = kite.place_order(**order(None))
    served.clock.advance(hours=2)
    served.tick(1500)
    assert row_of(kite, placed)["status"] == "OPEN PENDING"
    with pytest.raises(InputException, match="being processed"):
        kite.cancel_order("regular", placed)
    with pytest.raises(InputException, match="being processed"):
        kite.modify_order("regular", placed, quantity=1)
    served.control("POST", f"orders/{placed}/release")
    assert row_of(kite, placed)["status"] == "COMPLETE"


def test_an_order_is_stuck_for_some_seconds(served: Served, kite: KiteConnect) -> None:
    served.fault("stuck_open_pending", seconds=30)
    placed = kite.place_order(**order())
    served.clock.advance(seconds=30)
    until(lambda: row_of(kite, placed)["status"] == "OPEN")


def test_an_order_is_rejected_after_its_receipt(served: Served, kite: KiteConnect) -> None:
    served.fault("rejected_later", message="16387 : Security is not allowed to trade in this market")
    placed = kite.place_order(**order(None))
    row = row_of(kite, placed)
    assert (row["status"], row["status_message"][:7]) == ("REJECTED", "16387 :")


def test_an_order_is_filled_while_its_cancel_is_on_the_way(served: Served, kite: KiteConnect) -> None:
    served.fault("fill_during_cancel")
    placed = kite.place_order(**order(1490.0))
    assert kite.cancel_order("regular", placed) == placed
    row = row_of(kite, placed)
    assert (row["status"], row["filled_quantity"], row["average_price"]) == ("COMPLETE", 10, 1490.0)


def test_a_part_is_filled_before_the_cancel(served: Served, kite: KiteConnect) -> None:
    served.fault("partial_then_cancel")
    placed = kite.place_order(**order(1490.0))
    kite.cancel_order("regular", placed)
    row = row_of(kite, placed)
    assert (row["status"], row["filled_quantity"]) == ("CANCELLED", 5)
    assert statuses(kite, placed)[-4:] == ["OPEN", "OPEN", "CANCEL PENDING", "CANCELLED"]
    assert [trade["quantity"] for trade in kite.order_trades(placed)] == [5]


def test_a_cancel_that_comes_too_late_spends_no_fault(served: Served, kite: KiteConnect) -> None:
    served.fault("fill_during_cancel")
    done = kite.place_order(**order(None))
    with pytest.raises(InputException, match="being processed"):
        kite.cancel_order("regular", done)
    placed = kite.place_order(**order())
    kite.cancel_order("regular", placed)
    assert row_of(kite, placed)["status"] == "COMPLETE"


def test_an_order_appears_that_nobody_here_placed(served: Served, kite: KiteConnect) -> None:
    served.fault("foreign_order")
    placed = kite.place_order(**order(1490.0, tag="mine"))
    foreign, own = kite.orders()
    assert (own["order_id"], own["tag"]) == (placed, "mine")
    assert (foreign["placed_by"], foreign["tag"], foreign["quantity"]) == ("RMS", None, 1)
    tally = served.tally()
    assert (tally["foreign"], tally["accepted"]) == ([foreign["order_id"]], {"mine": [placed]})


def test_faults_can_be_armed_by_the_settings(serve: Serve) -> None:
    served = serve(faults=(FaultRule(kind="too_many_requests", count=2),))
    kite = served.kite()
    for _ in range(2):
        with pytest.raises(NetworkException):
            kite.place_order(**order())
    assert kite.place_order(**order())


def test_faults_can_be_disarmed_one_by_one_and_together(served: Served, kite: KiteConnect) -> None:
    for kind in ("accept_then_drop", "too_many_requests", "service_unavailable"):
        served.fault(kind, probability=1)
    served.control("DELETE", "faults/too_many_requests")
    with pytest.raises(NetworkException, match="Request failed"):
        kite.place_order(**order())
    armed = served.control("DELETE", "faults")["armed"]
    assert (armed, bool(kite.place_order(**order()))) == ([], True)


def test_faults_strike_together(served: Served, kite: KiteConnect) -> None:
    """The order is stuck, hidden, and its answer is lost."""
    for kind in ("stuck_open_pending", "order_hidden", "accept_then_drop"):
        served.fault(kind)
    with pytest.raises(requests.ConnectionError):
        kite.place_order(**order(tag="t"))
    assert kite.orders() == []
    served.clock.advance(seconds=5)
    (row,) = kite.orders()
    assert (row["tag"], row["status"]) == ("t", "OPEN PENDING")
    assert timedelta(0) <= served.clock.now.replace(tzinfo=None) - row["order_timestamp"] <= timedelta(seconds=5)


def test_a_control_request_that_makes_no_sense_arms_nothing(served: Served) -> None:
    rules: list[Any] = [{}, {"kind": "nosuch", "next": True}, {"kind": "accept_then_drop"}]
    for rule in rules:
        answer = requests.post(f"{served.sandbox.control}/faults", json=rule, timeout=60)
        assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")
    assert requests.delete(f"{served.sandbox.control}/faults/nosuch", timeout=60).status_code == 400
    assert served.control("GET", "faults")["armed"] == []


def test_a_failing_client_call_is_always_a_known_exception(served: Served, kite: KiteConnect) -> None:
    """What the adapter must be able to tell apart, all in one place."""
    seen = set()
    for kind in ("accept_then_504", "accept_then_500", "empty_body", "service_unavailable", "refused"):
        served.fault(kind)
        with pytest.raises(KiteException) as failed:
            kite.place_order(**order())
        seen.add((type(failed.value).__name__, failed.value.code))
    assert seen == {
        ("DataException", 502),
        ("NetworkException", 500),
        ("NetworkException", 503),
        ("PermissionException", 403),
    }
