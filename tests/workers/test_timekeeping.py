"""A clock that was stepped, and a book that nobody reads: each is told once."""

from datetime import UTC, datetime, timedelta

import pytest

from durable_orders.workers.timekeeping import LOOK_EVERY, OLD, STEPPED, BookAge, Clock, words_of

NOW = datetime(2026, 11, 29, 9, 15, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.wall, self.passed = 1_000_000.0, 50.0

    def go(self, seconds: float, step: float = 0.0) -> None:
        self.wall += seconds + step
        self.passed += seconds


@pytest.mark.parametrize("by", [-3600.0, 3600.0])
def test_a_step_is_told_once(by: float) -> None:
    time = Time()
    clock = Clock(lambda: time.wall, lambda: time.passed)
    time.go(100)
    assert clock.step() is None
    time.go(3, step=by)
    assert clock.step() == by
    time.go(3)
    assert clock.step() is None


def test_a_clock_that_is_set_right_by_a_little_is_not() -> None:
    time = Time()
    clock = Clock(lambda: time.wall, lambda: time.passed)
    time.go(3, step=STEPPED - 1)
    assert clock.step() is None


def test_in_words() -> None:
    assert words_of(-3600) == "the machine's clock was set back by 3600 s: orders' deadlines go by it"
    assert words_of(60.4).startswith("the machine's clock was set forward by 60 s, or it slept")


@pytest.mark.parametrize("first", [None, NOW - timedelta(hours=9)])
def test_a_book_that_is_not_read_is_told_once_and_when_it_is_read_again(first: datetime | None) -> None:
    """That of yesterday counts from the moment on at which somebody looks."""
    time = Time()
    book = BookAge(lambda: time.passed)
    assert not book.is_due
    time.go(LOOK_EVERY)
    assert book.is_due
    assert book.news(first) is None
    assert not book.is_due
    time.go(OLD)
    assert str(book.news(first)).startswith("the broker's book has not been read whole for ")
    time.go(OLD)
    assert book.news(first) is None
    assert book.news(NOW) == "the broker's book is read again"
    time.go(OLD - 1)
    assert book.news(NOW + timedelta(hours=-1)) is None, "whatever the clock says"
