"""The first reading of the broker's book: nothing is sent before it, and it answers whoever is taken up then."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from durable_orders.activities.first_reading import AGAIN, FRESH, FirstReading
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.order import Fill, Order, Tag
from durable_orders.trading.orders.tags import marked
from durable_orders.trading.reconciliation.whole_book import Reading
from tests.trading.ledger.examples import new_order, row_of


class Book:
    """Counts how often it is read; a test says what is in it, and what goes wrong."""

    def __init__(self, rows: Sequence[BrokerOrder]) -> None:
        self.rows = rows
        self.readings = 0
        self.trouble: BookUnreadable | None = None
        self.now = 100.0
        self.begun: list[int] = []
        self.first = FirstReading(self.read, self.trades, lambda rows: self.begun.append(len(rows)), lambda: self.now)

    def read(self) -> Reading:
        self.readings += 1
        if self.trouble is not None:
            raise self.trouble
        return Reading(self.rows, ())

    def trades(self) -> list[Fill]:
        self.readings += 1
        return []


@pytest.fixture
def order() -> Order:
    return new_order("there")


@pytest.fixture
def book(order: Order) -> Book:
    return Book([row_of(order)])


def test_however_many_ask_it_is_read_once(book: Book, order: Order) -> None:
    others = [new_order(f"other-{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(book.first.row_of, [order, *others]))
    assert found == [book.rows[0], *[None] * 40]
    assert (book.readings, book.begun) == (1, [1])


def test_while_it_cannot_be_read_it_is_tried_now_and_then(book: Book, order: Order) -> None:
    book.trouble = BookUnreadable("no line")
    for _ in range(5):
        with pytest.raises(BookUnreadable, match="no line"):
            book.first.row_of(order)
    assert (book.readings, book.begun) == (1, [])
    book.now += AGAIN
    book.trouble = None
    assert book.first.row_of(order) is book.rows[0]
    assert book.readings == 2


def test_what_a_later_reading_shows_is_known_too(book: Book) -> None:
    later = new_order("later")
    assert book.first.row_of(later) is None
    book.first.note([row_of(later)])
    assert book.first.row_of(later) is not None


def test_a_row_under_another_mark_is_shown_unless_there_is_one_under_its_own(book: Book) -> None:
    order = new_order("sent-before")
    book.first.row_of(order)
    for tag in (marked(order.tag, "other"), marked(order.tag, "third")):
        alike = replace(row_of(order), tag=tag)
        book.first.note([alike])
        assert book.first.row_of(order) is alike
    sent_with_a_mark = order.model_copy(update={"tag": Tag(marked(order.tag, "mine0"))})
    plain = row_of(order)
    book.first.note([plain])
    assert book.first.row_of(sent_with_a_mark) is plain
    own = row_of(sent_with_a_mark)
    book.first.note([own, alike])
    assert book.first.row_of(sent_with_a_mark) is own


def test_it_tells_an_order_where_it_stands_once_and_while_it_is_fresh(book: Book, order: Order) -> None:
    assert book.first.tell(new_order("elsewhere")) is None
    assert book.first.tell(order) == (book.rows[0], [])
    assert book.first.tell(order) is None
    stale = Book(book.rows)
    stale.first.row_of(order)
    stale.now += FRESH + 1
    assert stale.first.tell(order) is None


def test_what_was_asked_of_the_broker_since_it_does_not_tell(book: Book, order: Order) -> None:
    book.first.row_of(order)
    book.first.is_outdated_for(order)
    assert book.first.tell(order) is None
