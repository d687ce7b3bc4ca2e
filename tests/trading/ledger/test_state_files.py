"""A ledger that is older than its home learns from it what was said of the account last, and lets it do no more."""

import fcntl
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from durable_orders.trading.errors import WrongAccount
from durable_orders.trading.ledger import state_files
from durable_orders.trading.ledger.accounts import AccountState, Permission, permission_of, set_halt, set_state
from durable_orders.trading.ledger.alerts import event_id
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.flags import RiskFlag, flags_of, record_cleared_flag, record_raised_flag
from durable_orders.trading.ledger.identity import fix_user
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.reading import FeedEvent, events_of
from durable_orders.trading.ledger.state_files import UNREADABLE, StateFiles, check_state
from durable_orders.trading.orders.events import EventType
from tests.ledgers import empty_ledger
from tests.trading.ledger.conftest import PostgresServer

ACTIVE, REDUCING, HALTED = AccountState.ACTIVE, AccountState.REDUCING, AccountState.HALTED
NOW = datetime.now(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DRIFT = RiskFlag("drift", "the model sees things", "ops", NOW)
Ledgers = Callable[..., Database]


@pytest.fixture
def ledgers(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledgers]:
    """Opens empty ledgers of one home, each as of before anything was said; or one that is there, of another home."""
    with ExitStack() as stack:

        def opened(home: Path = tmp_path, url: str | None = None) -> Database:
            if url is None and backend == "sqlite":
                url = f"sqlite:///{empty_ledger(tmp_path / f'{os.urandom(4).hex()}.db')}"
            elif url is None:
                server: PostgresServer = request.getfixturevalue("postgres")
                url = server.new_ledger()
            return stack.enter_context(open_database(url, states=StateFiles(home)))

        yield opened


def standing(ledger: Database) -> Permission:
    with ledger.read() as connection:
        return permission_of(connection, "paper")


def events_of_all(ledger: Database) -> list[FeedEvent]:
    with ledger.read() as connection:
        return events_of(connection, event_id("paper"))


def told(ledger: Database, kind: EventType = EventType.ALERT) -> list[FeedEvent]:
    return [event for event in events_of_all(ledger) if event.type is kind]


@pytest.mark.parametrize(("state", "until"), [(HALTED, None), (REDUCING, None), (REDUCING, NOW + DAY)])
def test_an_older_ledger_lets_the_account_do_no_more_than_was_said_last(
    ledgers: Ledgers, state: AccountState, until: datetime | None
) -> None:
    set_state(ledgers(), "paper", state, "lunch", NOW, who="by ops", until=until)
    older = ledgers()
    for _ in range(2):
        check_state(older, "paper")
        found = standing(older)
        assert (found.state, found.until, found.who) == (state, until, "by ops")
        assert found.reason == "not known to the ledger: lunch"
        assert [event.type for event in events_of_all(older)] == [EventType.ACCOUNT_STATE, EventType.ALERT], "once"
    [alert] = told(older)
    assert "lunch" in alert.message
    assert f"The account is {state}: compare, and then `durable-orders resume`" in alert.message
    set_halt(older, "paper", None, NOW + HOUR)
    check_state(older, "paper")
    assert standing(older).state is ACTIVE, "who resumes knows of it"


def test_what_is_forgotten_a_second_time_is_said_in_the_same_words(ledgers: Ledgers) -> None:
    set_halt(ledgers(), "paper", "lunch", NOW)
    for older in (ledgers(), ledgers()):
        check_state(older, "paper")
        assert standing(older).reason == "not known to the ledger: lunch"


def test_an_older_ledger_that_went_on_is_known_to_be_older(ledgers: Ledgers) -> None:
    """The number of the event has come again in it, for something else: said by somebody without this home."""
    set_halt(ledgers(), "paper", "lunch", NOW)
    older = ledgers()
    with Database(older.url.render_as_string(hide_password=False)) as elsewhere:
        set_halt(elsewhere, "paper", "tea", NOW + HOUR)
        set_halt(elsewhere, "paper", None, NOW + HOUR)
    check_state(older, "paper")
    assert standing(older).state is HALTED


def test_what_has_ended_by_itself_is_not_entered_again(ledgers: Ledgers) -> None:
    set_state(ledgers(), "paper", REDUCING, "MAX_DAILY_LOSS", NOW - 2 * HOUR, until=NOW - HOUR)
    older = ledgers()
    check_state(older, "paper")
    assert standing(older).state is ACTIVE
    assert told(older, EventType.ACCOUNT_STATE) == []
    assert len(told(older)) == 1, "that the ledger is older is told all the same"


def test_an_account_that_was_resumed_since_the_backup_stays_halted(ledgers: Ledgers) -> None:
    ledger, older = ledgers(), ledgers()
    set_halt(older, "paper", "lunch", NOW)
    set_halt(ledger, "paper", "lunch", NOW + HOUR)
    set_halt(ledger, "paper", None, NOW + 2 * HOUR)
    check_state(older, "paper")
    assert (standing(older).state, standing(older).reason) == (HALTED, "lunch")
    assert "the account is ACTIVE" in told(older)[-1].message


def test_a_risk_flag_is_raised_again_and_one_that_was_cleared_stays(ledgers: Ledgers) -> None:
    ledger, older = ledgers(), ledgers()
    stale = RiskFlag("stale", "no prices", "ops", NOW - HOUR)
    with older.write() as connection:
        record_raised_flag(connection, "paper", stale)
    with ledger.write() as connection:
        record_raised_flag(connection, "paper", stale)
        record_raised_flag(connection, "paper", DRIFT)
        record_cleared_flag(connection, "paper", "stale", "ops", NOW)
    check_state(older, "paper")
    with older.read() as connection:
        found = flags_of(connection, "paper")
    assert [(flag.name, flag.reason, flag.who) for flag in found] == [
        ("stale", "no prices", "ops"),
        ("drift", "the model sees things", "ops"),
    ]
    assert standing(older).state is REDUCING


def test_a_halt_that_the_ledger_failed_to_take_is_entered_as_soon_as_that_can_be(ledgers: Ledgers) -> None:
    """The file is on the disk before the transaction is committed, which then fails, as on a full disk."""
    ledger = ledgers()

    def fail(_connection: sa.Connection) -> None:
        raise CommitFailedError

    sa.event.listen(ledger.engine, "commit", fail)
    with pytest.raises(CommitFailedError):
        set_halt(ledger, "paper", "lunch", NOW)
    sa.event.remove(ledger.engine, "commit", fail)
    assert standing(ledger).state is ACTIVE
    check_state(ledger, "paper")
    assert (standing(ledger).state, standing(ledger).reason) == (HALTED, "not known to the ledger: lunch")


class CommitFailedError(Exception):
    pass


@pytest.mark.parametrize("before", [ACTIVE, REDUCING, HALTED])
def test_what_is_asked_without_the_ledger_lets_the_account_do_no_more(
    ledgers: Ledgers, tmp_path: Path, before: AccountState
) -> None:
    ledger = ledgers()
    set_state(ledger, "paper", before, "lunch", NOW, who="by ops")
    StateFiles(tmp_path).ask("paper", Permission(REDUCING, "drift", "by ops", NOW + HOUR))
    check_state(ledger, "paper")
    assert standing(ledger).state is (HALTED if before is HALTED else REDUCING)
    again = len(events_of_all(ledger))
    check_state(ledger, "paper")
    assert len(events_of_all(ledger)) == again


def test_a_halt_that_is_asked_for_while_the_file_is_written_is_not_lost(
    ledgers: Ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger's writer has read the file, and waits for the disk; somebody gives up on the ledger meanwhile."""
    ledger, to_disk = ledgers(), os.fsync
    wanted = [Permission(HALTED, "lunch", "by ops", NOW)]

    def slowly(handle: int) -> None:
        to_disk(handle)
        if wanted:
            thread.submit(StateFiles(tmp_path).ask, "paper", wanted.pop()).result()

    with ThreadPoolExecutor(1) as thread, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", slowly)
        set_state(ledger, "paper", REDUCING, "tea", NOW, who="by ops")
    assert not wanted
    assert (standing(ledger).state, standing(ledger).reason) == (HALTED, "not known to the ledger: lunch")
    older = ledgers()
    check_state(older, "paper")
    assert standing(older).state is HALTED
    assert [file.name for file in tmp_path.glob("*.half")] == []


def test_who_holds_the_file_for_long_is_not_waited_for(
    ledgers: Ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped in the middle: the ledger has what is said to it, and who asks without it is told."""
    monkeypatch.setattr(state_files, "LOCK_SECONDS", 0.05)
    ledger, files = ledgers(), StateFiles(tmp_path)
    with files.of("paper").with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        set_state(ledger, "paper", REDUCING, "lunch", NOW, who="by ops")
        with pytest.raises(BlockingIOError):
            files.ask("paper", Permission(HALTED, "tea", "by ops", NOW))
    assert standing(ledger).state is REDUCING
    assert "cannot be kept in it (Resource temporarily unavailable)" in told(ledger)[0].message
    files.ask("paper", Permission(HALTED, "tea", "by ops", NOW))
    check_state(ledger, "paper")
    assert (standing(ledger).state, standing(ledger).reason) == (HALTED, "not known to the ledger: tea")


def test_without_a_file_the_ledger_is_believed_and_the_file_is_made(ledgers: Ledgers, tmp_path: Path) -> None:
    """An older version's home, or one whose file was deleted."""
    ledger = ledgers()
    set_halt(ledger, "paper", "lunch", NOW)
    file = StateFiles(tmp_path).of("paper")
    file.unlink()
    check_state(ledger, "paper")
    assert [event.type for event in events_of_all(ledger)] == [EventType.ACCOUNT_STATE]
    check_state(ledgers(), "paper")
    assert "lunch" in file.read_text()


@pytest.mark.parametrize("content", [b"", b'{"state": "ACTIVE"', b'{"state": "ASLEEP"}', bytes(range(256))])
def test_a_file_that_cannot_be_read_halts_the_account_once(ledgers: Ledgers, tmp_path: Path, content: bytes) -> None:
    ledger, file = ledgers(), StateFiles(tmp_path).of("paper")
    file.write_bytes(content)
    check_state(ledger, "paper")
    assert standing(ledger).state is HALTED
    assert standing(ledger).reason == f"not known to the ledger: {file}: {UNREADABLE}"
    set_halt(ledger, "paper", None, NOW)
    check_state(ledger, "paper")
    assert standing(ledger).state is ACTIVE


def test_a_file_that_cannot_be_written_stops_no_halt_and_is_told_once(ledgers: Ledgers, tmp_path: Path) -> None:
    ledger, file = ledgers(), StateFiles(tmp_path).of("paper")
    check_state(ledger, "paper")
    in_the_way = file.with_suffix(".lock")
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    set_halt(ledger, "paper", "lunch", NOW)
    for _ in range(3):
        check_state(ledger, "paper")
    assert standing(ledger).state is HALTED
    [alert] = told(ledger)
    assert str(file) in alert.message
    assert "cannot be kept in it (Is a directory)" in alert.message
    in_the_way.rmdir()
    check_state(ledger, "paper")
    older = ledgers()
    check_state(older, "paper")
    assert standing(older).state is HALTED


def test_what_was_said_from_another_home_is_kept_in_this_one(ledgers: Ledgers, tmp_path: Path) -> None:
    """A ledger that two homes share: a halt at one machine, a worker at the other."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    here = ledgers()
    check_state(here, "paper")
    there = ledgers(elsewhere, here.url.render_as_string(hide_password=False))
    set_halt(there, "paper", "lunch", NOW)
    check_state(here, "paper")
    assert [event.type for event in events_of_all(here)] == [EventType.ACCOUNT_STATE], "it is no older one"
    older = ledgers()
    check_state(older, "paper")
    assert standing(older).state is HALTED


def test_an_older_ledger_does_not_forget_whose_the_account_is(ledgers: Ledgers) -> None:
    fix_user(ledgers(), "paper", "AB0001", NOW)
    older = ledgers()
    check_state(older, "paper")
    with pytest.raises(WrongAccount, match="account paper is AB0001's"):
        fix_user(older, "paper", "ZZ9999", NOW)
    assert events_of_all(older) == []


def test_other_accounts_of_the_home_are_not_touched(ledgers: Ledgers) -> None:
    set_halt(ledgers(), "paper", "lunch", NOW)
    older = ledgers()
    check_state(older, "other")
    assert standing(older).state is ACTIVE
