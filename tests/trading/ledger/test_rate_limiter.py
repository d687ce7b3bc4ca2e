"""The pacer: no window of a second, wherever it begins, holds more than ten requests, over all workers."""

import heapq
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.rate_limiter import KEPT_FOR_CANCELS, RateLimiter, Slot
from tests.ledgers import open_empty_ledger

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


class Clock:
    """Time that moves only when somebody sleeps, and the requests that are on their way meanwhile."""

    def __init__(self) -> None:
        self.now = START
        self.set_back = timedelta()
        """What somebody did to the wall's clock; `now` goes on."""
        self.arrived: list[datetime] = []
        self._numbers = count()
        self._on_their_way: list[tuple[datetime, int, AbstractContextManager[Slot]]] = []

    def sleep(self, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        while self._on_their_way and self._on_their_way[0][0] <= until:
            self.now, _, turn = heapq.heappop(self._on_their_way)
            self.arrived.append(self.now)
            turn.__exit__(None, None, None)
        self.now = until

    def send(self, pacer: RateLimiter, *, urgent: bool = False, patience: float = 20.0, takes: float = 0.0) -> bool:
        """Whether the pacer let a request leave. It arrives, and is answered, so many seconds later."""
        turn = pacer.turn(urgent=urgent, patience=patience)
        if not turn.__enter__():
            turn.__exit__(None, None, None)
            return False
        heapq.heappush(self._on_their_way, (self.now + timedelta(seconds=takes), next(self._numbers), turn))
        self.sleep(0)
        return True

    def pacer(self, database: Database, per_second: int = 10, per_minute: int = 400) -> RateLimiter:
        return RateLimiter(
            *(database, "live", per_second, per_minute),
            clock=lambda: self.now + self.set_back,
            sleep=self.sleep,
            timer=lambda: self.now.timestamp(),
        )


def most_within(moments: list[datetime], window: timedelta) -> int:
    return max(sum(start <= moment < start + window for moment in moments) for start in moments)


def test_three_workers_stay_below_ten_in_any_second(ledger: Database) -> None:
    clock = Clock()
    workers = [clock.pacer(ledger) for _ in range(3)]
    for number in range(120):
        assert clock.send(workers[number % 3], urgent=number % 5 == 0)
    assert most_within(clock.arrived, timedelta(seconds=1)) <= 10
    assert clock.arrived[-1] - clock.arrived[0] < timedelta(seconds=20), "and the pace is used"


def test_no_more_than_four_hundred_in_any_minute(ledger: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(ledger, per_minute=40)
    for _ in range(100):
        assert clock.send(pacer, urgent=True, patience=120)
    assert most_within(clock.arrived, timedelta(seconds=60)) <= 40


def test_cancels_go_before_new_orders(ledger: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(ledger)
    while clock.send(pacer, patience=0):
        pass
    assert len(clock.arrived) == 10 - KEPT_FOR_CANCELS
    assert clock.send(pacer, urgent=True, patience=0)
    assert not clock.send(pacer, patience=0)


def test_whoever_has_no_patience_is_told_so(ledger: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(ledger, per_second=1)
    assert clock.send(pacer, urgent=True)
    assert not clock.send(pacer, urgent=True, patience=0.5)
    assert clock.send(pacer, urgent=True, patience=2)


def test_request_that_is_held_up_on_its_way_keeps_its_place(ledger: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(ledger, per_second=1)
    assert clock.send(pacer, urgent=True, takes=3)
    clock.sleep(2)
    assert not clock.send(pacer, urgent=True, patience=0), "the first may arrive in this very moment"
    clock.sleep(2.2)
    assert clock.send(pacer, urgent=True, patience=0)


def test_turn_of_a_killed_worker_ends_by_itself(ledger: Database) -> None:
    clock = Clock()
    killed, other = clock.pacer(ledger, per_second=1), clock.pacer(ledger, per_second=1)
    never_over = killed.turn(urgent=True)
    assert never_over.__enter__()
    assert not clock.send(other, urgent=True, patience=5)
    assert clock.send(other, urgent=True, patience=10)


@pytest.mark.parametrize("by", [timedelta(hours=1), timedelta(seconds=4)])
def test_clock_that_is_set_back_holds_nobody_up(ledger: Database, by: timedelta) -> None:
    """Whatever the ledger says was sent in the future counts as of now, and no second holds too many."""
    clock = Clock()
    pacer = clock.pacer(ledger)
    for _ in range(10):
        assert clock.send(pacer, urgent=True, takes=0.1)
    clock.sleep(0.2)
    clock.set_back = -by
    before = clock.now
    for _ in range(10):
        assert clock.send(pacer, urgent=True, patience=2.5)
    assert clock.now - before < timedelta(seconds=2.5)
    assert most_within(clock.arrived, timedelta(seconds=1)) <= 10


@settings(max_examples=25)
@given(
    gaps=st.lists(st.tuples(st.floats(0, 1.5), st.floats(0, 1.0)), min_size=5, max_size=30),
    per_second=st.integers(1, 10),
)
def test_whenever_requests_come_no_second_holds_too_many(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[tuple[float, float]], per_second: int
) -> None:
    clock = Clock()
    with open_empty_ledger(tmp_path_factory.mktemp("pace") / "ledger.db") as ledger:
        pacer = clock.pacer(ledger, per_second=per_second)
        for number, (gap, takes) in enumerate(gaps):
            clock.sleep(gap)
            clock.send(pacer, urgent=number % 3 == 0, takes=takes)
        clock.sleep(60)
    assert most_within(clock.arrived, timedelta(seconds=1)) <= per_second
    assert len(clock.arrived) == len(gaps)


def test_turn_in_which_nothing_left_does_not_count(ledger: Database) -> None:
    clock = Clock()
    pacer = clock.pacer(ledger)
    for _ in range(30):
        with pacer.turn(patience=0) as turn:
            assert turn
            turn.give_back()
    assert clock.send(pacer, patience=0)
    assert clock.now == START


def test_cancel_waits_for_no_ledger_and_two_workers_keep_the_pace(ledger: Database) -> None:
    """Another program holds the write lock; an order may not leave meanwhile, a cancel must."""
    clock = Clock()
    workers = [clock.pacer(ledger), clock.pacer(ledger)]
    with Database(ledger.url.render_as_string(hide_password=False)) as other, other.write():
        for pacer in workers:
            for _ in range(5):
                assert clock.send(pacer, urgent=True, patience=0)
            assert not clock.send(pacer, urgent=True, patience=0), "the broker's limit holds all the same"
        assert all(clock.send(pacer, urgent=True, patience=2) for pacer in workers)
    assert most_within(clock.arrived, timedelta(seconds=1)) <= 10


@pytest.mark.parametrize("urgent", [True, False])
def test_what_left_without_the_ledger_counts_when_that_is_back(ledger: Database, urgent: bool) -> None:
    clock = Clock()
    pacer = clock.pacer(ledger)
    with Database(ledger.url.render_as_string(hide_password=False)) as other, other.write():
        for _ in range(5):
            assert clock.send(pacer, urgent=True, patience=0)
    for _ in range(10):
        assert clock.send(pacer, urgent=urgent)
    assert most_within(clock.arrived, timedelta(seconds=1)) <= 10


def test_cancel_leaves_though_the_ledger_is_gone(tmp_path: Path) -> None:
    clock = Clock()
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        pacer = clock.pacer(database)
        (tmp_path / "ledger.db").unlink()
        assert clock.send(pacer, urgent=True, patience=0)
        with pytest.raises(LedgerUnusable):
            clock.send(pacer, patience=0)
