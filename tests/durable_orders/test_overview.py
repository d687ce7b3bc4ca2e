"""The account at a glance, what an order waits for, and stopping what is up."""

import signal
from pathlib import Path

import pytest

from tests.durable_orders.conftest import FAR_BELOW, LOT, SPEED, SYMBOL
from tests.durable_orders.program import MAX_WAIT, OWN_PORTS, Program, once_started

RESTING = ("BUY", SYMBOL, LOT, "--type", "LIMIT", "--price", FAR_BELOW)


def test_status_shows_what_runs_and_what_is_open(desk: Program, own_id: str) -> None:
    assert desk.here("place", "BUY", SYMBOL, LOT, "--wait").code == 0
    assert desk.here("place", *RESTING, "--id", own_id).code == 0
    found = desk.here("status", "--json").json
    assert (found["account"], found["mode"], found["state"], found["workers"]) == ("paper", "paper", "ACTIVE", 1)
    assert own_id in [order["client_order_id"] for order in found["open_orders"]]
    assert {line["symbol"] for line in found["positions"]} == {SYMBOL}
    words = desk.here("status").out
    assert f"up, process {found['up']}" in words
    assert own_id in words
    assert desk.here("cancel", own_id).code == 0


def test_status_of_what_is_not_up_is_by_the_ledger(tmp_path: Path) -> None:
    answer = once_started(tmp_path).here("status")
    assert answer.code == 0
    assert "not up" in answer.out
    assert f"`durable-orders up --home {tmp_path}` starts it" in answer.out
    assert "flat, by the ledger" in answer.out


@pytest.mark.parametrize("wait", [(), ("--wait",)])
def test_an_order_that_no_price_can_fill_says_what_is_missing(desk: Program, own_id: str, wait: tuple[str]) -> None:
    with desk.started("place", "BUY", "NSE:INFY", "10", "--id", own_id, *wait) as running:
        said = running.error_line("no price of NSE:INFY has come")
        assert said.endswith(f"this market's ticks are of {SYMBOL}")
        assert desk.here("cancel", own_id).code == 0
        running.process.wait(MAX_WAIT)


def test_stop_ends_what_is_up_as_ctrl_c_does(tmp_path: Path) -> None:
    program = Program(tmp_path / "home")
    with program.started("up", *OWN_PORTS, "--speed", SPEED) as running:
        running.line("Ctrl-C stops it")
        assert program.here("place", *RESTING, "--id", "stays").code == 0
        assert program.here("stop").out == "Stopped.\n"
        ended = running.stop(signal.SIGTERM)
    assert (ended.code, ended.out) == (0, "Stopped.\n")
    again = program.here("stop")
    assert (again.code, again.error) == (1, f"home {program.home}: nothing is up")
    assert [order["client_order_id"] for order in program.here("status", "--json").json["open_orders"]] == ["stays"]
