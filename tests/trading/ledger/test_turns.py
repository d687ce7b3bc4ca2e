"""Accounts of one ledger don't wait for each other on PostgreSQL, and who follows all of them passes no event by."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from durable_orders.trading.ledger import turns
from durable_orders.trading.ledger.alerts import add_event, alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.following import newest_id, told_after
from durable_orders.trading.ledger.reading import events_after
from durable_orders.trading.ledger.recording import receive, record_within
from durable_orders.trading.orders.events import EventType
from tests.properties import FIXTURES_STAY
from tests.trading.ledger.conftest import PostgresServer
from tests.trading.ledger.examples import START, enter, everything, history, new_order

BUSY_SECONDS = 0.05
ACCOUNTS = ("one", "two", "three")
Act = tuple[str, str]
"""What is done, and in whose transaction."""


@pytest.fixture
def shared(ledger: Database) -> Database:
    """On PostgreSQL, where accounts don't wait for each other."""
    if ledger.is_sqlite:
        pytest.skip("one writer at a time")
    return ledger


def say(connection: sa.Connection, account: str, words: str) -> None:
    add_event(connection, account, EventType.ALERT, words, START)


def follow_on(database: Database, after: int) -> list[tuple[int, str]]:
    with database.read_feed() as connection:
        found = told_after(connection, after)
    return [(event.feed_id or 0, str(event.data["message"])) for event in found]


def words_of(database: Database, account: str) -> list[str]:
    with database.read() as connection:
        return [event.message for event in events_after(connection, 0, account=account)]


def test_an_account_waits_for_itself_and_whoever_writes_all_for_everybody(ledger: Database, ledger_url: str) -> None:
    with Database(ledger_url, busy_seconds=BUSY_SECONDS) as other:
        with ledger.write("one"):
            for account in ("one", None):
                with pytest.raises(OperationalError), other.write(account):
                    pass
        with ledger.write():
            for account in ("one", None):
                with pytest.raises(OperationalError), other.write(account):
                    pass


def test_accounts_do_not_wait_for_each_other(shared: Database, ledger_url: str) -> None:
    with Database(ledger_url, busy_seconds=BUSY_SECONDS) as other, shared.write("one") as connection:
        say(connection, "one", "begun first")
        alert(other, "two", "done first", START)
        assert words_of(other, "two") == ["done first"], "whoever follows one account does not wait for the others"
    assert words_of(shared, "one") == ["begun first"]


def test_who_follows_an_account_from_now_on_passes_nothing_of_it_by(shared: Database, ledger_url: str) -> None:
    """Another account's larger number is no place to begin."""
    with Database(ledger_url) as other, shared.write("one") as connection:
        say(connection, "one", "small number")
        alert(other, "two", "large number", START)
        with other.read() as reading:
            newest = newest_id(reading, "one")
    with shared.read() as reading:
        assert [event.message for event in events_after(reading, newest, account="one")] == ["small number"]


def test_programs_of_before_are_alone(shared: Database, ledger_url: str) -> None:
    """They know one lock, for all accounts."""
    with Database(ledger_url, busy_seconds=BUSY_SECONDS) as other, shared.engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (turns.WRITER_LOCK,))
        with pytest.raises(OperationalError), other.write("one"):
            pass


@pytest.mark.parametrize("wrong", ["event", "order", "recording"])
def test_a_transaction_of_one_account_writes_no_other(ledger: Database, wrong: str) -> None:
    order = new_order("a", account="two")
    enter(ledger, order)
    before = everything(ledger)
    [placed] = history(order, [])

    def write() -> None:
        with ledger.write("one") as connection:
            say(connection, "one", "undone")
            if wrong == "event":
                say(connection, "two", "of another account")
            elif wrong == "order":
                receive(connection, new_order("b", account="two"), "run", "content")
            else:
                record_within(connection, placed.order, placed.entries)

    with pytest.raises(RuntimeError, match="account: this transaction writes one alone, and not two"):
        write()
    assert everything(ledger) == before
    alert(ledger, "two", "in its own", START)


def test_the_feed_of_all_accounts_is_read_only_as_far_as_it_is_whole(shared: Database, ledger_url: str) -> None:
    with closing(Database(ledger_url)) as other:
        alert(shared, "two", "before", START)
        with shared.write("one") as connection:
            say(connection, "one", "small number")
            alert(other, "two", "large number", START)
            [(last, words)] = follow_on(other, 0)
            assert words == "before"
        assert [words for _, words in follow_on(other, last)] == ["small number", "large number"]


