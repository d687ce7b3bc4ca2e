"""`show`, `list`, `events`, `positions` and `doctor`."""

import json
import re
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from tests.durable_orders.conftest import FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import Program, once_started

LIMIT_BELOW = ("--type", "LIMIT", "--price", FAR_BELOW)


@pytest.fixture(scope="module")
def book(desk: Program) -> dict[str, str]:
    """The status of each order of the strategy `book`, by its client order id."""
    orders = {
        "book-rests": ("place", "BUY", SYMBOL, LOT, *LIMIT_BELOW),
        "book-filled": ("place", "BUY", SYMBOL, LOT, "--wait"),
        "book-rejected": ("place", "BUY", "NSE:INFI", "1"),
    }
    own = ("--strategy", "book", "--json", "--id")
    return {own_id: desk.here(*words, *own, own_id).json["status"] for own_id, words in orders.items()}


def test_the_list_has_every_order_newest_first(desk: Program, book: dict[str, str]) -> None:
    answer = desk.here("list", "--strategy", "book", "--json")
    listed = answer.json
    assert (answer.code, answer.err) == (0, "")
    assert {order["client_order_id"]: order["status"] for order in listed} == book
    assert book == {"book-rests": "PLACED", "book-filled": "FILLED", "book-rejected": "REJECTED"}
    assert [order["created_at"] for order in listed] == sorted((o["created_at"] for o in listed), reverse=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--open",), {"book-rests"}),
        (("--status", "FILLED", "--status", "rejected"), {"book-filled", "book-rejected"}),
        (("--symbol", "nse:infi"), {"book-rejected"}),
        (("--symbol", SYMBOL, "--status", "PLACED"), {"book-rests"}),
        (("--status", "EXPIRED"), set()),
    ],
)
def test_the_list_can_be_narrowed(
    desk: Program, book: dict[str, str], words: tuple[str, ...], expected: set[str]
) -> None:
    listed = desk.here("list", "--strategy", "book", "--json", *words).json
    assert {order["client_order_id"] for order in listed} == expected <= book.keys()


def test_the_list_can_be_short(desk: Program, book: dict[str, str]) -> None:
    (newest,) = desk.here("list", "--limit", "1", "--json").json
    assert newest == desk.here("list", "--json").json[0]


def test_in_a_pipe_each_order_is_one_line(desk: Program, book: dict[str, str]) -> None:
    header, *lines = desk("list", "--strategy", "book").out.splitlines()
    assert header.split() == ["time", "status", "filled", "average", "order"]
    assert len(lines) == len(book)
    assert any("REJECTED" in line and "did you mean NSE:INFY?" in line for line in lines)


def test_nothing_to_list_is_said_in_words(tmp_path: Path) -> None:
    fresh = once_started(tmp_path)
    answers = [fresh.here(command) for command in ("list", "positions", "events")]
    assert [answer.code for answer in answers] == [0, 0, 0]
    assert [answer.out for answer in answers] == ["No orders.\n", "No positions.\n", ""]
    assert fresh.here("list", "--json").json == fresh.here("positions", "--json").json == []


def test_show_tells_the_order_and_all_that_happened(desk: Program, book: dict[str, str]) -> None:
    answer = desk("show", "book-filled", "--json")
    assert (answer.code, answer.err, answer.json.keys()) == (0, "", {"order", "events", "checks"})
    assert answer.json["order"]["order_id"] == "order:paper:book-filled"
    events = answer.json["events"]
    assert [event["type"] for event in events] == ["order_received", "order_placed", "order_filled"]
    assert all(event["at"] and event["message"] for event in events)
    [passed] = answer.json["checks"]
    late = next(figure for figure in passed["figures"] if figure["code"] == "TOO_LATE")
    assert late["value"] < late["limit"]
    words = desk.here("show", "order:paper:book-filled").out
    assert f"passed {passed['checks']} checks" in words
    assert f"- TOO_LATE: {late['value']} of at most {late['limit']} IST" in words
    assert "/workflows/order:paper:book-filled\n" in words
    assert all(event["message"] in words for event in events)


def test_show_gives_the_reasons_of_a_rejection(desk: Program, book: dict[str, str]) -> None:
    assert "UNKNOWN_SYMBOL: symbol NSE:INFI is not in the instrument master" in desk.here("show", "book-rejected").out


