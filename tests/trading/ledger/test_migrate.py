import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import NEWEST, SCRIPTS, open_database
from durable_orders.trading.ledger.tables import metadata
from tests.ledgers import empty_ledger
from tests.trading.ledger.conftest import PostgresServer
from tests.trading.ledger.examples import enter, everything, new_order
from tests.trading.ledger.permissions import bound_by_permissions
from tests.trading.ledger.processes import at_once

UNREACHABLE = "postgresql://trader:hush@127.0.0.1:1/ledger"


def explanation(url: str) -> str:
    """The one line that opening fails with."""
    with pytest.raises(LedgerUnusable) as failure:
        open_database(url)
    assert "\n" not in str(failure.value)
    return str(failure.value)


def test_the_newest_revision_is_the_one_shipped() -> None:
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    assert ScriptDirectory.from_config(config).get_heads() == [NEWEST]


def test_the_migrated_tables_are_those_of_the_program(url: str) -> None:
    with open_database(url) as database, database.read() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        keys = {name: sa.inspect(connection).get_pk_constraint(name) for name in metadata.tables}
    for name, table in metadata.tables.items():
        assert keys[name]["constrained_columns"] == [column.name for column in table.primary_key]
        assert keys[name]["name"] == f"pk_{name}"


def test_the_indices_of_a_part_of_the_rows_are_those_of_the_program(tmp_path: Path) -> None:
    said = {index.name: index.info.get("where") for table in metadata.tables.values() for index in table.indexes}
    with open_database(f"sqlite:///{tmp_path / 'ledger.db'}") as database, database.read() as connection:
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOTNULL")
        wheres = {name: sql.partition(" WHERE ")[2] or None for name, sql in made}
    assert wheres == said


def test_opening_again_keeps_what_is_there(url: str) -> None:
    with open_database(url) as database:
        enter(database, new_order())
        before = everything(database)
    with open_database(url) as database:
        assert everything(database) == before


def test_processes_that_open_a_new_ledger_at_once_all_succeed(url: str) -> None:
    at_once([("durable_orders.trading.ledger.migrate:open_database", (url,))] * 2)
    with open_database(url) as database:
        assert enter(database, new_order()) is None


def test_an_interrupted_upgrade_leaves_nothing_and_can_be_repeated(url: str) -> None:
    def interrupt(*arguments: object) -> None:
        if "CREATE TABLE reservations" in str(arguments[2]):
            raise ConnectionError("pulled the plug")

    sa.event.listen(sa.Engine, "before_cursor_execute", interrupt)
    try:
        assert "pulled the plug" in explanation(url)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", interrupt)
    with Database(url) as database, database.read() as connection:
        assert sa.inspect(connection).get_table_names() == []
    with open_database(url) as database:
        assert enter(database, new_order()) is None


def test_the_daily_opening_does_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_database(url).close()
    program = "import sys; from durable_orders.trading.ledger.migrate import open_database"
    program += "; open_database(sys.argv[1]).close(); sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program, url], check=True)


def test_the_directory_is_made(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'home' / 'of' / 'ledger.db'}").close()
    assert (tmp_path / "home" / "of" / "ledger.db").exists()


def test_a_newer_revision_is_left_alone(url: str) -> None:
    with open_database(url) as database, database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert f"is at revision 9999, of a newer program; this one knows up to {NEWEST}" in explanation(url)


def test_tables_of_another_program_are_left_alone(url: str) -> None:
    with Database(url) as database, database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (pizza TEXT)")
    assert "has a table 'orders' that is not the ledger's" in explanation(url)


@pytest.mark.parametrize(
    "content", [b"not a database at all", bytes(range(256)) * 64, b"SQLite format 3\0" + b"?" * 84]
)
def test_garbage_is_not_a_ledger(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(content)
    assert explanation(f"sqlite:///{file}") == f"ledger {file}: file is not a database"
    assert file.read_bytes() == content


def test_a_half_written_file_is_not_a_ledger(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(empty_ledger(file).read_bytes()[:6000])
    assert explanation(f"sqlite:///{file}") == f"ledger {file}: database disk image is malformed"


def test_a_directory_is_not_a_ledger(tmp_path: Path) -> None:
    assert explanation(f"sqlite:///{tmp_path}") == f"ledger {tmp_path}: is a directory, must be a file"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    file = tmp_path / "home" / "ledger.db"
    assert explanation(f"sqlite:///{file}") == f"ledger {file}: {file.parent} is a file, and must be a directory"


def test_a_directory_that_cannot_be_written(public_directory: Path) -> None:
    public_directory.chmod(0o555)
    file = public_directory / "ledger.db"
    with bound_by_permissions(public_directory):
        told = explanation(f"sqlite:///{file}")
    assert told == f"ledger {file}: the directory {public_directory} is not writable"


def test_a_file_that_cannot_be_written(public_directory: Path) -> None:
    file = public_directory / "ledger.db"
    empty_ledger(file)
    file.chmod(0o444)
    with bound_by_permissions(public_directory):
        assert explanation(f"sqlite:///{file}") == f"ledger {file}: the file is not writable"


def test_a_server_that_is_not_there() -> None:
    told = explanation(UNREACHABLE)
    assert told.startswith("ledger postgresql://trader@127.0.0.1:1/ledger: ")
    assert "Connection refused" in told
    assert "hush" not in told


def test_a_password_is_not_shown_even_where_the_driver_does() -> None:
    told = explanation(f"{UNREACHABLE}?sslmode=hush")
    assert "invalid sslmode value" in told
    assert "hush" not in told


def test_a_wrong_password(postgres: PostgresServer) -> None:
    url = postgres.url_with_login("wrong-and-secret")
    told = explanation(url)
    assert "password authentication failed" in told
    assert "secret" not in told


def test_a_database_that_is_not_there(postgres: PostgresServer) -> None:
    assert 'database "nowhere" does not exist' in explanation(postgres.url_of("nowhere"))


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("", "not a database URL"),
        ("ledger.db", "not a database URL"),
        ("postgresql://trader:hush@host:port/ledger", "not a database URL"),
        ("mysql://trader:hush@host/ledger", "must begin with sqlite:/// or postgresql://"),
        ("postgresql+asyncpg://trader:hush@host/ledger", "must begin with sqlite:/// or postgresql://"),
        ("postgresql://trader:hush@secret@host/ledger", "an @ in the password must be written as %40"),
        ("sqlite:///a\0b", "must be one line of text"),
        ("sqlite:///a\nb", "must be one line of text"),
        ("sqlite:///\ud800", "not a database URL"),
        ("sqlite://host/ledger.db", "SQLite takes a file's path and nothing else"),
        ("sqlite://", "SQLite takes a file's path and nothing else"),
        ("sqlite:///:memory:", "SQLite takes a file's path and nothing else"),
        ("sqlite:///ledger.db?timeout=5", "SQLite takes a file's path and nothing else"),
        ("sqlite:///file:ledger?mode=memory&uri=true", "SQLite takes a file's path and nothing else"),
    ],
)
def test_a_url_that_is_not_one(url: str, rule: str) -> None:
    told = explanation(url)
    assert told.startswith(f"ledger.url: {rule}")
    assert "hush" not in told
    assert "secret" not in told
