"""Postbacks, to a server of the test's own."""

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import MAX_WAIT, Served, order, until

KEYS = {
    *("user_id", "unfilled_quantity", "app_id", "checksum", "placed_by", "order_id", "exchange_order_id"),
    *("parent_order_id", "status", "status_message", "status_message_raw", "order_timestamp"),
    *("exchange_update_timestamp", "exchange_timestamp", "variety", "exchange", "tradingsymbol", "instrument_token"),
    *("order_type", "transaction_type", "validity", "product", "quantity", "disclosed_quantity", "price"),
    *("trigger_price", "average_price", "filled_quantity", "pending_quantity", "cancelled_quantity"),
    *("market_protection", "meta", "tag", "guid"),
}


class Receiver:
    """The app's endpoint. Answers with `status`, and remembers what came."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/postback"

    def of(self, order_id: str) -> list[str]:
        """The statuses told of an order. Postbacks may overtake each other, so they are sorted."""
        return sorted(body["status"] for body in list(self.bodies) if body["order_id"] == order_id)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(MAX_WAIT)
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def posting(serve: Serve, receiver: Receiver) -> Served:
    served = serve(postback_url=receiver.url)
    served.tick(1500)
    return served


def test_changes_and_ends_are_posted_with_a_checksum_and_openings_are_not(posting: Served, receiver: Receiver) -> None:
    kite = posting.kite()
    placed = kite.place_order(**order(1490.0, tag="t1"))
    posting.clock.advance(seconds=1)
    kite.modify_order("regular", placed, quantity=20)
    posting.control("POST", f"orders/{placed}/fill", quantity=4, price="1490")
    kite.cancel_order("regular", placed)
    filled = kite.place_order(**order(None))
    until(lambda: receiver.of(placed) == ["CANCELLED", "UPDATE", "UPDATE"] and receiver.of(filled) == ["COMPLETE"])
    for body in receiver.bodies:
        assert body.keys() == KEYS
        text = body["order_id"] + body["order_timestamp"] + "sandboxsecret"
        assert body["checksum"] == sha256(text.encode()).hexdigest()
    (last,) = [body for body in receiver.bodies if body["status"] == "CANCELLED"]
    assert (last["tag"], last["filled_quantity"], last["user_id"]) == ("t1", 4, "SB0001")
    assert last["order_timestamp"] == "2026-01-05 10:00:01"


def test_only_orders_of_the_app_are_posted(posting: Served, receiver: Receiver) -> None:
    terms = {"symbol": "NSE:INFY", "side": "BUY", "quantity": 1, "order_type": "MARKET"}
    foreign = posting.control("POST", "orders", **terms)["order_id"]
    own = posting.kite().place_order(**order(None))
    until(lambda: receiver.of(own) == ["COMPLETE"])
    assert receiver.of(foreign) == []


def test_postbacks_are_lost_and_doubled_like_other_updates(posting: Served, receiver: Receiver) -> None:
    kite = posting.kite()
    placed = [kite.place_order(**order(1400.0)) for _ in range(3)]
    posting.fault("updates_lost")
    kite.cancel_order("regular", placed[0])
    posting.fault("updates_doubled")
    kite.cancel_order("regular", placed[1])
    kite.cancel_order("regular", placed[2])
    until(lambda: receiver.of(placed[1]) == ["CANCELLED"] * 2 and receiver.of(placed[2]) == ["CANCELLED"])
    assert receiver.of(placed[0]) == []


def test_a_receiver_that_fails_is_not_asked_again_and_harms_no_order(posting: Served, receiver: Receiver) -> None:
    receiver.status = 500
    kite = posting.kite()
    first = kite.place_order(**order(None))
    until(lambda: receiver.of(first) == ["COMPLETE"])
    second = kite.place_order(**order(None))
    until(lambda: receiver.of(second) == ["COMPLETE"])
    assert receiver.of(first) == ["COMPLETE"]


def test_a_receiver_that_is_not_there_harms_no_order(serve: Serve) -> None:
    served = serve(postback_url="http://127.0.0.1:9/postback")
    served.tick(1500)
    kite = served.kite()
    assert [kite.place_order(**order(None)) for _ in range(2)] == [row["order_id"] for row in kite.orders()]