def test_a_number_that_was_given_up_holds_nobody(shared: Database, ledger_url: str) -> None:
    with closing(Database(ledger_url)) as other:
        with suppress(ConnectionError), shared.write("one") as connection:
            say(connection, "one", "never")
            alert(other, "two", "once", START)
            assert follow_on(other, 0) == []
            raise ConnectionError
        assert [words for _, words in follow_on(other, 0)] == ["once"]


def test_writers_of_another_ledger_of_the_server_hold_nobody(shared: Database, postgres: PostgresServer) -> None:
    elsewhere = sa.create_engine(postgres.url)
    alert(shared, "one", "seen", START)
    with closing(elsewhere.connect()) as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(1::bigint << 62)")
        assert [words for _, words in follow_on(shared, 0)] == ["seen"]
    elsewhere.dispose()


def test_the_feed_of_all_accounts_is_not_read_in_any_transaction(shared: Database) -> None:
    with shared.read_feed() as connection:
        assert events_after(connection, 0) == []
    with shared.write() as connection:
        assert events_after(connection, 0) == []
    with shared.write("one") as connection, pytest.raises(RuntimeError, match="read within"):
        events_after(connection, 0)
    with shared.read() as connection, pytest.raises(RuntimeError, match="read within"):
        events_after(connection, 0)


class Writers:
    """A transaction of each account, which begins, tells events and ends whenever it is told to."""

    def __init__(self, stack: ExitStack, url: str) -> None:
        self._ledgers = {account: stack.enter_context(Database(url)) for account in ACCOUNTS}
        self._open: dict[str, tuple[ExitStack, sa.Connection]] = {}
        self._told: dict[str, list[str]] = {}
        self._count = 0
        self.committed: set[str] = set()

    def act(self, act: Act) -> None:
        what, account = act
        if account not in self._open:
            transaction = ExitStack()
            connection = transaction.enter_context(self._ledgers[account].write(account))
            self._open[account], self._told[account] = (transaction, connection), []
        transaction, connection = self._open[account]
        if what == "tell":
            self._count += 1
            self._told[account].append(f"{account} {self._count}")
            say(connection, account, self._told[account][-1])
        elif what == "commit":
            self.end(account)
        elif what == "undo":
            del self._open[account]
            connection.exec_driver_sql("ROLLBACK")
            transaction.close()

    def end(self, account: str) -> None:
        if account in self._open:
            self._open.pop(account)[0].close()
            self.committed |= set(self._told[account])


@contextmanager
def between_its_statements(database: Database, act: Any) -> Iterator[None]:
    """Called after each statement, that is before the next one."""
    sa.event.listen(database.engine, "after_cursor_execute", act)
    try:
        yield
    finally:
        sa.event.remove(database.engine, "after_cursor_execute", act)


acts = st.tuples(st.sampled_from(["begin", "tell", "tell", "commit", "commit", "undo"]), st.sampled_from(ACCOUNTS))
chunks_of_acts = st.lists(st.lists(acts, max_size=4), min_size=1, max_size=25)


@settings(FIXTURES_STAY, max_examples=40)
@given(chunks=chunks_of_acts)
def test_whoever_follows_all_accounts_sees_every_event_once_and_in_order(
    postgres: PostgresServer, postgresql_ledger: str, chunks: Sequence[Sequence[Act]]
) -> None:
    follow_beside(postgresql_ledger, chunks)


@pytest.mark.parametrize("statement", range(8))
def test_a_larger_number_is_seen_first_before_no_statement_of_the_reader(
    postgres: PostgresServer, postgresql_ledger: str, statement: int
) -> None:
    """However many of its statements later the smaller one can be seen."""
    first: list[Act] = [("tell", "one"), ("tell", "two"), ("commit", "two")]
    for later in range(4):
        chunks: list[list[Act]] = [[]] * statement + [first] + [[]] * later + [[("commit", "one")]] + [[]] * 8
        follow_beside(postgresql_ledger, chunks)


def follow_beside(url: str, chunks: Sequence[Sequence[Act]]) -> None:
    """Whatever the writers do between any two statements of the reader, down to those that find out how far it may
    read, it sees every event once and in order."""
    with ExitStack() as stack:
        reader, writers = stack.enter_context(Database(url)), Writers(stack, url)
        with reader.write() as connection:
            connection.exec_driver_sql("DELETE FROM events")
        left = list(chunks)
        seen: list[tuple[int, str]] = []

        def act(*_: object) -> None:
            for each in left.pop(0) if left else ():
                writers.act(each)

        with between_its_statements(reader, act):
            while left:
                seen += follow_on(reader, seen[-1][0] if seen else 0)
        for account in ACCOUNTS:
            writers.end(account)
        seen += follow_on(reader, seen[-1][0] if seen else 0)
    numbers = [number for number, _ in seen]
    assert numbers == sorted(set(numbers))
    assert sorted(words for _, words in seen) == sorted(writers.committed)
