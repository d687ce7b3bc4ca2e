"""The chain of certificates, in the ledger and in an export of it, on both databases."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from durable_orders.export import export
from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger.certificates import broken_certificates, canonical, certify
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.tables import events
from durable_orders.trading.orders.book import BookState
from tests.trading.ledger.examples import enter, history, new_order, record_all

BODY = canonical({"figures": {"orders": 1}, "differences": []})


def test_an_export_has_what_the_ledger_has_and_is_broken_where_it_is(ledger: Database, tmp_path: Path) -> None:
    for day, name in ((5, "first"), (6, "second")):
        enter(ledger, order := new_order(name))
        record_all(ledger, history(order, [(100, Decimal("1500.05"))], BookState.COMPLETE))
        at = datetime(2026, 1, day, 11, tzinfo=UTC)
        with ledger.write() as connection:
            certify(connection, "paper", date(2026, 1, day), BODY, at)
    with ledger.read() as connection:
        whole = export(connection, "paper", tmp_path / "whole", RealizedBy.AVERAGE, at)
        assert broken_certificates(connection, "paper") == {}
    assert (whole.certificates, whole.events, whole.uncertified, whole.differences) == (2, 8, 0, ())
    with ledger.write() as connection:
        of_second = sa.and_(events.c.order_id == order.order_id, events.c.sequence == 1)
        connection.execute(sa.update(events).where(of_second).values(message="otherwise"))
    with ledger.read() as connection:
        changed = export(connection, "paper", tmp_path / "changed", RealizedBy.AVERAGE, at)
        named = broken_certificates(connection, "paper")
    assert named == {"certificate 2 of 2026-01-06": "the events are not those that it was made of"}
    assert {each.about: each.words for each in changed.differences} == named
