"""The journal: what it has, what can be chosen of it, and the layout that existing tools read."""

import csv
import io
import itertools
import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger import journal
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.journal import Chosen, JournalLine, journal_lines
from durable_orders.trading.ledger.journal_csv import COLUMNS, write_csv
from durable_orders.trading.ledger.journal_events import journal_events, write_events_csv
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.lifecycle import Refused, step
from durable_orders.trading.orders.order import Order, OrderId, Side, Status, tag_of
from tests.properties import FIXTURES_STAY
from tests.trading.ledger.examples import SECOND, START, Trade, enter, history, limit_order, new_order, record_all
from tests.trading.ledger.test_reading import statements

DOCUMENT = Path(__file__).parents[3] / "docs" / "journal.md"
DAY = timedelta(days=1)
WHOLE = Chosen("paper")


def read(ledger: Database, chosen: Chosen = WHOLE) -> list[JournalLine]:
    with ledger.read() as connection:
        return list(journal_lines(connection, chosen))


def table_of(lines: Sequence[JournalLine]) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    assert write_csv(lines, file) == len(lines)
    return list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))


def traded(ledger: Database, order: Order, trades: Sequence[Trade], end: BookState) -> None:
    """The order filled trade by trade, one a second from its creation on."""
    for after, entries in ((each.order, each.entries) for each in history(order, trades, end)):
        at = [order.created_at + number * SECOND for number in range(len(trades))]
        fills = tuple(fill.model_copy(update={"at": at[number]}) for number, fill in enumerate(after.fills))
        record(ledger, after.model_copy(update={"fills": fills}), entries)


def refuse(ledger: Database, order: Order, *words: str) -> Order:
    enter(ledger, order)
    after = step(order, Refused(words), order.created_at)
    entry = Entry(sequence=1, type=EventType.ORDER_REJECTED, at=after.updated_at, message="no", status=after.status)
    record(ledger, after, [entry])
    return after


@pytest.fixture(params=[journal.FEW, -1], ids=["by their orders", "in their order"])
def how_found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is small has few orders of everything: lines are read as of one that is large, too."""
    monkeypatch.setattr(journal, "FEW", request.param)


@pytest.fixture
def week(ledger: Database, how_found: None) -> None:
    """Five orders, a day apart: filled in two, cut off after one fill, refused, working; and another account's."""
    names = ("filled", "cut", "refused", "working", "foreign")
    at = {name: START + number * DAY for number, name in enumerate(names)}
    filled = limit_order("filled", at=at["filled"], strategy="fast")
    cut = new_order("cut", at["cut"], strategy="slow", symbol="NSE:TCS", side=Side.SELL)
    traded(ledger, filled, [(60, Decimal("1500.05")), (40, Decimal("1499.9999"))], BookState.COMPLETE)
    traded(ledger, cut, [(30, Decimal(3000))], BookState.CANCELLED)
    refuse(ledger, new_order("refused", at["refused"], strategy="fast", reason="=1+1"), "LOT_SIZE: of 75", "no\n\0")
    record_all(ledger, history(limit_order("working", at=at["working"], strategy="slow"), []))
    traded(ledger, new_order("foreign", at["foreign"], account="other"), [(100, Decimal(5))], BookState.COMPLETE)


def names(lines: Sequence[JournalLine]) -> list[str]:
    return [line.client_order_id for line in lines]


@pytest.mark.usefixtures("week")
def test_every_fill_is_a_line_and_every_order_without_one(ledger: Database) -> None:
    lines = read(ledger)
    assert [(line.client_order_id, line.filled_quantity, line.fill_price, line.status) for line in lines] == [
        ("filled", 60, Decimal("1500.05"), Status.FILLED),
        ("filled", 40, Decimal("1499.9999"), Status.FILLED),
        ("cut", 30, Decimal(3000), Status.CANCELLED),
        ("refused", 0, None, Status.REJECTED),
        ("working", 0, None, Status.PLACED),
    ]
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert lines[0].trade_id != lines[1].trade_id


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Chosen("other"), {"foreign"}),
        (Chosen("nobody"), set()),
        (Chosen("paper", symbol="NSE:TCS"), {"cut"}),
        (Chosen("paper", symbol="NSE:INFY"), {"filled", "refused", "working"}),
        (Chosen("paper", strategy="fast"), {"filled", "refused"}),
        (Chosen("paper", statuses=[Status.CANCELLED, Status.PLACED]), {"cut", "working"}),
        (Chosen("paper", statuses=[]), set()),
        (Chosen("paper", since=START + 2 * DAY), {"refused", "working"}),
        (Chosen("paper", until=START + 2 * DAY), {"filled", "cut"}),
        (Chosen("paper", since=START, until=START + DAY), {"filled"}),
        (Chosen("paper", since=START + 2 * DAY, symbol="NSE:INFY", strategy="slow"), {"working"}),
        (Chosen("paper", strategy="fast", statuses=[Status.REJECTED]), {"refused"}),
    ],
)
def test_any_part_can_be_chosen(ledger: Database, chosen: Chosen, expected: set[str]) -> None:
    assert set(names(read(ledger, chosen))) == expected


