"""The pacer: no window of a second, wherever it begins, holds more than ten requests, over all workers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.ledger.database import Database
from trading.ledger.migrate import open_database
from trading.ledger.pacing import KEPT_FOR_CANCELS, Pacer

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


class Clock:
    """Time that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = START
        self.left: list[datetime] = []

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def pacer(self, database: Database, per_second: int = 10, per_minute: int = 400) -> Pacer:
        return Pacer(database, "live", per_second, per_minute, clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with open_database(url) as opened:
        yield opened


def most_within(moments: list[datetime], window: timedelta) -> int:
    return max(sum(start <= moment < start + window for moment in moments) for start in moments)


def test_three_workers_stay_below_ten_in_any_second(database: Database) -> None:
    clock = Clock()
    workers = [clock.pacer(database) for _ in range(3)]
    for number in range(120):
        assert workers[number % 3].wait(urgent=number % 5 == 0)
        clock.left.append(clock.now)
    assert most_within(clock.left, timedelta(seconds=1)) <= 10
    assert clock.left[-1] - clock.left[0] < timedelta(seconds=20), "and the pace is used"


def test_no_more_than_four_hundred_in_any_minute(database: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(database, per_minute=40)
    for _ in range(100):
        assert pacer.wait(urgent=True, patience=120)
        clock.left.append(clock.now)
    assert most_within(clock.left, timedelta(seconds=60)) <= 40


def test_cancels_go_before_new_orders(database: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(database)
    while pacer.wait(patience=0):
        clock.left.append(clock.now)
    assert len(clock.left) == 10 - KEPT_FOR_CANCELS
    assert pacer.wait(urgent=True, patience=0)
    assert not pacer.wait(patience=0)


def test_whoever_has_no_patience_is_told_so(database: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(database, per_second=1)
    assert pacer.wait(urgent=True)
    assert not pacer.wait(urgent=True, patience=0.5)
    assert pacer.wait(urgent=True, patience=2)


@settings(max_examples=25, deadline=None)
@given(gaps=st.lists(st.floats(0, 1.5), min_size=5, max_size=40), per_second=st.integers(1, 10))
def test_whenever_requests_come_no_second_holds_too_many(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[float], per_second: int
) -> None:
    clock = Clock()
    with open_database(f"sqlite:///{tmp_path_factory.mktemp('pace')}/ledger.db") as database:
        pacer = clock.pacer(database, per_second=per_second)
        for number, gap in enumerate(gaps):
            clock.sleep(gap)
            pacer.wait(urgent=number % 3 == 0)
            clock.left.append(clock.now)
    assert most_within(clock.left, timedelta(seconds=1)) <= per_second
    assert all(earlier <= later for earlier, later in pairwise(clock.left))
