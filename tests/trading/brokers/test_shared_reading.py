"""Readings that are shared: one for all who ask together, and none that began before somebody asked."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from durable_orders.trading.brokers.shared_reading import SharedReading
from durable_orders.trading.errors import BookUnreadable

MAX_WAIT = 180


class Book:
    """A reading that takes until a test lets it end. It shows how many readings there have been."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        number = self.times
        self.began.release()
        assert self.may_end.acquire(timeout=MAX_WAIT)
        return number


def test_who_asks_during_a_reading_gets_the_next_one_and_shares_it() -> None:
    book = Book()
    read = SharedReading(book)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(read)
        assert book.began.acquire(timeout=MAX_WAIT)
        others = [threads.submit(read) for _ in range(6)]
        while len([thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]) < 7:
            continue
        book.may_end.release()
        assert first.result(MAX_WAIT) == 1
        assert book.began.acquire(timeout=MAX_WAIT)
        book.may_end.release(10)
        later = {other.result(MAX_WAIT) for other in others}
    assert 1 not in later, "it began before they asked"
    assert book.times <= 3


def test_one_after_the_other_each_gets_its_own() -> None:
    book = Book()
    book.may_end.release(3)
    read = SharedReading(book)
    assert [read(), read(), read()] == [1, 2, 3]


def test_reading_that_fails_fails_for_those_who_share_it_and_for_no_others() -> None:
    answers = iter([BookUnreadable("a gateway"), None])

    def read_once() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "a book"

    read = SharedReading(read_once)
    with pytest.raises(BookUnreadable):
        read()
    assert read() == "a book"
