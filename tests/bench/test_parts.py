"""The measurements of ledger, watch and memory measure. How fast they were is no business of a test."""

from bench import accounts, ledger, memory, watch
from tests.trading.ledger.questions import EVERY, PAGES


def test_the_ledger_is_asked_every_question_and_written_to() -> None:
    report = ledger.measure(200)
    assert report["events"] > 3 * 200
    assert set(report["questions_ms"]) == set(EVERY)
    assert all(report[name] > 0 for name in ("recording_ms", "slowest_ms", "fills"))
    assert set(report["pages_ms"]) == set(report["plans"]) == set(PAGES)
    assert ledger.table_of(report).row_count == len(EVERY) + len(PAGES)


async def test_the_watch_reads_as_often_for_many_orders_as_for_few() -> None:
    placed: list[int] = []
    report = await watch.measure((12, 2), interval=0.05, intervals=2, done=placed.append)
    assert placed == [*range(1, 13)]
    assert [case["open_orders"] for case in report["cases"]] == [2, 12]
    for case in report["cases"]:
        assert case["broker_reads_per_interval"] == {"order_book": 1, "trades": 1}
        assert case["orders_told"] == 0, "the ledger has what the book has: no workflow is to be told"
        assert case["cpu_ms_per_interval"] > 0
        assert case["first_look_ms"] > 0
    assert watch.table_of(report).row_count == 2


async def test_the_memory_of_open_orders_is_that_of_the_worker_and_of_the_server() -> None:
    report = await memory.measure(3)
    assert report["open_orders"] == 3
    for name in ("worker", "server"):
        grown = (report["after"][f"{name}_mb"] - report["before"][f"{name}_mb"]) * 2**20
        assert report[f"{name}_bytes_per_open_order"] == round(grown / 3)
        assert report["before"][f"{name}_mb"] > 10
    assert (report["cached_workflows"], report["bounded"]["cached_workflows"]) == (20_000, 100)
    assert memory.table_of(report).row_count == 4


def test_accounts_record_beside_each_other_and_behind_one_lock() -> None:
    report = accounts.measure(2, 1, 1.0, away=0.001)
    assert len(report["ratios"]) == 1
    for name in ("lock_each_per_second", "lock_for_all_per_second", "one_account_per_second"):
        assert report[name] > 0
