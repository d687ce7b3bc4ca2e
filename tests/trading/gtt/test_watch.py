"""The account's watch over the broker's list, reading by reading, with a broker that shows what a test says."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from durable_orders.activities import gtt_watch
from durable_orders.activities.gtt_watch import GttWatch, Placed
from durable_orders.trading.brokers.kite.gtt import gtt_from
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.gtt.gtt import BrokerGtt, BrokerLeg, GttIntent, GttLeg, GttStatus, LegResult, TriggerId
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.gtts import find_gtt, record_gtt, settle_gtt
from durable_orders.trading.ledger.reading import events_of, find_order, strategy_positions_of
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.settling import settle
from durable_orders.trading.ledger.tables import events
from durable_orders.trading.orders.book import BookState, OrderReport
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.lifecycle import Reported, step
from durable_orders.trading.orders.order import Account, BrokerOrderId, Fill, Mode, Product, Status, TradeId
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.trading.plans.by_gtt import order_of
from durable_orders.trading.reconciliation.external_orders import ExternalKind, adopted
from tests.ledgers import open_empty_ledger
from tests.trading.ledger.examples import row_of

AT = datetime.now(UTC)
OWN = BrokerOrderId("9")
"""Of the order that it places."""
ASKED = GttIntent(
    symbol="NSE:INFY",
    side="SELL",
    legs=(GttLeg(trigger_price=Decimal(1400), price=Decimal(1399), quantity=10),),
    gtt_id="exit",
    strategy="swing",
)


def row(number: int = 112, price: int = 1399, result: LegResult | None = None, **known: Any) -> BrokerGtt:
    leg = BrokerLeg(Decimal(1400), "SELL", 10, "CNC", "LIMIT", Decimal(price), result)
    content: dict[str, Any] = {"status": GttStatus.ACTIVE, "legs": (leg,), "created_at": AT, "expires_at": None}
    return BrokerGtt(trigger_id=TriggerId(str(number)), symbol="NSE:INFY", **content | known)


class ListedGtts:
    """The list of a `GttBroker`. `meanwhile` happens between its answer and its arrival."""

    def __init__(self) -> None:
        self.rows: list[BrokerGtt] = []
        self.meanwhile: Callable[[], None] | None = None
        self.is_unreadable = False

    def gtts(self) -> list[BrokerGtt]:
        if self.is_unreadable:
            raise BookUnreadable("at the limit")
        rows, meanwhile, self.meanwhile = self.rows, self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return rows

    def gtt(self, trigger_id: TriggerId) -> BrokerGtt:
        found = next((row for row in self.gtts() if row.trigger_id == trigger_id), None)
        if found is None:
            raise BookUnreadable("Trigger not found.")
        return found


class Watched:
    """A watch, its ledger, and the list that it reads."""

    def __init__(self, database: Database) -> None:
        self.database, self.broker = database, ListedGtts()
        self.watch = GttWatch("paper", database, self.broker, 3, ThreadPoolExecutor(1))  # type: ignore[arg-type]

    def record(self, state: GttState) -> None:
        with self.database.write() as connection:
            record_gtt(connection, state, datetime.now(UTC))

    def state(self, gtt_id: str = "exit") -> GttState:
        with self.database.read() as connection:
            found = find_gtt(connection, "paper", gtt_id)
        assert found is not None
        return found[0]

    def reads(self, *rows: BrokerGtt) -> None:
        self.broker.rows = list(rows)
        self.watch.read()

    def said(self) -> list[tuple[str, str]]:
        with self.database.read() as connection:
            return [tuple(each) for each in connection.execute(sa.select(events.c.type, events.c.message))]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        found = Watched(database)
        found.record(GttState.of(ASKED, AT).updated(sent_at=AT, attempts=1).shown(row()))
        yield found


@pytest.mark.parametrize("newer", [row(status=GttStatus.DELETED), row(status=GttStatus.DISABLED), row(price=1398)])
def test_what_was_recorded_while_the_list_was_read_is_newer(watched: Watched, newer: BrokerGtt) -> None:
    watched.reads(row())
    watched.broker.meanwhile = lambda: watched.record(watched.state().shown(newer))
    watched.reads(row())
    assert watched.state() == watched.state().shown(newer)
    assert watched.said() == []
    watched.reads(newer)
    watched.reads(row(price=1397, status=newer.status))
    assert watched.state().legs[0].price == 1397, "from the next reading on it is followed"


@pytest.mark.parametrize("status", [status for status in GttStatus if status.is_final])
def test_no_list_takes_a_final_status_back(watched: Watched, status: GttStatus) -> None:
    for _ in range(2):
        watched.reads(row(status=status))
    before = watched.said()
    watched.reads(row(price=1398))
    assert (watched.state().status, watched.state().legs[0].price) == (status, Decimal(1399))
    assert watched.said() == before


def test_one_that_the_broker_does_not_show_is_not_known_to_be_there(watched: Watched) -> None:
    """What it is the stop of is not protected by it."""
    for _ in range(2):
        watched.reads()
        assert (watched.state().status, watched.state().absent_since is None) == (GttStatus.ACTIVE, False)
        assert order_of(watched.state(), AT).status is Status.UNKNOWN
        watched.reads(row())
        assert order_of(watched.state(), AT).status is Status.PLACED
    said = "GTT exit: the broker does not show it as 112 (Trigger not found.): look at it there"
    assert watched.said() == [("alert", said)], "once"


def test_what_a_human_rejected_and_the_list_shows_is_told(watched: Watched) -> None:
    watched.record(watched.state().rejected("settled by hand, not at the broker"))
    for _ in range(2):
        watched.reads(row())
    assert (watched.state().status, watched.state().reasons) == (GttStatus.ACTIVE, ())
    words = "GTT exit: ACTIVE at the broker as 112 after all; it had been REJECTED: settled by hand, not at the broker"
    assert watched.said() == [("alert", words)]


def settled_as_none(watched: Watched, **known: Any) -> None:
    """By a human, a minute after it was sent."""
    watched.record(GttState.of(ASKED, AT).updated(sent_at=AT, attempts=1, status=GttStatus.UNKNOWN, **known))
    with watched.database.write() as connection:
        at = AT + timedelta(minutes=1)
        settle_gtt(connection, "paper", "exit", None, "not in the app", at, timedelta(minutes=1))


def test_what_a_human_said_not_to_be_there_and_turns_up_is_it(watched: Watched) -> None:
    settled_as_none(watched, trigger_id=TriggerId("777"), is_settled=True)
    assert (watched.state().status, watched.state().trigger_id) == (GttStatus.REJECTED, None)
    for _ in range(2):
        watched.reads(row(113))
    assert (watched.state().status, watched.state().trigger_id) == (GttStatus.ACTIVE, "113")
    assert watched.said()[-1] == (
        "alert",
        "GTT exit: ACTIVE at the broker as 113 after all; it had been REJECTED: "
        "settled by hand, not at the broker: not in the app",
    )


def test_what_a_human_said_not_to_be_it_is_not(watched: Watched) -> None:
    """Neither what the list had shown by then, nor what somebody places long after."""
    settled_as_none(watched, candidates=(TriggerId("113"),))
    watched.reads(row(113), row(114, created_at=AT + timedelta(minutes=3)))
    assert watched.state().status is GttStatus.REJECTED
    assert [watched.state(f"external-{number}").status for number in (113, 114)] == [GttStatus.ACTIVE] * 2


def test_the_row_that_a_human_said_it_is_must_have_its_content(watched: Watched) -> None:
    watched.record(
        GttState.of(ASKED, AT).updated(
            sent_at=AT, status=GttStatus.UNKNOWN, trigger_id=TriggerId("55"), is_settled=True
        )
    )
    other = replace(row(55), symbol="NSE:SBIN")
    watched.reads(other)
    assert (watched.state().status, watched.state().trigger_id) == (GttStatus.UNKNOWN, None)
    assert ("alert", "GTT exit: it was settled by hand as 55, which is another one at the broker: settle it again") in (
        watched.said()
    )
    watched.reads(other)
    assert watched.state("external-55").status is GttStatus.ACTIVE, "it is followed as what it is"


def kites(status: str = "", order_id: str = "", reason: str = "", **result: Any) -> BrokerGtt:
    """The row of a triggered one, in Kite's words, with what it says of its order."""
    terms = {"transaction_type": "SELL", "quantity": 10, "product": "CNC", "order_type": "LIMIT", "price": 1399}
    told = {"status": status, "order_id": order_id, "rejection_reason": reason}
    content = {"triggered_at": 1399.5, "order_result": told} | result
    condition = {"exchange": "NSE", "tradingsymbol": "INFY", "trigger_values": [1400]}
    found = {"id": 112, "status": "triggered", "condition": condition, "orders": [terms | {"result": content}]}
    return gtt_from(found)


