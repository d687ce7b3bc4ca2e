"""A ledger made anew from what histories tell equals the one that was written as it happened."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.comparing import Comparison, compared
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import enter
from durable_orders.trading.ledger.ledger_writes import Received, Recorded
from durable_orders.trading.ledger.rebuilding import DERIVED, KEPT, Rebuilding, Sources
from durable_orders.trading.ledger.recording import receive, record
from durable_orders.trading.ledger.reservations import reserve
from durable_orders.trading.ledger.tables import events, fills, metadata, orders, strategy_positions
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import Order, OrderType, Product, Side, TradeId
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from tests.ledgers import open_empty_ledger
from tests.properties import FIXTURES_STAY
from tests.trading.ledger.examples import SECOND, START, Recording, Trade, history, new_order, rows

PROVE = settings(FIXTURES_STAY, max_examples=25)
_numbers = count()
BOUGHT, SOLD = (30, Decimal("1500.05")), (30, Decimal("1501.15"))


def as_traded(order: Order, trades: Sequence[Trade], end: BookState) -> list[Recording]:
    """The order's history, with each trade made a moment before it became known."""
    recordings = history(order, trades, end)
    at = [each.order.updated_at - timedelta(milliseconds=200) for each in recordings[1:]]
    return [
        Recording(
            each.order.model_copy(
                update={"fills": tuple(f.model_copy(update={"at": at[n]}) for n, f in enumerate(each.order.fills))}
            ),
            each.entries,
        )
        for each in recordings
    ]


class Desk:
    """Writes into a ledger as workflows do, and remembers what it told of each order."""

    def __init__(self, ledger: Database) -> None:
        self.ledger = ledger
        self.told: dict[str, list[Received | Recorded]] = {}
        self._now = START

    def receive(self, order: Order) -> None:
        at = order.created_at
        self._note(Received(order=order, run_id="run", fingerprint="print", approved=True, at=at))
        with self.ledger.write() as connection:
            receive(connection, order, "run", "print")
            reserve(connection, order, order.price or Decimal(1500), at)

    def record(self, recording: Recording) -> None:
        order, entries = recording.order, recording.entries
        self._note(Recorded(order=order, entries=entries, unsettled=False, at=order.updated_at))
        record(self.ledger, order, entries)

    def trade(self, name: str, *trades: Trade, end: BookState = BookState.COMPLETE, **terms: Any) -> Order:
        """An order from its beginning to its end, which the next one follows."""
        order = new_order(name, self._now, **terms)
        self.receive(order)
        recordings = as_traded(order, trades, end)
        for recording in recordings:
            self.record(recording)
        self._now = recordings[-1].order.updated_at + SECOND
        return recordings[-1].order

    def late(self, order: Order, trade: Trade, number: int) -> None:
        """A trade that the broker reports after the order's end: the account's watch books it, no history tells it."""
        fill = order.fills[0].model_copy(update={"trade_id": TradeId("late"), "quantity": trade[0], "price": trade[1]})
        after = order.model_copy(update={"fills": (*order.fills, fill), "updated_at": order.updated_at + SECOND})
        at = after.updated_at
        said = Entry(sequence=number, type=EventType.ALERT, at=at, message="after its end", status=after.status)
        record(self.ledger, after, [said])

    def adopted(self, name: str, *trades: Trade, tag: str = "") -> None:
        """An order that was found at the broker."""
        own = {"client_order_id": name, "order_id": f"order:paper:{name}", "tag": tag or name, "strategy": "external"}
        order = new_order("x", self._now).model_copy(update=own)
        for recording in as_traded(order, trades, BookState.COMPLETE):
            record(self.ledger, recording.order, recording.entries)

    def forgotten(self, name: str, *trades: Trade) -> Order:
        """One that its history tells of, and the ledger does not."""
        order = new_order(name, self._now)
        self._note(Received(order=order, run_id="run", fingerprint="print", approved=True, at=order.created_at))
        for each in as_traded(order, trades, BookState.COMPLETE):
            at = each.order.updated_at
            self._note(Recorded(order=each.order, entries=each.entries, unsettled=False, at=at))
        return order

    def _note(self, told: Received | Recorded) -> None:
        self.told.setdefault(told.order.order_id, []).append(told)


@pytest.fixture
def desk(ledger: Database) -> Desk:
    return Desk(ledger)


class Rebuild(Protocol):
    def __call__(self, *, with_old: bool = True) -> tuple[Sources, Comparison, Database]: ...


