"""The measurement of the bus measures, and leaves the figures of others alone."""

import json
import sys
from pathlib import Path

import pytest

from bench.bus import main, measure, table_of
from bench.report import LATEST, keep


async def test_it_gives_percentiles_and_keeps_other_sections(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    keep(file, {"durable": {"ratio": 0.5}, "bus": {"events": 1}})
    report = await measure(40)
    keep(file, {"bus": report})
    kept = json.loads(file.read_text())
    assert (kept["durable"], kept["bus"]) == ({"ratio": 0.5}, report)
    for name in ("async_subscriber_us", "plain_subscriber_us", "post_to_10_subscribers_us"):
        assert 0 < report[name]["p50"] <= report[name]["p99"]
    assert table_of(report).row_count == 5


def test_it_leaves_the_repository_as_it_was_unless_it_is_told_to_keep_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, file = LATEST.read_bytes(), tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["bus", "--events", "40"])
    main()
    assert LATEST.read_bytes() == before
    monkeypatch.setattr(sys, "argv", ["bus", "--events", "40", "--keep", str(file)])
    main()
    assert json.loads(file.read_text())["bus"]["events"] == 40
    assert LATEST.read_bytes() == before
