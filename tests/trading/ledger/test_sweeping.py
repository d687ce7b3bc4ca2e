"""What leaked is found and told, and nothing else is."""

from decimal import Decimal

import sqlalchemy as sa

from durable_orders.activities.account_monitor import AccountMonitor
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import events_after
from durable_orders.trading.ledger.reservations import reserve
from durable_orders.trading.ledger.sweeping import Leak, sweep
from durable_orders.trading.ledger.tables import orders, reservations
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Order
from tests.trading.ledger.examples import START, enter, everything, history, limit_order, new_order, record_all
from tests.workflows.scripted_broker import ScriptedBroker


def approved(ledger: Database, name: str) -> Order:
    order = limit_order(name)
    enter(ledger, order)
    with ledger.write() as connection:
        reserve(connection, order, Decimal(1500), START)
    return order


def tamper(ledger: Database, statement: sa.Update | sa.Delete) -> None:
    with ledger.write() as connection:
        connection.execute(statement)


def test_orders_in_all_states_leak_nothing(ledger: Database) -> None:
    approved(ledger, "pending")
    record_all(ledger, history(approved(ledger, "placed"), []))
    record_all(ledger, history(approved(ledger, "partial"), [(30, Decimal(1500)), (20, Decimal(1499))]))
    record_all(ledger, history(approved(ledger, "filled"), [(100, Decimal(1500))], BookState.COMPLETE))
    record_all(ledger, history(approved(ledger, "cancelled"), [(7, Decimal(1500))], BookState.CANCELLED))
    record_all(ledger, history(new_order("found"), [(7, Decimal(1500))]))
    enter(ledger, new_order("refused"))
    assert sweep(ledger, "paper") == []


def test_every_leak_is_told_and_left_alone(ledger: Database) -> None:
    for name in ("ended", "gone", "more", "none", "other"):
        record_all(ledger, history(approved(ledger, name), [(30, Decimal(1500))]))
    tamper(ledger, sa.update(orders).where(orders.c.client_order_id == "ended").values(status="CANCELLED"))
    tamper(ledger, sa.delete(orders).where(orders.c.client_order_id == "gone"))
    tamper(ledger, sa.update(orders).where(orders.c.client_order_id == "more").values(filled_quantity=50))
    tamper(ledger, sa.delete(reservations).where(reservations.c.order_id == "order:paper:none"))
    before = everything(ledger)
    assert sweep(ledger, "paper") == [
        Leak("order:paper:ended", "70 stay reserved for an order that is CANCELLED"),
        Leak("order:paper:gone", "70 stay reserved for an order that the ledger does not know"),
        Leak("order:paper:more", "70 are reserved, and the order may still trade 50"),
        Leak("order:paper:none", "open at the broker for 70, and nothing is reserved"),
    ]
    assert sweep(ledger, "other") == []
    assert everything(ledger) == before


def test_the_watch_reports_a_leak_once(ledger: Database) -> None:
    concerns = AccountMonitor(Account("paper"), ScriptedBroker(), ledger)
    concerns.report_leaks()
    record_all(ledger, history(approved(ledger, "ended"), [(30, Decimal(1500))]))
    tamper(ledger, sa.update(orders).where(orders.c.client_order_id == "ended").values(status="CANCELLED"))
    for _ in range(2):
        concerns.report_leaks()
    with ledger.read_feed() as connection:
        alerts = [event.message for event in events_after(connection, 0) if event.type is EventType.ALERT]
    assert alerts == ["the reservations are wrong: order:paper:ended: 70 stay reserved for an order that is CANCELLED"]
