"""`place`, and what it prints."""

from decimal import Decimal

import pytest

from tests.durable_orders.conftest import FAR_ABOVE, FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import Program

KEYS = {
    "order_id",
    "client_order_id",
    "account",
    "status",
    "symbol",
    "side",
    "quantity",
    "filled_quantity",
    "average_price",
    "broker_order_id",
    "reasons",
    "created_at",
    "updated_at",
}
LIMIT_BELOW = ("--type", "LIMIT", "--price", FAR_BELOW)


def test_a_market_order_ends_filled_and_is_one_json_object(desk: Program, own_id: str) -> None:
    answer = desk("place", "BUY", SYMBOL, "150", "--id", own_id, "--wait", "--json")
    order = answer.json
    assert (answer.code, answer.err) == (0, "")
    assert order.keys() >= KEYS
    assert (order["order_id"], order["client_order_id"]) == (f"order:paper:{own_id}", own_id)
    assert (order["status"], order["quantity"], order["filled_quantity"]) == ("FILLED", 150, 150)
    assert isinstance(order["average_price"], str)
    assert Decimal(FAR_BELOW) < Decimal(order["average_price"]) < Decimal(FAR_ABOVE)
    assert order["broker_order_id"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(("buy", *LIMIT_BELOW), "PLACED", id="a-limit-below-the-market-rests"),
        pytest.param(("SELL", *LIMIT_BELOW), "FILLED", id="a-limit-through-the-market-fills"),
        pytest.param(("BUY", *LIMIT_BELOW, "--validity", "IOC"), "EXPIRED", id="an-ioc-finds-nobody"),
        pytest.param(("BUY", "--type", "SL-M", "--trigger", FAR_ABOVE), "PLACED", id="a-stop-rests"),
        pytest.param(
            ("SELL", "--type", "sl", "--trigger", FAR_BELOW, "--price", "1"), "PLACED", id="a-stop-limit-rests"
        ),
        pytest.param(("SELL", "--type", "MARKET", "--product", "NRML"), "FILLED", id="another-product-fills"),
    ],
)
def test_every_type_is_printed_as_it_stands_once_accepted(desk: Program, words: tuple[str, ...], status: str) -> None:
    side, *rest = words
    answer = desk.here("place", side, SYMBOL.lower(), LOT, *rest, "--json")
    assert (answer.code, answer.err, answer.json["status"]) == (0, "", status)
    assert answer.json["broker_order_id"]
    assert (answer.json["average_price"] is None) == (status != "FILLED")


def test_without_json_the_order_is_shown_with_its_whole_link(desk: Program, own_id: str) -> None:
    long_id = own_id.ljust(64, "x")
    answer = desk.here("place", "BUY", SYMBOL, LOT, *LIMIT_BELOW, "--id", long_id, "--reason", "a [bold] test")
    lines = dict(line.split("  ", 1) for line in answer.out.splitlines())
    shown = {name: text.strip() for name, text in lines.items()}
    assert answer.code == 0
    assert (shown["status"], shown["id"]) == ("PLACED", long_id)
    assert shown["Temporal UI"].endswith(f"/namespaces/default/workflows/order:paper:{long_id}")
    assert shown["strategy"] == "manual: a [bold] test"


def test_the_same_intent_again_is_the_same_order(desk: Program, own_id: str) -> None:
    words = ("place", "BUY", SYMBOL, LOT, "--type", "LIMIT", "--id", own_id, "--json")
    first = desk.here(*words, "--price", "20000")
    again = desk.here(*words, "--price", "20000.00")
    assert (first.code, again.code) == (0, 0)
    assert again.json == first.json


def test_another_content_under_an_id_is_refused(desk: Program, own_id: str) -> None:
    first = desk.here("place", "BUY", SYMBOL, LOT, *LIMIT_BELOW, "--id", own_id, "--json").json
    other = desk.here("place", "SELL", SYMBOL, LOT, *LIMIT_BELOW, "--id", own_id, "--json")
    assert (other.code, other.out) == (1, "")
    assert f"{own_id} is the id of another order: BUY {LOT} {SYMBOL} LIMIT {FAR_BELOW}" in other.error
    waiting = desk.here("place", "BUY", SYMBOL, LOT, *LIMIT_BELOW, "--id", own_id, "--product", "NRML", "--wait")
    assert (waiting.code, waiting.out) == (1, "")
    assert own_id in waiting.error
    assert desk.here("show", own_id, "--json").json["order"] == first


def test_an_id_is_kept_after_the_end(desk: Program, own_id: str) -> None:
    words = ("place", "BUY", SYMBOL, LOT, "--id", own_id, "--json")
    first = desk.here(*words, "--wait").json
    assert desk.here(*words).json == desk.here(*words, "--wait").json == first
    other = desk.here("place", "BUY", SYMBOL, "150", "--id", own_id)
    assert (other.code, other.out) == (1, "")
    assert f"client_order_id: {own_id} is the id of another order" in other.error


def test_a_rejected_order_is_printed_and_every_reason_is_told(desk: Program, own_id: str) -> None:
    words = ("place", "BUY", SYMBOL, "1801", "--type", "LIMIT", "--price", "24000.01", "--id", own_id)
    answer = desk.here(*words, "--json")
    assert (answer.code, answer.json["status"], answer.json["broker_order_id"]) == (1, "REJECTED", None)
    codes = [reason.split(":")[0] for reason in answer.json["reasons"]]
    assert set(codes) == {"LOT_SIZE", "TICK_SIZE", "MAX_ORDER_QUANTITY", "FREEZE_QUANTITY"}
    assert answer.error == f"{own_id} was rejected: {'; '.join(answer.json['reasons'])}"


def test_an_order_that_may_not_wait_is_not_late(desk: Program, own_id: str) -> None:
    answer = desk.here("place", "BUY", SYMBOL, LOT, "--within", "60", "--id", own_id, "--wait", "--json")
    assert (answer.code, answer.json["status"]) == (0, "FILLED")
