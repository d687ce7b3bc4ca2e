"""`verify` over a real server and the production workers: it finds what is planted, and nothing else."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from durable_orders.histories import runs_of
from durable_orders.trading.brokers.dry_run import DryRun
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.ledger.tables import fills, orders, positions
from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.order import BrokerOrderId, OrderType, Side, Status
from durable_orders.verify import LOOKS, Findings, Verification, verify
from tests.conftest import eventually
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Desks
from tests.workflows.desk import Desk
from tests.workflows.scripted_broker import ScriptedBroker


def verification(desk: Desk) -> Verification:
    return Verification(desk.orders, DryRun(desk.broker))


async def listed(desk: Desk, count: int, opened: int) -> None:
    """Until the server's list shows so many orders, and so many of them as open."""

    async def caught_up() -> bool:
        runs = [each for mine in (await runs_of(desk.client, desk.account)).values() for each in mine]
        return (len(runs), sum(run.is_open for run in runs)) == (count, opened)

    await eventually(caught_up, "the list of workflows")


@pytest.fixture
async def traded(desk: Desk) -> Desk:
    """A desk with an order that is filled, one that is half filled, one cancelled and one refused."""
    await (await desk.start(says.fills_at_once, order_type=OrderType.MARKET, client_order_id="filled")).result()
    half = await desk.start(client_order_id="half", side=Side.SELL)
    await half.placed()
    row = next(row for row in desk.broker.rows.values() if row.state is BookState.WORKING)
    desk.broker.trade(row.broker_order_id, 4)
    await desk.look()
    await desk.recorded(half, Status.PARTIAL)
    cut = await desk.start(client_order_id="cut")
    await cut.placed()
    await cut.cancel()
    await (await desk.start(client_order_id="refused", price=Decimal("1500.01"))).result()
    await listed(desk, 4, 1)
    return desk


def said(findings: Findings) -> list[str]:
    about = (re.sub(r"^order:[^:]+:", "", each.about) for each in findings.differences)
    return [f"{each.between} {name}: {each.words}" for each, name in zip(findings.differences, about, strict=True)]


async def test_what_agrees_is_counted(traded: Desk) -> None:
    """The refused order never was at the broker, and nobody misses it there."""
    findings = await verify(traded.orders, DryRun(traded.broker))
    assert findings == Findings(differences=(), orders=4, adopted=0, forgotten=0, rows=3, trades=2, positions=1)


def of(name: str) -> sa.ColumnElement[bool]:
    return orders.c.client_order_id == name


def its(table: sa.Table, name: str) -> sa.ColumnElement[bool]:
    return table.c.order_id.endswith(f":{name}")


IN_THE_LEDGER: dict[str, tuple[sa.Executable, list[str]]] = {
    "another status": (
        sa.update(orders).where(of("cut")).values(status="EXPIRED"),
        [
            "history cut: status is EXPIRED in the ledger, CANCELLED in the history",
            "broker cut: EXPIRED in the ledger, CANCELLED at the broker",
        ],
    ),
    "another limit": (
        sa.update(orders).where(of("cut")).values(price=Decimal(1499)),
        ["history cut: price is 1499 in the ledger, 1500.0 in the history"],
    ),
    "no reasons": (
        sa.update(orders).where(of("refused")).values(reasons=[]),
        ["history refused: reasons is nothing in the ledger, TICK_SIZE: "],
    ),
    "rows that make no order": (
        sa.delete(fills).where(its(fills, "half")),
        [
            "ledger half: its rows make no order: status: a PARTIAL order has fills",
            "ledger NSE:INFY MIS: the position is 6 for 9000 rupees, its fills add up to 10 for 15000 rupees",
        ],
    ),
    "another price of a fill": (
        sa.update(fills).where(its(fills, "half")).values(price=Decimal(1501)),
        [
            "history half: trade T2 is 4 at 1501 and 4 at 1500.0 in the ledger and in its history",
            "broker half: trade T2 is 4 at 1501 and 4 at 1500.0 in the ledger and in the broker's trades",
            "ledger NSE:INFY MIS: the position is 6 for 9000 rupees, its fills add up to 6 for 8996 rupees",
        ],
    ),
    "another trade": (
        sa.update(fills).where(its(fills, "filled")).values(trade_id="T9"),
        [
            "history filled: trade T1 is in its history, and not in the ledger",
            "history filled: trade T9 is in the ledger, and not in its history",
            "broker filled: trade T1 is in the broker's trades, and not in the ledger",
            "broker filled: trade T9 is in the ledger, and not in the broker's trades",
        ],
    ),
    "an order that is lost": (
        sa.delete(orders).where(of("refused")),
        ["history refused: REJECTED by its history, not in the ledger"],
    ),
    "another broker order": (
        sa.update(orders).where(of("cut")).values(broker_order_id="7"),
        [
            "history cut: its broker order is 7 in the ledger, 2000000000000000002 in the history",
            "broker cut: CANCELLED in the ledger, not in the broker's book",
            "broker 2000000000000000002: BUY 10 NSE:INFY CANCELLED at the broker, and no order of the ledger",
        ],
    ),
    "another position": (
        sa.update(positions).values(quantity=7),
        [
            "ledger NSE:INFY MIS: the position is 7 for 9000 rupees, its fills add up to 6 for 9000 rupees",
            "broker NSE:INFY MIS: 7 held in the ledger, 6 at the broker",
        ],
    ),
}


