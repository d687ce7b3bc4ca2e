"""A ledger that has grown: every question is answered by an index, in its order. By query plan, not by the clock."""

import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.trading.ledger.examples import START
from tests.trading.ledger.many import STEP_SECONDS, fill_up
from trading.ledger import journal, reading
from trading.ledger.database import Database
from trading.ledger.journal import Chosen, journal_lines
from trading.ledger.migrate import open_database
from trading.order import Status

ORDERS = 50_000
STEP = timedelta(seconds=STEP_SECONDS)
OWN, TAG = "order:paper:whole-1001", "0" * 20
SINCE, UNTIL = START + timedelta(days=30), START + timedelta(days=31)
SOME = (Status.CANCELLED, Status.REJECTED)

Ask = Callable[[sa.Connection], object]
QUESTIONS: dict[str, Ask] = {
    "find_order": lambda c: reading.find_order(c, OWN),
    "find_by_tag": lambda c: reading.find_by_tag(c, "paper", TAG),
    "fingerprint_of": lambda c: reading.fingerprint_of(c, OWN),
    "list_orders": lambda c: reading.list_orders(c, "paper", limit=200),
    "list_orders, oldest first": lambda c: reading.list_orders(c, "paper", limit=200, newest_first=False),
    "list_orders of a symbol": lambda c: reading.list_orders(c, "paper", limit=200, symbol="NSE:INFY"),
    "list_orders of a strategy": lambda c: reading.list_orders(c, "paper", limit=200, strategy="manual"),
    "list_orders that are open": lambda c: reading.list_orders(c, "paper", open_only=True),
    "list_orders of a status": lambda c: reading.list_orders(c, "paper", limit=200, statuses=[Status.EXPIRED]),
    "list_orders of statuses": lambda c: reading.list_orders(c, "paper", limit=200, statuses=SOME, strategy="s1"),
    "unsettled_orders": lambda c: reading.unsettled_orders(c, "paper"),
    "events_of": lambda c: reading.events_of(c, OWN),
    "events_after": lambda c: reading.events_after(c, 100_000, account="paper"),
    "events_after, of all": lambda c: reading.events_after(c, 100_000),
    "positions_of": lambda c: reading.positions_of(c, "paper"),
    "open_views": lambda c: reading.open_views(c, "paper", ended_since=START + timedelta(days=60)),
    "views_for": lambda c: reading.views_for(c, "paper", tags=[TAG], broker_order_ids=["B-1"]),
    "journal_lines": lambda c: next(journal_lines(c, Chosen("paper"))),
    "journal_lines of a day": lambda c: list(journal_lines(c, Chosen("paper", SINCE, UNTIL))),
    "journal_lines of a symbol": lambda c: list(journal_lines(c, Chosen("paper", symbol="NSE:INFY"))),
    "journal_lines of a symbol's day": lambda c: list(journal_lines(c, Chosen("paper", SINCE, UNTIL, "NSE:S1"))),
    "journal_lines of a strategy": lambda c: next(journal_lines(c, Chosen("paper", strategy="s1"))),
    "journal_lines of statuses": lambda c: next(journal_lines(c, Chosen("paper", statuses=SOME))),
    "journal_lines of all that": lambda c: list(journal_lines(c, Chosen("paper", SINCE, UNTIL, "NSE:S1", "s1", SOME))),
}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Ten weeks of trading: 50,000 orders, 190,000 events, 50,000 fills."""
    file: Path = tmp_path_factory.mktemp("grown") / "ledger.db"
    with open_database(f"sqlite:///{file}") as database:
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


def test_every_question_is_among_them() -> None:
    asked = {name.split()[0].rstrip(",") for name in QUESTIONS}
    for module in (reading, journal):
        functions = inspect.getmembers(module, inspect.isfunction)
        own = {name for name, what in functions if what.__module__ == module.__name__ and not name.startswith("_")}
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
