"""The measurement of the core measures, says what it could not have, and leaves the figures of others alone."""

import json
import sys
from pathlib import Path

import pytest

from bench import core_profile
from bench.core import Plan, measure, of_peer
from bench.core_tables import tables
from bench.peers.installing import Peer
from bench.report import keep


def test_it_measures_each_case_and_keeps_other_sections(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    keep(file, {"bus": {"events": 1}, "core": {"orders_per_second": 1}})
    report = measure(Plan(counts=(20,), rounds=1, peers=()))
    keep(file, {"core": report})
    kept = json.loads(file.read_text())
    assert (kept["bus"], kept["core"]) == ({"events": 1}, report)
    assert [(case["kind"], case["orders"]) for case in report["cases"]] == [("market", 20), ("limit_and_cancel", 20)]
    assert all(case["orders_per_second"] > 0 for case in report["cases"])
    assert 0 < report["latency_us"]["p50"] <= report["latency_us"]["p99"]
    assert report["bytes_per_order"] > 0


def test_a_case_that_hits_its_limit_is_reported_as_such() -> None:
    report = measure(Plan(counts=(20, 40), rounds=2, longest=0.01, peers=()))
    assert {case["missing"] for case in report["cases"]} == {"not done within its limit of 0.01 s"}
    assert report["orders_per_second"] is report["cost_ratio_100k_to_1k"] is report["bytes_per_order"] is None
    assert [table.row_count for table in tables(report)] == [4, 3 + 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import os; os.abort()", "its process was ended by signal 6"),
        ("raise SystemExit('no such engine')", "it failed: no such engine"),
    ],
)
def test_a_peer_that_fails_is_missing_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, reason: str
) -> None:
    (tmp_path / "with_it.py").write_text(line)
    python = tmp_path / f"it-{sys.version_info.major}.{sys.version_info.minor}" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (python.parents[1] / ".ready").touch()
    monkeypatch.setattr("bench.peers.installing.CACHE", tmp_path)
    report = of_peer(Plan(counts=(20,), rounds=1), Peer("it", tmp_path / "with_it.py"))
    assert {kind: case["missing"] for kind, case in report.items()} == {"market": reason, "limit_and_cancel": reason}


def test_the_profile_of_the_core_says_where_its_time_goes() -> None:
    report = core_profile.measure(20)
    assert 0 < report["rest_percent"] < 100
    assert round(sum(report["percent"].values()) + report["rest_percent"], 1) == 100
    assert any(part.startswith("trading/backtest/") for part in report["percent"])
    assert core_profile.table_of(report).row_count == len(report["percent"]) + 1