@pytest.mark.usefixtures("week")
def test_a_day_begins_and_ends_at_midnight_in_ist(ledger: Database) -> None:
    """A trade belongs to the day on which the exchange made it, whatever the date is in UTC."""
    midnight = datetime(2026, 1, 12, tzinfo=IST)
    for number, at in enumerate((midnight - timedelta(microseconds=1), midnight, midnight + DAY)):
        refuse(ledger, new_order(f"m{number}", at), "no")
    assert names(read(ledger, Chosen("paper", since=midnight, until=midnight + DAY))) == ["m1"]


def test_an_order_moves_from_its_own_line_to_those_of_its_fills(ledger: Database) -> None:
    *recordings, ended = history(new_order(quantity=10), [(4, Decimal(5)), (6, Decimal(5))], BookState.COMPLETE)
    seen = []
    for recording in (*recordings, ended):
        record(ledger, recording.order, recording.entries)
        seen.append([(line.filled_quantity, line.status) for line in read(ledger)])
    assert seen[0] == [(0, Status.PLACED)]
    assert seen[1] == [(4, Status.PARTIAL)]
    assert seen[-1] == [(4, Status.FILLED), (6, Status.FILLED)]


def test_the_journal_is_read_as_a_stream(ledger: Database) -> None:
    """Three queries however long it is, which are not sent before somebody reads."""
    for number in range(5):
        record_all(ledger, history(new_order(f"o{number}"), [(100, Decimal(5))], BookState.COMPLETE))
    with statements(ledger) as sent, ledger.read() as connection:
        lines = journal_lines(connection, WHOLE)
        assert [sql for sql in sent if "SELECT" in sql] == []
        next(lines)
        assert len([sql for sql in sent if "SELECT" in sql]) == 3
        assert len(list(lines)) == 4
        assert len([sql for sql in sent if "SELECT" in sql]) == 3


PROVE = settings(FIXTURES_STAY, max_examples=20)
trades = st.lists(st.tuples(st.integers(1, 40), st.decimals("0.05", "99999.9999", places=4)), max_size=4)
_numbers = itertools.count()


@PROVE
@given(st.lists(st.tuples(st.sampled_from(Side), trades), max_size=6))
def test_a_tool_that_adds_up_the_rows_arrives_at_the_position(
    ledger: Database, day: list[tuple[Side, list[tuple[int, Decimal]]]]
) -> None:
    account = f"t{next(_numbers)}"
    for number, (side, done) in enumerate(day):
        order = new_order(f"o{number}", quantity=200, account=account, side=side, symbol="NSE:TCS")
        record_all(ledger, history(order, done, BookState.CANCELLED))
    rows = table_of(read(ledger, Chosen(account)))
    assert len(rows) == sum(max(len(done), 1) for _, done in day)
    held, paid, earned = 0, Decimal(0), Decimal(0)
    for row in rows:
        quantity = Side(row["side"]).sign * int(row["filled_quantity"])
        held, paid = held + quantity, paid + quantity * Decimal(row["average_price"] or 0)
        earned += Decimal(row["realized_pnl"] or 0)
    with ledger.read() as connection:
        positions = positions_of(connection, account)
    assert held == sum(position.quantity for position in positions)
    assert paid == sum(position.open_value - position.realized_pnl for position in positions)
    assert earned == sum(position.realized_pnl for position in positions)


@pytest.mark.usefixtures("week")
def test_the_columns_are_those_that_existing_tools_read(ledger: Database) -> None:
    first, _, cut, refused, _ = table_of(read(ledger))
    assert (len(COLUMNS), tuple(first)) == (33, COLUMNS)
    assert {name: value for name, value in first.items() if value and name != "extra"} == {
        "timestamp": "2026-01-05T09:15:00.000+05:30",
        "order_id": "order:paper:filled",
        "symbol": "NSE:INFY",
        "tradingsymbol": "INFY",
        "exchange": "NSE",
        "transaction_type": "BUY",
        "side": "BUY",
        "quantity": "100",
        "filled_quantity": "60",
        "price": "1500.05",
        "average_price": "1500.05",
        "status": "FILLED",
        "product": "MIS",
        "tag": tag_of(OrderId("order:paper:filled")),
        "strategy": "fast",
        "pnl": "0.00",
        "realized_pnl": "0.00",
        "trade_id": "T999",
    }
    assert (cut["status"], cut["filled_quantity"], cut["price"], cut["average_price"]) == (
        "CANCELLED",
        "30",
        "",
        "3000.00",
    )
    of_fill = ("average_price", "trade_id", "pnl", "realized_pnl")
    assert (refused["filled_quantity"], {refused[name] for name in of_fill}) == ("0", {""})