@pytest.fixture
def rebuild(desk: Desk, tmp_path: Path) -> Iterator[Rebuild]:
    """`rebuild()`: what came of it, compared with the old ledger. `rebuild(with_old=False)`: as if that was lost."""
    made: list[Database] = []

    def rebuilt(*, with_old: bool = True) -> tuple[Sources, Comparison, Database]:
        new = open_empty_ledger(tmp_path / f"rebuilt-{next(_numbers)}.db")
        made.append(new)
        with desk.ledger.read() as old:
            rebuilding = Rebuilding(old if with_old else None)
            for order_id, told in sorted(desk.told.items(), reverse=True):
                rebuilding.take(order_id, told)
            sources = rebuilding.write(new)
            with new.read() as connection:
                return sources, compared(old, connection), new

    yield rebuilt
    for database in made:
        database.close()


def feed(database: Database) -> list[tuple[str, int]]:
    return [(row["order_id"], row["sequence"]) for row in rows(database, "events")]


def test_an_order_that_the_ledger_had_forgotten_and_adopted_is_what_its_history_tells(
    desk: Desk, rebuild: Rebuild
) -> None:
    order = desk.forgotten("after-the-backup", BOUGHT)
    desk.adopted("external-1", BOUGHT, tag=order.tag)
    _, _, new = rebuild()
    assert [row["order_id"] for row in rows(new, "orders")] == [order.order_id]
    assert [row["quantity"] for row in rows(new, "positions")] == [30]
    assert [(row["strategy"], row["quantity"]) for row in rows(new, "strategy_positions")] == [(order.strategy, 30)]
    told = {row["order_id"] for row in rows(new, "events")}
    assert told == {order.order_id, "order:paper:external-1"}, "when it was found is still told"


def test_every_table_is_either_told_or_kept() -> None:
    assert {*DERIVED, *KEPT} == set(metadata.tables.values())


days = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.lists(st.tuples(st.integers(1, 40), st.decimals("0.05", "9999.9999", places=4)), max_size=3),
        st.sampled_from([BookState.CANCELLED, BookState.WORKING]),
    ),
    min_size=1,
    max_size=5,
)


@PROVE
@given(days, st.data())
def test_it_equals_the_ledger_that_was_written_as_it_happened(
    ledger: Database, tmp_path: Path, day: list[tuple[Side, list[Trade], BookState]], data: st.DataObject
) -> None:
    """Orders fill in any order among each other: who closed the position, and what each fill earned, is the same."""
    empty(ledger)
    desk = Desk(ledger)
    steps: list[list[Callable[[], None]]] = []
    for number, (side, trades, end) in enumerate(day):
        order = new_order(f"o{number}", quantity=200, side=side)
        told = [lambda each=each: desk.record(each) for each in as_traded(order, trades, end)]
        steps.append([lambda order=order: desk.receive(order), *told])  # type: ignore[misc]
    turns = data.draw(st.permutations([number for number, mine in enumerate(steps) for _ in mine]))
    for turn in turns:
        steps[turn].pop(0)()
    with open_empty_ledger(tmp_path / f"{next(_numbers)}.db") as new, ledger.read() as old:
        rebuilding = Rebuilding(old)
        for order_id, told_of_one in sorted(desk.told.items(), reverse=True):
            rebuilding.take(order_id, told_of_one)
        rebuilding.write(new)
        with new.read() as connection:
            comparison = compared(old, connection)
        assert comparison.differences == ()
        assert comparison.retimed == 0
        assert feed(new) == feed(ledger)
        assert rows(new, "reservations") == rows(ledger, "reservations")


def empty(ledger: Database) -> None:
    with ledger.write() as connection:
        for table in metadata.tables.values():
            connection.execute(sa.delete(table))


def test_a_lost_ledger_is_made_of_the_histories_alone(desk: Desk, rebuild: Rebuild) -> None:
    """Without the old one's feed the time tells who closed the position."""
    desk.trade("b", BOUGHT, BOUGHT)
    desk.trade("a", SOLD, (30, Decimal(1400)), side=Side.SELL)
    resting = desk.trade("c", end=BookState.WORKING, order_type=OrderType.LIMIT, price=Decimal(1490))
    sources, comparison, new = rebuild(with_old=False)
    assert (comparison.differences, sources.replayed_orders) == ((), 3)
    assert feed(new) == feed(desk.ledger)
    standing = {row["order_id"]: row for row in rows(new, "reservations") if row["released_at"] is None}
    assert standing.keys() == {resting.order_id}
    assert standing[resting.order_id]["value"] == Decimal(149_000)


