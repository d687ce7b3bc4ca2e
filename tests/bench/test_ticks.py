"""The measurement of a backtest: the made file has trades in it, the same from CSV and from Parquet."""

import json
from pathlib import Path

from bench import paper_ticks, ticks_beside
from bench.machine import ROOT, local_circumstances
from bench.many_ticks import measure
from bench.report import LATEST
from bench.ticks import STRATEGY, run, write_csv, write_parquet
from docs import generate_measured


def test_both_kinds_of_file_give_the_same_fills(tmp_path: Path) -> None:
    (tmp_path / "cross.py").write_text(STRATEGY)
    write_csv(tmp_path / "ticks.csv", 10_000)
    write_parquet(tmp_path / "ticks.parquet", 10_000)
    program = ROOT / ".venv" / "bin" / "durable-orders"

    found = [run(program, tmp_path, tmp_path / f"ticks.{kind}") for kind in ("csv", "parquet")]

    assert all(seconds > 0 and megabytes > 0 for seconds, megabytes, _ in found)
    fills = [told for _, _, told in found]
    assert fills[0] == fills[1]
    assert int(fills[0].split()[0]) > 0


def test_many_ticks_are_measured_with_and_without_order_books() -> None:
    """The measurement itself holds the fills of CSV against those of Parquet."""
    reports = measure([6_000], ("csv", "parquet"), lambda _words: None)

    for report in reports.values():
        assert [(case["ticks"], case["order_book"]) for case in report["cases"]] == [(6_000, True), (6_000, False)]
        assert all(case["peak_mb"] > 0 and int(case["fills"].split()[0]) > 0 for case in report["cases"])
    assert list(reports) == ["csv", "parquet"]


def test_what_was_measured_beside_a_peer_is_shown() -> None:
    pairs = [
        {"here": {"seconds": own, "mb": 80.0, "filled": 31}, "there": {"seconds": 3.0, "mb": 300.0, "filled": 31}}
        for own in (1.0, 1.5, 2.0)
    ]
    report = local_circumstances() | {"peer": "nautilus_trader 1.221.0", "ratio": 0.5, "pairs": pairs}
    page = generate_measured.render(json.loads(LATEST.read_text()) | {"ticks_beside": report}, {})

    assert ticks_beside.table_of(report).row_count == 2
    assert "| durable-orders | 1.5 | 80 | 0.50 |\n| nautilus_trader 1.221.0 | 3.0 | 300 |  |" in page


def test_ticks_on_paper_are_counted_while_orders_rest() -> None:
    found = paper_ticks.measure(600, 3, brackets=1)

    assert (found["ticks"], found["resting"]) == (590, 4)
    assert found["ticks_per_second"] > 0