def test_a_line_says_what_its_fill_cost_and_earned_as_asked(ledger: Database) -> None:
    """Bought at 100 and at 130, sold at 120. Intraday brokerage of 0.03%, STT of 0.025% on what is sold, and so on."""
    for number, (side, price) in enumerate([(Side.BUY, 100), (Side.BUY, 130), (Side.SELL, 120)]):
        order = new_order(f"o{number}", START + number * SECOND, side=side)
        traded(ledger, order, [(100, Decimal(price))], BookState.COMPLETE)
    by_average, by_fifo = (read(ledger, Chosen("paper", realized_by=by)) for by in RealizedBy)
    assert [line.realized_pnl for line in by_average] == [0, 0, 500]
    assert [line.realized_pnl for line in by_fifo] == [0, 0, 2000]
    bought, _, sold = by_average
    assert bought.charges == Decimal("3.00") + Decimal("0.31") + Decimal("0.01") + Decimal("0.30") + Decimal("0.60")
    assert sold.charges == Decimal("3.60") + Decimal("3.00") + Decimal("0.37") + Decimal("0.01") + Decimal("0.72")
    extra = [json.loads(row["extra"]) for row in table_of(by_average)]
    assert [each["charges"] for each in extra] == ["4.22", "5.48", "7.70"]


def told(ledger: Database, chosen: Chosen = WHOLE) -> list[tuple[str, str]]:
    with ledger.read() as connection:
        return [(line.order_id.split(":")[-1], line.type.value) for line in journal_events(connection, chosen)]


@pytest.mark.usefixtures("week")
def test_every_event_is_told_in_its_time(ledger: Database) -> None:
    """Of all orders and of the account itself; and whatever is chosen of the journal can be chosen of its events."""
    alert(ledger, "paper", "the book cannot be read", START + 2 * DAY - SECOND)
    placed = "order_placed"
    assert told(ledger) == [
        ("filled", placed),
        ("filled", "order_partially_filled"),
        ("filled", "order_partially_filled"),
        ("filled", "order_filled"),
        ("cut", placed),
        ("cut", "order_partially_filled"),
        ("cut", "order_cancelled"),
        ("paper", "alert"),
        ("refused", "order_received"),
        ("refused", "order_rejected"),
        ("working", placed),
    ]
    assert {own for own, _ in told(ledger, Chosen("paper", symbol="NSE:TCS"))} == {"cut"}
    assert {own for own, _ in told(ledger, Chosen("paper", strategy="fast"))} == {"filled", "refused"}
    assert {own for own, _ in told(ledger, Chosen("paper", statuses=[Status.PLACED]))} == {"working"}
    assert {own for own, _ in told(ledger, Chosen("paper", since=START + DAY, until=START + 2 * DAY))} == {
        "cut",
        "paper",
    }
    assert {own for own, _ in told(ledger, Chosen("other"))} == {"foreign"}


@pytest.mark.usefixtures("week")
def test_events_as_a_table_for_other_tools(ledger: Database) -> None:
    file = io.StringIO(newline="")
    with ledger.read() as connection:
        assert write_events_csv(journal_events(connection, Chosen("paper", strategy="slow")), file) == 4
    first, *_ = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
    assert first == {
        "at": "2026-01-06T09:15:01.000+05:30",
        "account": "paper",
        "order_id": "order:paper:cut",
        "sequence": "1",
        "strategy": "slow",
        "symbol": "NSE:TCS",
        "type": "order_placed",
        "status": "PLACED",
        "message": "PLACED, 0 filled",
    }


@pytest.mark.usefixtures("week")
def test_words_of_strategies_and_brokers_stay_within_their_cell(ledger: Database) -> None:
    """Nothing that a spreadsheet would take for a formula, and no line of the file that is half a row."""
    file = io.StringIO(newline="")
    write_csv(read(ledger), file)
    assert file.getvalue().count("\n") == 6
    for row in table_of(read(ledger)):
        assert not any(value.startswith(("=", "+", "-", "@")) for value in row.values())
    extra = json.loads(table_of(read(ledger, Chosen("paper", statuses=[Status.REJECTED])))[0]["extra"])
    assert extra == {
        "account": "paper",
        "mode": "paper",
        "client_order_id": "refused",
        "order_type": "MARKET",
        "validity": "DAY",
        "reason": "=1+1",
        "reasons": ["LOT_SIZE: of 75", "no\n"],
    }


def test_the_page_explains_every_column_in_its_order() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(explained) == COLUMNS
