"""`cancel` and `amend`, and a cancel through the `temporal` program."""

import json
import subprocess
from decimal import Decimal

import pytest

from durable_orders.workers.home import Home
from durable_orders.workers.server import temporal_program
from tests.durable_orders.conftest import FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import MAX_WAIT, Program


@pytest.fixture
def resting(desk: Program, own_id: str) -> str:
    """The id of an order that rests far below the market."""
    assert desk.here("place", "BUY", SYMBOL, LOT, "--type", "LIMIT", "--price", FAR_BELOW, "--id", own_id).code == 0
    return own_id


def test_a_cancel_waits_for_the_proved_end(desk: Program, resting: str) -> None:
    answer = desk("cancel", resting, "--reason", "changed my mind", "--json")
    assert (answer.code, answer.err, answer.json["status"]) == (0, "", "CANCELLED")
    assert answer.json["reasons"] == ["cancel requested: changed my mind"]
    assert desk.here("cancel", f"order:paper:{resting}", "--json").json == answer.json, (
        "cancelled already: nothing to do"
    )


def test_a_filled_order_cannot_be_cancelled(desk: Program, own_id: str) -> None:
    filled = desk.here("place", "SELL", SYMBOL, LOT, "--id", own_id, "--wait", "--json").json
    answer = desk.here("cancel", own_id, "--json")
    assert (answer.code, answer.json) == (1, filled)
    assert answer.error == f"{own_id} was not cancelled: it is FILLED"
    assert "it has ended: FILLED" in desk.here("amend", own_id, "--quantity", "150").error


def test_an_amendment_changes_the_working_order(desk: Program, resting: str) -> None:
    answer = desk("amend", resting, "--price", "20010.5", "--quantity", "150", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert (Decimal(answer.json["price"]), answer.json["quantity"]) == (Decimal("20010.5"), 150)
    stop = desk.here("amend", resting, "--type", "SL", "--trigger", "29990", "--price", "30000", "--json").json
    assert (stop["order_type"], Decimal(stop["trigger_price"]), stop["status"]) == ("SL", Decimal(29990), "PLACED")
    filled = desk.here("amend", resting, "--type", "MARKET", "--json").json
    assert (filled["status"], filled["filled_quantity"]) == ("FILLED", 150)


def test_an_amendment_that_does_not_pass_the_checks_changes_nothing(desk: Program, resting: str) -> None:
    before = desk.here("show", resting, "--json").json["order"]
    answer = desk.here("amend", resting, "--price", "20010.51", "--quantity", "76", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "multiple of the lot of 75, was 76" in answer.error
    assert "multiples of the tick of 0.05; price was 20010.51" in answer.error
    assert desk.here("show", resting, "--json").json["order"] == before


def test_the_temporal_program_cancels_an_order(desk: Program, resting: str) -> None:
    address = Home(desk.home).address()
    assert address is not None
    line = [temporal_program(), "workflow", "signal", "--address", address.target]
    line += ["--workflow-id", f"order:paper:{resting}", "--name", "cancel", "--input", json.dumps("from outside")]
    subprocess.run(line, check=True, capture_output=True, timeout=MAX_WAIT)
    order = desk.here("cancel", resting, "--json").json
    assert (order["status"], order["reasons"]) == ("CANCELLED", ["cancel requested: from outside"])