@pytest.mark.parametrize("name", IN_THE_LEDGER)
async def test_what_is_planted_in_the_ledger_is_found(traded: Desk, name: str) -> None:
    damage, expected = IN_THE_LEDGER[name]
    with traded.parts.database.write() as connection:
        connection.execute(damage)
    found = said(await verification(traded).look(None))
    assert len(found) == len(expected)
    assert all(one.startswith(words) for one, words in zip(found, expected, strict=True)), found


def fills_more(broker: ScriptedBroker, order_id: BrokerOrderId) -> None:
    broker.trade(order_id, 1)


def ends(broker: ScriptedBroker, order_id: BrokerOrderId) -> None:
    broker.end(order_id, BookState.CANCELLED)


def changes(broker: ScriptedBroker, order_id: BrokerOrderId) -> None:
    broker.update(order_id, price=Decimal("1490.0"))


def vanishes(broker: ScriptedBroker, order_id: BrokerOrderId) -> None:
    del broker.rows[order_id]
    broker.fills.pop()


AT_THE_BROKER: dict[Callable[[ScriptedBroker, BrokerOrderId], None], list[str]] = {
    fills_more: [
        "broker half: 4 filled in the ledger, 5 at the broker",
        "broker half: trade T3 is in the broker's trades, and not in the ledger",
        "broker NSE:INFY MIS: 6 held in the ledger, 5 at the broker",
    ],
    ends: ["broker half: PARTIAL in the ledger, CANCELLED at the broker"],
    changes: ["broker half: the broker's book says more: price is now 1490.0"],
    vanishes: [
        "broker half: PARTIAL in the ledger, not in the broker's book",
        "broker NSE:INFY MIS: 6 held in the ledger, 10 at the broker",
    ],
}


@pytest.mark.parametrize("happens", AT_THE_BROKER, ids=lambda happens: happens.__name__)
async def test_what_only_the_broker_knows_is_found(
    traded: Desk, happens: Callable[[ScriptedBroker, BrokerOrderId], None]
) -> None:
    row = next(row for row in traded.broker.rows.values() if row.state is BookState.WORKING)
    happens(traded.broker, row.broker_order_id)
    assert said(await verification(traded).look(None)) == AT_THE_BROKER[happens]


class Behind(DryRun):
    """Shows an old book at first, as a broker's cache does."""

    def __init__(self, broker: ScriptedBroker, readings: int) -> None:
        super().__init__(broker)
        self.old_readings = readings

    def order_book(self) -> list[BrokerOrder]:
        self.old_readings -= 1
        rows = super().order_book()
        return rows if self.old_readings < 0 else [replace(row, filled_quantity=0) for row in rows]


@pytest.mark.parametrize(("readings", "agree"), [(1, True), (LOOKS, False)])
async def test_a_difference_counts_when_it_stays(traded: Desk, readings: int, agree: bool) -> None:
    broker = Behind(traded.broker, readings)
    findings = await verify(traded.orders, broker)
    assert (findings.differences == ()) is agree
    assert broker.old_readings < 1


async def test_a_book_that_cannot_be_read_proves_nothing(traded: Desk) -> None:
    traded.broker.unreadable = True
    with pytest.raises(BookUnreadable):
        await verify(traded.orders, DryRun(traded.broker))


async def test_orders_found_at_the_broker_have_no_history_to_agree_with(traded: Desk) -> None:
    stranger = (await traded.orders.handle("cut").now()).model_copy(update={"tag": "by hand"})
    traded.broker.trade(traded.broker.take(stranger), 10)
    assert len((await verification(traded).look(None)).differences) == 2  # the row, and the position
    await traded.look()
    findings = await verification(traded).look(None)
    assert (findings.differences, findings.orders, findings.adopted) == ((), 5, 1)


async def test_an_open_order_that_nobody_follows(traded: Desk) -> None:
    await traded.workflow(traded.orders.handle("half")).terminate()
    await listed(traded, 4, 0)
    findings = await verification(traded).look(None)
    assert said(findings) == ["history half: PARTIAL, and its workflow has ended: nobody follows it"]


async def test_an_order_that_waits_for_a_worker_is_no_difference(desks: Desks) -> None:
    desk = await desks(staffed=False)
    await desk.start()
    await listed(desk, 1, 1)
    assert (await verification(desk).look(None)).differences == ()


async def test_a_trade_that_came_after_the_end_is_the_ledgers_alone(traded: Desk) -> None:
    """The watch has booked it; the order's workflow had ended by then."""
    cut = await traded.orders.handle("cut").now()
    assert cut.broker_order_id is not None
    traded.broker.trade(cut.broker_order_id, 3)
    found = said(await verification(traded).look(None))
    assert "broker cut: 0 filled in the ledger, 3 at the broker" in found
    await traded.look()
    assert (await traded.orders.handle("cut").now()).filled_quantity == 3
    assert said(await verification(traded).look(None)) == []
