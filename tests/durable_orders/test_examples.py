"""The examples trade, and end the day flat."""

import runpy
from pathlib import Path

import pytest

from tests.durable_orders.program import Program

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["moving_average_cross", "opening_range_breakout", "supertrend", "twap_exit"])
def test_a_strategy_file_trades_the_shipped_day_and_ends_it_flat(name: str, tmp_path: Path) -> None:
    answer = Program(tmp_path).here("backtest", str(EXAMPLES / f"{name}.py"), "--json")
    assert answer.code == 0
    found = answer.json
    assert found["by_status"]["FILLED"] == len(found["trades"]) >= 2
    assert found["trades"][-1]["position"] == 0


def test_the_one_of_the_older_interface_needs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["v2_only.py"])
    runpy.run_path(str(EXAMPLES / "v2_only.py"), run_name="__main__")
    *orders, end = capsys.readouterr().out.splitlines()
    assert len(orders) == 8
    assert all(" FILLED " in line for line in orders)
    assert end == "8 of 8 orders filled, 0 held"


def test_the_one_of_the_older_interface_is_durable_on_a_home_that_is_up(
    desk: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["v2_only.py", str(desk.home)])
    runpy.run_path(str(EXAMPLES / "v2_only.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1] == "8 of 8 orders filled, 0 held"
    assert len(desk.here("list", "--strategy", "v2-only", "--json").json) == 8
