"""Statements that are compiled once give what they gave, take what they took, and fail as they failed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import Moment, Money
from tests.trading.ledger.test_reading import statements

BIRTH = datetime(2026, 11, 30, 9, 15, tzinfo=UTC)
things = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("price", Money),
    sa.Column("since", Moment),
    sa.Column("depth", sa.JSON),
    sa.Column("is_new", sa.Boolean, nullable=False, default=True),
    sa.Column("number", sa.Integer, nullable=False),
)
KNOWN = {"price": Decimal("1500.05"), "since": BIRTH, "depth": {"bids": [["1", 2]]}, "is_new": False, "number": 7}
OF_NAME = things.c.name == sa.bindparam("own")
INSERT = sa.insert(things)
RENUMBER = sa.update(things).where(OF_NAME).values(number=things.c.number + 1).returning(things.c.number)
ONE = sa.select(things, sa.literal("thing").label("kind")).where(OF_NAME, things.c.number > 6)
SAME: dict[str, sa.Executable] = {"insert": INSERT, "renumber": RENUMBER, "one": ONE}
MARKED = {"insert": prepared(sa.insert(things)), "renumber": prepared(RENUMBER.where()), "one": prepared(ONE.where())}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'ledger.db'}") as database:
        with database.write() as connection:
            things.create(connection)
        yield database


@pytest.mark.parametrize("use", [SAME, MARKED], ids=["as ever", "prepared"])
def test_what_goes_in_comes_out(ledger: Database, use: dict[str, sa.Executable]) -> None:
    nothing = dict.fromkeys(("price", "since", "depth"))
    with ledger.write() as connection:
        connection.execute(use["insert"], {"name": "a"} | KNOWN)
        connection.execute(use["insert"], [{"name": name} | KNOWN | nothing for name in ("b", "c")])
        assert [connection.execute(use["renumber"], {"own": own}).scalar_one_or_none() for own in "az"] == [8, None]
    with ledger.read() as connection:
        row = connection.execute(use["one"], {"own": "a"}).one()
        assert dict(row._mapping) == {"name": "a"} | KNOWN | {"number": 8, "kind": "thing"}
        assert row.price == row[1] == KNOWN["price"]
        assert connection.execute(use["one"], {"own": "b"}).mappings().one()["since"] is None
        assert connection.execute(use["one"], {"own": "z"}).all() == []


@pytest.mark.parametrize("use", [SAME, MARKED], ids=["as ever", "prepared"])
def test_errors_are_those_of_sqlalchemy(ledger: Database, use: dict[str, sa.Executable]) -> None:
    row = {"name": "a"} | KNOWN
    with ledger.write() as connection:
        connection.execute(use["insert"], row)
        with pytest.raises(sa.exc.IntegrityError, match="UNIQUE"):
            connection.execute(use["insert"], row)
        with pytest.raises(sa.exc.StatementError, match="bind parameter 'own'"):
            connection.execute(use["one"], {"other": "a"})
        with pytest.raises(sa.exc.StatementError, match="four places"):
            connection.execute(use["insert"], row | {"name": "b", "price": Decimal("0.00001")})
        assert connection.execute(use["one"], {"own": "b"}).all() == []


def test_a_default_of_the_table_is_kept(ledger: Database) -> None:
    """What SQLAlchemy has to fill in itself is left to it."""
    with ledger.write() as connection:
        connection.execute(MARKED["insert"], {"name": "a", "number": 7})
        assert connection.execute(MARKED["one"], {"own": "a"}).one().is_new is True


def test_who_listens_to_the_statements_hears_them(ledger: Database) -> None:
    with statements(ledger) as sent, ledger.read() as connection:
        connection.execute(MARKED["one"], {"own": "a"})
    assert any("things" in each for each in sent)
