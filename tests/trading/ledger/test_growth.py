"""A ledger that has grown: every question is answered by an index, in its order. By query plan, not by the clock."""

import inspect
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from durable_orders.trading.ledger import day, journal, journal_events, reading, results
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.orders.order import Status
from tests.ledgers import open_empty_ledger
from tests.trading.ledger.many import STEP_SECONDS, fill_up
from tests.trading.ledger.questions import CHOSEN, EVERY, PAGES, QUESTIONS, SINCE, SORTED, UNTIL, plan_of

ORDERS = 50_000
STEP = timedelta(seconds=STEP_SECONDS)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Ten weeks of trading: 50,000 orders, 190,000 events, 50,000 fills."""
    file: Path = tmp_path_factory.mktemp("grown") / "ledger.db"
    with open_empty_ledger(file) as database:
        fill_up(database, ORDERS)
        yield database


@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_is_walked_through_or_sorted(grown: Database, name: str) -> None:
    steps = plan_of(grown, QUESTIONS[name])
    assert steps
    tables = [step for step in steps if step.split()[0] in ("SEARCH", "SCAN")]
    assert any(step.startswith("SEARCH") for step in tables)
    for step in tables:  # what has another name than a table is the short result of a subquery
        assert step.startswith("SEARCH") or "anon_1" in step, steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


NARROW = ("at>?", "updated_at>?", "status=?", "order_id=?", "filled_quantity=?", "symbol=?", "strategy=?")


@pytest.mark.parametrize("name", SORTED)
def test_what_is_sorted_was_found_by_an_index(grown: Database, name: str) -> None:
    _is_found_by_indices(plan_of(grown, SORTED[name]))


@pytest.mark.parametrize("name", PAGES)
def test_a_first_page_is_found_by_an_index_whatever_is_chosen(grown: Database, name: str) -> None:
    """In the order of the lines, or of few orders that are then sorted."""
    steps = plan_of(grown, PAGES[name])
    if any("TEMP B-TREE" in step for step in steps):
        _is_found_by_indices(steps)
    else:
        assert {step.split()[0] for step in steps if "anon_1" not in step} <= {"SEARCH", "SCALAR", "CO-ROUTINE"}, steps


def _is_found_by_indices(steps: Sequence[str]) -> None:
    tables = [step for step in steps if step.split()[0] in ("SEARCH", "SCAN") and "anon_1" not in step]
    assert {step.split()[0] for step in tables} == {"SEARCH"}
    for step in tables:
        is_small = "position_entries" in step or "accounts" in step
        assert is_small or any(each in step for each in NARROW), steps


@pytest.mark.parametrize("what", CHOSEN)
def test_lines_are_the_same_however_they_are_found(grown: Database, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their orders, which are sorted, or in their own order, of which most are left out."""
    found = []
    for few in (-1, ORDERS):
        monkeypatch.setattr(journal, "FEW", few)
        with grown.read() as connection:
            lines = list(islice(journal_lines(connection, CHOSEN[what]), 300))
            found.append((lines, list(islice(journal_events.journal_events(connection, CHOSEN[what]), 300))))
    assert found[0] == found[1]


def test_every_question_is_among_them() -> None:
    asked = {name.split()[0].rstrip(",") for name in EVERY}
    for module in (reading, journal, journal_events, day, results):
        functions = inspect.getmembers(module, inspect.isfunction)
        own = {
            name
            for name, what in functions
            if what.__module__ == module.__name__ and not name.startswith(("_", "write_"))
        }
        assert own <= asked


def test_what_is_rare_is_found_without_the_rest(grown: Database) -> None:
    """The plan is one thing; here the answers are, of a ledger where nearly everything is something else."""
    with grown.read() as connection:
        opened = reading.list_orders(connection, "paper", open_only=True)
        manual = {line.strategy for line in journal_lines(connection, Chosen("paper", symbol="NSE:INFY"))}
        day = list(journal_lines(connection, Chosen("paper", SINCE, UNTIL)))
    assert len(opened) == ORDERS // 1000 + 1
    assert {order.status for order in opened} == {Status.PLACED}
    assert opened == sorted(opened, key=lambda order: order.created_at, reverse=True)
    assert manual == {"manual"}
    assert len({line.order_id for line in day if line.status is not Status.PLACED}) == timedelta(days=1) // STEP
    assert all(SINCE <= line.at < UNTIL for line in day)
    assert [line.at for line in day] == sorted(line.at for line in day)