def placed_by_it(watched: Watched, state: BookState = BookState.WORKING, filled: int = 0) -> OrderReport:
    """The book's row of an hour ago that the GTT has placed, and its trade."""
    (order,) = ASKED.orders(AT - timedelta(hours=1))
    fill = Fill(trade_id=TradeId("T1"), broker_order_id=OWN, quantity=filled or 1, price=Decimal(1399), at=AT)
    fills = (fill,) if filled else ()
    return OrderReport(row=replace(row_of(order, OWN, fills, state), tag=None), fills=fills)


@pytest.mark.parametrize(
    "half",
    [kites(), kites("success"), kites("pending", reason="soon"), kites(order_result=None), kites(order_result={})],
)
def test_a_result_that_is_half_told_is_none(watched: Watched, half: BrokerGtt, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.reads(half)
    assert (watched.state().status, watched.state().results) == (GttStatus.TRIGGERED, ())
    assert watched.said() == []
    monkeypatch.setattr(gtt_watch, "RESULT_WITHIN", timedelta(0))
    for _ in range(2):
        watched.reads(half)
    words = "GTT exit: TRIGGERED at the broker, which does not say what came of its order: look at it there"
    assert watched.said() == [("alert", words)]
    watched.reads(kites("success", "9"))
    assert watched.said()[1:] == [("gtt_updated", "GTT exit: TRIGGERED at 1399.5: order 9 was placed")]


def test_only_what_failed_was_refused(watched: Watched) -> None:
    watched.reads(kites("failed", reason="outside the circuit"))
    [(kind, words)] = watched.said()
    assert (kind, words.endswith("so that nothing was placed: outside the circuit")) == ("alert", True)


def test_an_order_waits_for_the_list_however_old_it_is(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker comes back after an hour, and its first reading is one too many for the broker."""
    row_of_order = placed_by_it(watched).row
    watched.broker.is_unreadable = True
    assert watched.watch.placed(row_of_order) is Placed.NOT_TOLD_YET
    monkeypatch.setattr(gtt_watch, "RESULT_WITHIN", timedelta(0))
    assert watched.watch.placed(row_of_order) is Placed.BY_NONE, "it is not left out of the ledger for ever"
    watched.broker.is_unreadable, watched.broker.rows = False, [kites("success", OWN)]
    found = watched.watch.placed(row_of_order)
    assert isinstance(found, GttState)
    assert found.intent.gtt_id == "exit"


@pytest.mark.parametrize(
    ("state", "filled", "kind"),
    [
        (BookState.WORKING, 4, EventType.ORDER_UPDATED),
        (BookState.COMPLETE, 10, EventType.ORDER_UPDATED),
        (BookState.REJECTED, 0, EventType.ALERT),
        (BookState.CANCELLED, 4, EventType.ALERT),
    ],
)
def test_an_order_that_was_taken_for_a_strangers_is_the_strategys_once_the_list_says_so(
    watched: Watched, state: BookState, filled: int, kind: EventType
) -> None:
    report = placed_by_it(watched, state, filled)
    stranger = adopted(report.row, ExternalKind.EXTERNAL, Account("paper"), Mode.LIVE)
    after = step(stranger, Reported(report), AT)
    record(
        watched.database, after, [Entry(sequence=0, type=EventType.ALERT, at=AT, message="found", status=after.status)]
    )
    for _ in range(2):
        watched.reads(kites("success", OWN))
    with watched.database.read() as connection:
        order = find_order(connection, stranger.order_id)
        told = events_of(connection, stranger.order_id)
        own, theirs = (strategy_positions_of(connection, "paper", each) for each in ("swing", "external"))
    assert order is not None
    assert (order.strategy, order.reason, order.status) == ("swing", "GTT exit was triggered", after.status)
    assert [event.type for event in told] == [EventType.ALERT, kind]
    assert sum(held.quantity for held in own.values()) == -filled
    assert all(held.quantity == 0 for held in theirs.values())


def triggered(at: datetime) -> BrokerGtt:
    result = LegResult(triggered_at=Decimal(1390), order_id=OWN, rejection_reason="", at=at)
    return row(result=result, status=GttStatus.TRIGGERED)


def test_the_order_of_an_earlier_day_is_unknown_until_a_human_settles_it(watched: Watched) -> None:
    """It is in no book any more: what it traded is not guessed."""
    for _ in range(2):
        watched.reads(triggered(AT - timedelta(days=1)))
    own = f"order:paper:external-{OWN}"
    with watched.database.read() as connection:
        order, told = find_order(connection, own), events_of(connection, own)
    assert order is not None
    assert (order.status, order.strategy, order.quantity, order.price) == (Status.UNKNOWN, "swing", 10, Decimal(1399))
    assert [(event.type, "no book of that day was read" in event.message) for event in told] == [
        (EventType.ALERT, True)
    ]
    traded = {"quantity": 10, "price": Decimal(1398), "traded_at": AT - timedelta(days=1)}
    settlement = Settlement(status=Status.FILLED, evidence="contract note", **traded)
    settle(watched.database, own, settlement, datetime.now(UTC))
    watched.reads(triggered(AT - timedelta(days=1)))
    with watched.database.read() as connection:
        assert strategy_positions_of(connection, "paper", "swing")["NSE:INFY", Product.CNC].quantity == -10


def test_the_order_of_today_is_met_in_the_book(watched: Watched) -> None:
    watched.reads(triggered(start_of_day(AT)))
    with watched.database.read() as connection:
        assert find_order(connection, f"order:paper:external-{OWN}") is None


def test_whatever_fails_in_it_is_logged_once_and_ends_no_watch_over_orders(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise KeyError("condition")

    for _ in range(2):
        watched.broker.meanwhile = fails
        watched.watch.look()
    assert caplog.text.count("cannot be followed now") == 1
    watched.broker.rows = [row(price=1398)]
    watched.watch.look()
    assert watched.state().legs[0].price == 1398, "and the next reading is followed"
