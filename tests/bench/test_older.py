"""This tree beside an older one: what is made of the figures, and that each part's statement works on this tree."""

import pytest

from bench import older
from bench.machine import ROOT


def test_the_median_of_the_pairs_counts() -> None:
    found = [({"a": 2.0}, {"a": 1.0}), ({"a": 9.0}, {"a": 3.0}), ({"a": 1.0}, {"a": 4.0})]
    made = older._ratios(found)
    assert made == {"a": {"median": 2.0, "pairs": [2.0, 3.0, 0.25], "here": 2.0, "older": 3.0}}
    shown = older.table({"commit": "7d4ef65", "pairs": 3, "ratios": made})
    assert shown.row_count == 1


def test_a_part_is_measured_in_a_process_of_its_own() -> None:
    part = older.Part("report = {'market': 4, 'limit_and_cancel': 2}", older._core)
    assert older.figures_of(ROOT, part) == {"market orders a second": 4, "limit and cancel orders a second": 2}


def test_one_that_fails_says_why() -> None:
    part = older.Part("raise RuntimeError('no ticks')", older._core)
    with pytest.raises(SystemExit, match=r"could not be measured:(?s:.*)no ticks"):
        older.figures_of(ROOT, part)


def test_a_commit_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _name: str(tmp_path_factory.mktemp("cache")))
    with pytest.raises(SystemExit, match="no-such-commit could not be built"):
        older.built("no-such-commit")
