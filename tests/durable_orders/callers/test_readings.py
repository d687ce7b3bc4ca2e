"""Readings of an object whose methods do not return."""

import threading
from collections.abc import Iterator

import pytest

from durable_orders.callers import readings
from durable_orders.callers.readings import TimedReading
from durable_orders.trading.errors import BookUnreadable


class Hanging:
    """A method that returns when it is let go."""

    def __init__(self) -> None:
        self.now = 0.0
        self.go_on = threading.Event()
        self.threads: list[threading.Thread] = []
        self.timed = TimedReading("orders", self._read, lambda: self.now)

    def _read(self) -> int:
        self.threads.append(threading.current_thread())
        assert self.go_on.wait(60)
        return len(self.threads)

    def is_given_up(self) -> bool:
        try:
            self.timed()
        except BookUnreadable as error:
            assert "the broker's orders cannot be read: no answer" in str(error)  # noqa: PT017
            return True
        return False


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    monkeypatch.setattr(readings, "LIMIT", 0.05)
    hanging = Hanging()
    yield hanging
    hanging.go_on.set()


def test_a_method_that_hangs_is_called_again_after_a_while_by_one_more_thread(hanging: Hanging) -> None:
    for now, calls in ((0.0, 1), (59.0, 1), (60.0, 2), (500.0, 2)):
        hanging.now = now
        assert hanging.is_given_up()
        assert len(hanging.threads) == calls
    assert all(thread.daemon for thread in hanging.threads)


def test_once_it_is_back_it_is_called_again_and_the_old_answer_is_nobodys(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hanging.is_given_up()
    hanging.go_on.set()
    hanging.threads[0].join()
    monkeypatch.setattr(readings, "LIMIT", 60.0)
    assert hanging.timed() == 2


def test_what_is_dropped_is_waited_for_by_nobody(hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "LIMIT", 60.0)
    dropping = threading.Timer(0.05, hanging.timed.drop)
    dropping.start()
    with pytest.raises(BookUnreadable, match="the desk is being closed"):
        hanging.timed()
    with pytest.raises(BookUnreadable, match="the desk is being closed"):
        hanging.timed()
    dropping.join()
    assert len(hanging.threads) <= 1


def test_what_a_method_raises_is_raised_also_by_one_that_ends_its_thread() -> None:
    def ends() -> int:
        raise SystemExit

    def fails() -> int:
        raise BookUnreadable("the line is down")

    with pytest.raises(BookUnreadable, match="the broker's orders cannot be read: SystemExit"):
        TimedReading("orders", ends)()
    with pytest.raises(BookUnreadable, match="the line is down"):
        TimedReading("orders", fails)()