@pytest.mark.parametrize("command", ["show", "cancel", "amend"])
@pytest.mark.parametrize("unknown", ["nobody", "a/b", "x" * 10_000, "order:paper", "\x1b[1m"])
def test_an_order_that_does_not_exist(desk: Program, command: str, unknown: str) -> None:
    rest = ("--price", "1") if command == "amend" else ()
    answer = desk.here(command, unknown, *rest, "--json")
    assert (answer.code, answer.out) == (1, "")
    assert answer.error.startswith("no order ")
    assert len(answer.error) < 200


def test_positions_are_signed_and_valued(desk: Program, book: dict[str, str]) -> None:
    wanted = ("account", "symbol", "product", "quantity", "average_price", "realized_pnl", "unrealized_pnl")
    answer = desk("positions", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert all(position.keys() >= set(wanted) for position in answer.json)
    before = {position["product"]: position["quantity"] for position in answer.json}
    assert desk.here("place", "SELL", SYMBOL, "600", "--product", "NRML", "--wait").code == 0
    after = {position["product"]: position for position in desk.here("positions", "--json").json}
    short = after["NRML"]
    assert short["quantity"] == before.get("NRML", 0) - 600 < 0
    assert isinstance(short["average_price"], str)
    assert isinstance(short["unrealized_pnl"], str)
    assert Decimal(short["charges"]) > 0
    assert short["day_pnl"] is not None
    words = desk.here("positions").out
    assert f"NRML         {short['quantity']}" in words
    assert re.search(r"^today \(IST\) .*charges \d+\.\d\d, after charges -?\d+\.\d\d$", words, re.MULTILINE)


def test_what_each_strategy_earned_after_charges_adds_up(desk: Program, book: dict[str, str]) -> None:
    held, found = desk.here("positions", "--json").json, desk.here("positions", "--by", "strategy", "--json").json
    charges = [sum((Decimal(each["charges"]) for each in lines), Decimal(0)) for lines in (held, found)]
    assert charges[0] == charges[1] > 0
    assert {line["symbol"] for each in found for line in each["lines"]} >= {SYMBOL}
    words = desk.here("positions", "--by", "strategy").out
    assert "the account" in words
    assert "after charges" in words


def test_events_follow_what_happens(desk: Program, own_id: str) -> None:
    seen = max(json.loads(line)["feed_id"] for line in desk.here("events", "--json").out.splitlines())
    with desk.started("events", "--follow", "--json", "--after", str(seen)) as following:
        assert desk.here("place", "BUY", SYMBOL, LOT, *LIMIT_BELOW, "--id", own_id).code == 0
        assert desk.here("cancel", own_id).code == 0
        events = [json.loads(following.line(own_id)) for _ in range(4)]
        ended = following.stop(signal.SIGINT)
    assert [event["type"] for event in events] == ["order_received", "order_placed", "order_updated", "order_cancelled"]
    assert [event["sequence"] for event in events] == [0, 1, 2, 3]
    assert (ended.code, ended.err) == (0, "")


def test_events_are_a_table_for_people(desk: Program, book: dict[str, str]) -> None:
    header, *lines = desk("events").out.splitlines()
    assert header.split() == ["time", "(IST)", "event", "order,", "and", "what", "happened"]
    assert any("order_rejected" in line and "book-rejected" in line for line in lines)
    assert lines == desk.here("events", "--after", "0").out.splitlines()[1:][: len(lines)]


def test_the_doctor_finds_a_desk_healthy(desk: Program) -> None:
    answer = desk("doctor", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert all(finding["healthy"] for finding in answer.json)
    names = {finding["name"] for finding in answer.json}
    assert names >= {
        "home",
        "settings",
        "ledger",
        "watch",
        "server",
        "ui",
        "worker orders:paper",
        "broker calls orders:paper",
    }


def test_the_doctor_finds_what_is_missing(tmp_path: Path) -> None:
    answer = once_started(tmp_path).here("doctor", "--json")
    assert (answer.code, answer.error) == (1, "not healthy: positions, watch, server")
    found = {finding["name"]: finding for finding in answer.json}
    assert "durable-orders up" in found["server"]["detail"]
    assert found["ledger"]["healthy"]


def test_the_doctor_makes_no_home(tmp_path: Path) -> None:
    answer = Program(tmp_path / "none").here("doctor", "--json")
    assert answer.code == 1
    found = {finding["name"]: finding for finding in answer.json}
    assert [found[name]["healthy"] for name in ("home", "ledger", "server")] == [False, False, False]
    assert "there is none; `durable-orders up` starts one" in found["home"]["detail"]
    assert not (tmp_path / "none").exists()
