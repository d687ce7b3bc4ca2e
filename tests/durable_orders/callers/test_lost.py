"""What a book proves about an order whose answer was lost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_orders.callers.broker import line_of
from durable_orders.callers.lost import Lost, found_in_book, unread

SENT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
WINDOW = timedelta(seconds=60)
LOST = Lost("0123456789abcdef0123", "NFO:NIFTY24DECFUT", "BUY", 50, SENT)
OWN = {
    "order_id": "7",
    "tradingsymbol": "NIFTY24DECFUT",
    "transaction_type": "BUY",
    "quantity": 50,
    "status": "OPEN",
    "order_timestamp": SENT,
}


def test_a_row_with_its_tag_is_the_order_and_a_second_one_is_reported() -> None:
    for tags in ({"tag": LOST.tag}, {"tag": "mktp", "tags": ["mktp", LOST.tag]}):
        twin = line_of(OWN | tags | {"order_id": "8"})
        found = found_in_book(LOST, [line_of({"order_id": "1"}), line_of(OWN | tags), twin], (), SENT, WINDOW)
        assert found.row is not None
        assert (found.row.order_id, found.absent, found.twins) == ("7", False, ("8",))


@pytest.mark.parametrize(
    ("row", "could_be"),
    [
        ({}, True),
        ({"tradingsymbol": None, "transaction_type": None, "quantity": None, "order_timestamp": None}, True),
        ({"tag": "algo1"}, True),
        ({"quantity": 25}, False),
        ({"transaction_type": "SELL"}, False),
        ({"tradingsymbol": "BANKNIFTY24DECFUT"}, False),
        ({"order_timestamp": SENT - timedelta(minutes=2)}, False),
    ],
)
def test_a_row_that_could_be_it_keeps_it_unknown(row: dict[str, Any], could_be: bool) -> None:
    lost = LOST
    for second in (0, 30, 60, 90):
        now = SENT + timedelta(seconds=second)
        found = found_in_book(lost, [line_of(OWN | row)], (), now, WINDOW)
        lost = found.lost
    assert found.others == (("7",) if could_be else ())
    assert found.absent is not could_be
    assert found_in_book(LOST, [line_of(OWN | row)], {"7"}, SENT, WINDOW).others == ()


def test_an_absence_takes_the_whole_window_and_some_readings() -> None:
    lost = LOST
    absent = []
    for second in (0, 61, 62):
        found = found_in_book(lost, [], (), SENT + timedelta(seconds=second), WINDOW)
        lost = found.lost
        absent.append(found.absent)
    assert absent == [False, False, True]


def test_a_book_that_cannot_be_read_breaks_the_row() -> None:
    lost = LOST
    for second in (0, 30, 59):
        lost = found_in_book(lost, [], (), SENT + timedelta(seconds=second), WINDOW).lost
    lost = unread(lost)
    assert not found_in_book(lost, [], (), SENT + timedelta(seconds=120), WINDOW).absent


def test_it_survives_in_a_state() -> None:
    looked = found_in_book(LOST, [], (), SENT, WINDOW).lost
    entry = json.loads(json.dumps(looked.entry()))
    assert (entry["status"], entry["quantity"], entry["side"]) == ("UNKNOWN", 50, "BUY")
    assert Lost.from_entry(entry) == looked
    with pytest.raises(ValueError, match="does not say when it was sent"):
        Lost.from_entry({"tag": "t", "status": "UNKNOWN"})
