"""Nobody waits for a ledger that hangs, and what it answers afterwards is put right."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from durable_orders.trading.ledger.time_limited import HeldUpError, TimeLimited


def test_answers_and_errors_come_through() -> None:
    limited = TimeLimited(30)
    assert limited.ask(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        limited.ask(lambda: 1 // 0)


def test_answer_that_comes_too_late_is_told_to_whoever_puts_it_right() -> None:
    limited, goes_on, told = TimeLimited(0.05), threading.Event(), threading.Event()
    late: list[int] = []

    def hangs() -> int:
        goes_on.wait(30)
        return 7

    def put_right(answer: int) -> None:
        late.append(answer)
        told.set()

    with pytest.raises(HeldUpError):
        limited.ask(hangs, put_right)
    with pytest.raises(HeldUpError):
        limited.ask(lambda: pytest.fail("asked while another hangs"))
    goes_on.set()
    assert told.wait(30)
    assert late == [7]
    assert limited.ask(lambda: 8) == 8


def test_questions_at_once_wait_for_each_other() -> None:
    limited = TimeLimited(30)
    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(lambda number: limited.ask(lambda: number), range(50))) == list(range(50))
