"""A ledger that has grown: every question is answered by an index, in its order. By query plan, not by the clock."""

import inspect
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from durable_orders.trading.ledger import day, journal, journal_events, reading, results
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.orders.order import Status
from tests.ledgers import open_empty_ledger
from tests.trading.ledger.many import STEP_SECONDS, fill_up
from tests.trading.ledger.questions import EVERY, QUESTIONS, SINCE, SORTED, UNTIL, Ask

ORDERS = 50_000
STEP = timedelta(seconds=STEP_SECONDS)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Ten weeks of trading: 50,000 orders, 190,000 events, 50,000 fills."""
    file: Path = tmp_path_factory.mktemp("grown") / "ledger.db"
    with open_empty_ledger(file) as database:
        fill_up(database, ORDERS)
        yield database


def plan_of(database: Database, ask: Ask) -> list[str]:
    """What SQLite does for the statements behind a question, one line a step."""
    sent: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        sent.append((arguments[2], arguments[3]))

    with database.read() as connection:
        sa.event.listen(database.engine, "before_cursor_execute", note)
        try:
            ask(connection)
        finally:
            sa.event.remove(database.engine, "before_cursor_execute", note)
        asked = [(sql, values) for sql, values in sent if sql.startswith("SELECT")]
        assert asked
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in asked]
    return [str(step[3]) for plan in plans for step in plan]


@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_is_walked_through_or_sorted(grown: Database, name: str) -> None:
    steps = plan_of(grown, QUESTIONS[name])
    tables = [step for step in steps if step.split()[0] in ("SEARCH", "SCAN")]
    assert any(step.startswith("SEARCH") for step in tables)
    for step in tables:  # what has another name than a table is the short result of a subquery
        assert step.startswith("SEARCH") or "anon_1" in step, steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize("name", SORTED)
def test_what_is_sorted_was_found_by_an_index(grown: Database, name: str) -> None:
    steps = plan_of(grown, SORTED[name])
    tables = [step for step in steps if step.split()[0] in ("SEARCH", "SCAN")]
    assert {step.split()[0] for step in tables} == {"SEARCH"}
    for step in tables:
        of_a_day, of_a_status, of_an_order = "at>?" in step, "status=?" in step, "order_id=?" in step
        assert of_a_day or of_a_status or of_an_order or "filled_quantity=?" in step, steps


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
