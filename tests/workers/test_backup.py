"""A backup: whole, of one moment, and made while others write."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import HomeUnusable, LedgerUnusable, RefusedError
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.ledger.audit import fill_sums
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.identity import fix_mode
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.state_files import StateFiles, check_state
from durable_orders.trading.ledger.tables import fills
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.backup import back_up
from durable_orders.workers.directories import HALF
from durable_orders.workers.home import Home
from tests.trading.ledger.examples import history, new_order, record_all

SETTINGS = Settings.load(None, {})
STATE = "state-paper.json"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home").make()
    open_database(home.ledger_url(SETTINGS)).close()
    return home


def test_what_is_written_meanwhile_is_in_it_whole_or_not_at_all(home: Home, tmp_path: Path) -> None:
    def write(worker: int) -> None:
        with Database(home.ledger_url(SETTINGS)) as database:
            for number in range(15):
                order = new_order(f"o{worker}-{number}", quantity=2)
                record_all(database, history(order, [(1, Decimal(100)), (1, Decimal(101))], BookState.COMPLETE))

    with ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(write, worker) for worker in range(2)]
        made = [back_up(home, SETTINGS, tmp_path / f"b{number}") for number in range(5)]
        for each in writing:
            each.result()
    made.append(back_up(home, SETTINGS, tmp_path / "last"))
    counts = []
    for backup in made:
        assert [file.name for file in backup.files] == ["ledger.db", STATE]
        with open_database(f"sqlite:///{backup.directory}/ledger.db") as copy, copy.read() as connection:
            count = connection.execute(sa.select(sa.func.count()).select_from(fills)).scalar_one()
            sums = fill_sums(connection, "paper")
            positions = {(each.symbol, each.product): each for each in positions_of(connection, "paper")}
        assert {key: (each.quantity, each.open_value) for key, each in positions.items()} == sums
        counts.append(count)
    assert counts == sorted(counts)
    assert counts[-1] == 60


def test_settings_and_histories_are_in_it_and_what_is_not_is_said(home: Home, tmp_path: Path) -> None:
    (home.path / "durable-orders.yaml").write_text("account: desk\n")
    lacking = back_up(home, SETTINGS, tmp_path / "one")
    assert [file.name for file in lacking.files] == ["durable-orders.yaml", "ledger.db", STATE]
    assert len(lacking.left_out) == 1
    assert "histories" in lacking.left_out[0]
    home.ledger_db.rename(home.temporal_db)  # any database stands for the server's
    StateFiles(home.path).of("live1").write_text("{}")  # of an account that this home has served, too
    elsewhere = SETTINGS.replaced({"ledger": {"url": "postgresql://trader:hush@127.0.0.1:1/ledger"}})
    other = back_up(home, elsewhere, tmp_path / "two")
    assert [file.name for file in other.files] == ["durable-orders.yaml", "state-live1.json", STATE, "temporal.db"]
    assert ["pg_dump" in words for words in other.left_out] == [True]
    assert (tmp_path / "two" / "durable-orders.yaml").read_text() == "account: desk\n"


def test_every_account_of_the_ledger_is_halted_in_it(home: Home, tmp_path: Path) -> None:
    """Whichever the settings name after it was put back; one that has done nothing yet, too."""
    with open_database(home.ledger_url(SETTINGS)) as ledger:
        for account in ("other", "third"):
            fix_mode(ledger, account, Mode.PAPER, datetime.now(UTC))
    back_up(home, SETTINGS, tmp_path / "one")
    restored = Home(tmp_path / "one")
    with restored.open_ledger(SETTINGS) as ledger:
        for account in ("other", "paper", "third"):
            check_state(ledger, account)
            with ledger.read() as connection:
                assert permission_of(connection, account).state is AccountState.HALTED


def test_what_is_there_is_never_written_over(home: Home, tmp_path: Path) -> None:
    first = back_up(home, SETTINGS, tmp_path / "one")
    with pytest.raises(RefusedError, match="is there already"):
        back_up(home, SETTINGS, Path(first.directory))


def test_a_half_backup_is_none(home: Home, tmp_path: Path) -> None:
    """What an interrupted one left behind does not disturb the next, and a failed one leaves nothing."""
    (tmp_path / f"one{HALF}").mkdir()
    (tmp_path / f"one{HALF}" / "ledger.db").write_bytes(b"half")
    back_up(home, SETTINGS, tmp_path / "one")
    home.temporal_db.write_bytes(b"not a database at all, but long enough to look like one" * 100)
    with pytest.raises(LedgerUnusable, match=r"temporal\.db: cannot be copied: file is not a database"):
        back_up(home, SETTINGS, tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "one"]


def test_nothing_and_nowhere(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="nothing to back up"):
        back_up(Home(tmp_path / "none"), SETTINGS, tmp_path / "one")
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="cannot be written"):
        back_up(Home(tmp_path / "none"), SETTINGS, tmp_path / "file" / "one")