def test_what_moved_positions_without_an_order_is_kept_in_its_place(desk: Desk, rebuild: Rebuild) -> None:
    """Between which fills it came decides what each of them earned."""

    def settle(quantity: int, kind: EntryKind, **content: Any) -> None:
        said = {"symbol": "NSE:INFY", "product": Product.MIS, "quantity": quantity, "kind": kind, "evidence": "by mail"}
        with desk.ledger.write() as connection:
            enter(connection, "paper", PositionEntry(**said | content), START + SECOND)

    desk.trade("a", BOUGHT)
    settle(60, EntryKind.CORPORATE_ACTION)
    desk.trade("b", (30, Decimal(510)), side=Side.SELL)
    settle(-20, EntryKind.CONVERSION, to_product=Product.CNC)
    settle(-15, EntryKind.OTHER, price=Decimal(490))
    desk.trade("c", BOUGHT)
    _, comparison, new = rebuild()
    assert comparison.differences == ()
    assert rows(new, "position_entries") == rows(desk.ledger, "position_entries")
    assert len(rows(new, "position_entries")) == 4


def test_what_only_the_old_ledger_knows_is_kept(desk: Desk, rebuild: Rebuild) -> None:
    cut = desk.trade("cut", BOUGHT, end=BookState.CANCELLED)
    desk.adopted("external-7", (10, Decimal(1400)), (20, Decimal(1390)))
    alert(desk.ledger, "paper", "the order book cannot be read", START)
    desk.late(cut, (5, Decimal(1502)), 9)
    desk.trade("sold", SOLD, (20, Decimal(1500)), side=Side.SELL)
    desk.trade("gone", BOUGHT)
    del desk.told["order:paper:gone"]
    sources, comparison, new = rebuild()
    assert comparison.differences == ()
    assert comparison.retimed == 0
    assert feed(new) == feed(desk.ledger)
    assert sources == Sources(
        replayed_orders=2, adopted_orders=1, other_orders=1, late_events=1, late_fills=1, account_events=1
    )


def test_a_run_that_took_its_order_up_from_the_ledger_keeps_what_came_before(desk: Desk, rebuild: Rebuild) -> None:
    """The first run's history is gone; the second one told only what happened since."""
    desk.trade("a", BOUGHT, BOUGHT)
    desk.told["order:paper:a"] = desk.told["order:paper:a"][-2:]
    sources, comparison, new = rebuild()
    assert comparison.differences == ()
    assert feed(new) == feed(desk.ledger)
    assert (sources.replayed_orders, sources.late_events) == (1, 3)


def test_what_was_told_twice_is_written_once(desk: Desk, rebuild: Rebuild) -> None:
    """A run that was reset tells again what the one before it told."""
    desk.trade("a", BOUGHT)
    desk.told["order:paper:a"] *= 2
    _, comparison, _ = rebuild()
    assert comparison.differences == ()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (sa.delete(orders).where(orders.c.client_order_id == "b"), "orders order:paper:b: only in the histories"),
        (sa.delete(events).where(events.c.sequence == 1), "events order:paper:b 1: only in the histories"),
        (sa.update(events).where(events.c.sequence == 2).values(message="?"), "message is ? in the ledger, "),
        (
            sa.delete(fills).where(fills.c.order_id == "order:paper:a"),
            "fills order:paper:a T999: only in the histories",
        ),
        (sa.update(fills).values(quantity=31), "quantity is 31 in the ledger, 30 rebuilt"),
        (sa.update(fills).values(trade_id="x" + fills.c.trade_id), "fills order:paper:a xT999: only in"),
        (sa.update(orders).values(status="CANCELLED"), "status is CANCELLED in the ledger, FILLED rebuilt"),
        (sa.delete(strategy_positions), "strategy_positions paper manual NSE:INFY MIS: only in the histories"),
        (sa.update(fills).values(realized_pnl=0), "realized_pnl is 0 in the ledger, 33 rebuilt"),
    ],
)
def test_damage_is_named_and_mended(desk: Desk, rebuild: Rebuild, damage: sa.Executable, told: str) -> None:
    desk.trade("a", BOUGHT)
    desk.trade("b", SOLD, side=Side.SELL)
    _, _, whole = rebuild()
    with desk.ledger.write() as connection:
        connection.execute(damage)
    _, comparison, mended = rebuild()
    assert any(told in words for words in comparison.differences), comparison.differences
    assert comparison.different == len(comparison.differences) > 0
    for table in DERIVED:
        assert rows(mended, table.name) == rows(whole, table.name)


def test_a_step_that_a_crash_repeated_differs_in_its_time_alone(desk: Desk, rebuild: Rebuild) -> None:
    order = desk.trade("a", BOUGHT)
    *before, last = desk.told[order.order_id]
    assert isinstance(last, Recorded)
    later = [entry.model_copy(update={"at": entry.at + SECOND}) for entry in last.entries]
    again = last.order.model_copy(update={"updated_at": order.updated_at + SECOND})
    desk.told[order.order_id] = [*before, last.model_copy(update={"order": again, "entries": tuple(later)})]
    _, comparison, _ = rebuild()
    assert (comparison.differences, comparison.equal, comparison.retimed) == ((), True, 2)
