"""`halt`, `resume` and `flag`: at a desk that is up, on an account that the other tests' orders are in, too."""

from collections.abc import Iterator

import pytest

from tests.durable_orders.conftest import FAR_ABOVE, FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import MAX_WAIT, Program

PLACE = ("place", "BUY", SYMBOL, LOT, "--json")


@pytest.fixture
def resting(desk: Program, own_id: str) -> Iterator[str]:
    """The id of an order that rests far below the market. The account is active before and after."""
    assert desk.here("place", "BUY", SYMBOL, LOT, "--type", "LIMIT", "--price", FAR_BELOW, "--id", own_id).code == 0
    yield own_id
    desk.here("flag", "drift", "--clear")
    assert desk.here("resume").code == 0


def test_a_halted_account_takes_no_new_orders_until_it_is_resumed(desk: Program, resting: str) -> None:
    halted = desk("halt", "--reason", "lunch [now]")
    refused, sick, cancelled = desk.here(*PLACE), desk.here("doctor"), desk.here("cancel", resting)
    resumed = desk("resume")
    assert (halted.code, halted.out) == (0, "account paper is halted: lunch [now]\n")
    assert (refused.code, refused.json["reasons"]) == (1, ["HALTED: the account is halted: lunch [now]"])
    assert (sick.code, sick.error) == (1, "not healthy: account")
    assert cancelled.code == 0, "what is working can still be cancelled"
    assert (resumed.code, resumed.out) == (0, "account paper is active\n")
    assert desk.here(*PLACE, "--wait").json["status"] == "FILLED"


def test_halt_cancels_what_is_open_and_says_what_became_of_it(desk: Program, resting: str) -> None:
    answer = desk.here("halt", "--reason", "lunch", "--cancel-open", "--json")
    assert (answer.code, answer.err, answer.json["state"]) == (0, "", "HALTED")
    became = {order["order_id"].split(":")[-1]: order for order in answer.json["flattened"]["cancelled"]}
    assert (became[resting]["status"], became[resting]["words"]) == ("CANCELLED", "cancel requested: lunch")
    assert desk.here("list", "--open", "--json").json == []
    again = desk.here("halt", "--reason", "lunch", "--cancel-open", "--json")
    assert (again.code, again.json["flattened"]["cancelled"]) == (0, []), "a second time there is nothing to do"


def test_halt_closes_every_position_and_halts(desk: Program, resting: str) -> None:
    assert desk.here("place", "BUY", SYMBOL, "150", "--wait").code == 0
    assert desk.here("place", "SELL", SYMBOL, LOT, "--type", "LIMIT", "--price", FAR_ABOVE).code == 0
    answer = desk.here("halt", "--reason", "enough", "--flatten", "--json")
    assert (answer.code, answer.err, answer.json["state"], answer.json["reason"]) == (0, "", "HALTED", "enough")
    flattened = answer.json["flattened"]
    assert {order["status"] for order in flattened["closed"]} == {"FILLED"}
    assert flattened["left"] == []
    assert {line["quantity"] for line in desk.here("positions", "--json").json} == {0}
    said = [line for line in desk.here("events").out.splitlines() if "account_state" in line]
    assert "is HALTED, by " in said[-1]
    assert "enough" in said[-1]


def test_a_flatten_outlives_its_command_and_closes_once(desk: Program, resting: str) -> None:
    """The command is killed, and two more ask for the same at once: the position is closed, and not turned around."""
    assert desk.here("place", "BUY", SYMBOL, "300", "--wait").code == 0
    with desk.started("halt", "--reason", "enough", "--flatten") as killed:
        killed.process.kill()
        killed.process.wait()
    asked = ("halt", "--reason", "enough", "--flatten", "--json")
    with desk.started(*asked) as other:
        answer = desk.here(*asked)
        other.process.wait(MAX_WAIT)
    assert (answer.code, answer.json["state"]) == (0, "HALTED")
    assert {line["quantity"] for line in desk.here("positions", "--json").json} == {0}
    assert desk.here("list", "--open", "--json").json == []


def test_a_flag_is_raised_listed_and_cleared(desk: Program, resting: str) -> None:
    raised = desk.here("flag", "drift", "--reason", "the model sees things", "--by", "ops", "--json").json
    assert (raised["state"], raised["reason"]) == ("REDUCING", "risk flag drift: the model sees things")
    assert [(flag["name"], flag["who"]) for flag in desk.here("flag", "--json").json["flags"]] == [("drift", "ops")]
    assert "risk flag drift" in desk.here(*PLACE).json["reasons"][0]
    assert "risk flag drift is up, ops" in desk.here("resume").out, "a flag is cleared by its own name"
    assert desk.here("flag", "drift", "--clear").out == "account paper is active\n"
    assert desk.here("flag", "drift", "--clear").error == "name: no risk flag drift is up"


def test_what_makes_no_sense_is_said_with_its_name(desk: Program) -> None:
    assert desk.here("halt", "--reason", " ").error == "reason: must say something, in at most 500 characters"
    assert desk.here("flag", "a b", "--reason", "x").error.startswith("name: may have letters")
    assert "either --reason" in desk.here("flag", "drift").error
    assert "the NAME" in desk.here("flag", "--clear").error


def test_flatten_closes_one_symbol_and_the_account_goes_on(desk: Program, resting: str) -> None:
    assert desk.here("place", "BUY", SYMBOL, "150", "--wait").code == 0
    answer = desk("flatten", SYMBOL.lower(), "--json")
    assert (answer.code, answer.err, answer.json["state"], answer.json["left"]) == (0, "", "ACTIVE", [])
    assert [order["filled_quantity"] for order in answer.json["closed"]] == [150]
    assert {line["quantity"] for line in desk.here("positions", "--json").json} == {0}
    again = desk.here("flatten")
    assert (again.code, again.out) == (0, "  nothing was open\n"), "a second time there is nothing to do"
    assert desk.here("flatten", "NSE:TYPO").error == "symbol: nothing of NSE:TYPO is held or open"
