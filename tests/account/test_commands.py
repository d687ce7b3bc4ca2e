"""`settle-position` and `positions` at a terminal, over a home in which nobody is at work."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.trading.ledger.accounts import book_read
from durable_orders.trading.ledger.broker_positions import BrokerReading, save_reading
from durable_orders.trading.ledger.position_differences import Cause, Unexplained, keep_differences
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Account
from durable_orders.web.metrics import metrics_of
from durable_orders.workers.home import Home
from tests.conftest import write_home
from tests.durable_orders.program import Program
from tests.trading.ledger.examples import history, new_order, record_all

INFY = "NSE:INFY"
SETTLE = ("settle-position", INFY, "--product", "MIS")
NOTED = ("--evidence", "contract note")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """10 bought at 1500, of which the broker has none any more."""
    home = write_home(tmp_path / "home", {"account": "paper"})
    with home.ledger(home.settings()) as ledger:
        order = new_order(quantity=10, strategy="mine", product="MIS")
        record_all(ledger, history(order, [(10, Decimal(1500))], BookState.COMPLETE))
        now = datetime.now(UTC)
        with ledger.write() as connection:
            save_reading(connection, "paper", BrokerReading.of(now, [], []))
            since = now - timedelta(minutes=1)
            keep_differences(connection, "paper", [Unexplained(INFY, "MIS", 10, 0, Cause.RMS, since)])
    return Program(home.path)


def line_of(program: Program) -> dict[str, Any]:
    [line] = program.here("positions", "--json").json
    return dict(line)


def test_what_differs_is_shown_and_settled_with_evidence(program: Program) -> None:
    line = line_of(program)
    assert (line["quantity"], line["strategies"], line["at_broker"]) == (10, {"mine": 10}, 0)
    assert (line["unexplained"], line["likely_cause"]) == (-10, "square-off by RMS")
    assert "NOT EXPLAINED: NSE:INFY MIS: 10 in the ledger, 0 at the broker" in program.here("positions").out
    assert "not explained, see `settle-position`" in program.here("doctor").out
    part = program.here(*SETTLE, "--quantity", "-4", "--price", "1490", *NOTED, "--json")
    assert part.json["unexplained"][0]["ours"] == 6
    rest = program.here(*SETTLE, "--quantity", "-6", "--price", "1510", *NOTED)
    assert (rest.code, rest.out) == (0, f"entered: {INFY} MIS -6 at 1510, other: contract note\n")
    line = line_of(program)
    assert (line["quantity"], line["strategies"], line["unexplained"]) == (0, {}, 0)
    assert Decimal(line["realized_pnl"]) == 20
    journal = program.here("journal").out
    assert "entry-" in journal
    assert "contract note" in journal


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--quantity", "-11", "--price", "1490", *NOTED), "quantity: NSE:INFY MIS differs by -10"),
        (("--quantity", "0", "--price", "1490", *NOTED), "quantity: must not be 0"),
        (("--quantity", "-10", *NOTED), "price: must be given"),
        (("--quantity", "-10", "--price", "dear", *NOTED), "price: not a number of rupees"),
        (("--quantity", "-10", "--price", "1490", "--evidence", " "), "evidence"),
        (("--quantity", "-10", "--kind", "conversion", *NOTED), "to_product: a conversion has one"),
    ],
)
def test_one_line_says_what_is_wrong_and_nothing_is_written(
    program: Program, words: tuple[str, ...], said: str
) -> None:
    answer = program.here(*SETTLE, *words)
    assert answer.code == 1
    assert said in answer.error
    assert line_of(program)["quantity"] == 10


def test_a_symbol_in_no_book(program: Program) -> None:
    words = ("settle-position", "NSE:TYPO", "--product", "MIS", "--quantity", "1", "--price", "1")
    answer = program.here(*words, *NOTED)
    assert answer.error == "symbol: NSE:TYPO is in no book: neither the ledger nor the broker has it"


def test_all_goes_with_flatten(program: Program) -> None:
    assert "--all goes with --flatten" in program.here("halt", "--all").err


def test_the_metrics_name_what_differs(program: Program) -> None:
    home = Home(program.home)
    with home.ledger(home.settings()) as ledger, ledger.read() as connection:
        text = metrics_of(connection, Account("paper"), datetime.now(UTC))
    lines = text.splitlines()
    assert 'durable_orders_account_state{account="paper",state="ACTIVE"} 1' in lines
    assert 'durable_orders_positions_unexplained{account="paper"} 1' in lines
    own = 'account="paper",symbol="NSE:INFY",product="MIS",cause="square-off by RMS"'
    assert f"durable_orders_position_unexplained_quantity{{{own}}} -10" in lines
    assert 'durable_orders_orders_open{account="paper",status="UNKNOWN"} 0' in lines


def test_the_metrics_have_all_digits(program: Program) -> None:
    home, read_at = Home(program.home), datetime(2026, 11, 2, 10, tzinfo=UTC)
    with home.ledger(home.settings()) as ledger:
        book_read(ledger, "paper", read_at)
        with ledger.read() as connection:
            text = metrics_of(connection, Account("paper"), read_at + timedelta(seconds=1234567.25))
    assert 'durable_orders_book_age_seconds{account="paper"} 1234567.25' in text.splitlines()
