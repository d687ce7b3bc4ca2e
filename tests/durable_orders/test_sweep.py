"""`durable-orders sweep`: each combination comes to what a backtest of it does, and none is played twice."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_orders.backtest.imported import imported_files
from durable_orders.backtest.sweep import combinations, values_of
from durable_orders.cli import run
from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.ist import IST

STRATEGY = """
from durable_orders import Parameter, Strategy

class Every(Strategy):
    every = Parameter(10, least=2)
    side = Parameter("BUY")

    def on_start(self, desk):
        print("begins")
        self.seen = 0
    def on_tick(self, desk, tick):
        self.seen += 1
        if self.side == "RAISE":
            raise RuntimeError("as asked for")
        if self.seen % self.every == 0:
            (desk.buy if (self.seen // self.every) % 2 == (self.side == "BUY") else desk.sell)(tick.symbol, 10)
    def on_order(self, desk, order): return
    def on_stop(self, desk): return
"""
PARAMS = ("--param", "every=5:15:5", "--param", "side=BUY,SELL")


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    """Of a command line: the strategy, its ticks and a home."""
    (tmp_path / "every.py").write_text(STRATEGY)
    begins = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
    rows = (f"{begins + timedelta(seconds=20 * n)},{1000 + n * n % 37},NSE:INFY" for n in range(100))
    (tmp_path / "ticks.csv").write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    return str(tmp_path / "every.py"), "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path / "home")


ONE = ("--cores", "1")


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def swept(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], *more: str) -> list[dict[str, Any]]:
    code, out, err = shown(capsys, "sweep", *words, *PARAMS, *ONE, "--json", *more)
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)
    return found


def kept(tmp_path: Path) -> Path:
    [file] = (tmp_path / "home" / "sweeps").iterdir()
    return file


def test_each_combination_comes_to_what_its_backtest_does(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    results = swept(capsys, words)

    assert [tuple(each["values"].values()) for each in results] == [
        (every, side) for every in ("5", "10", "15") for side in ("BUY", "SELL")
    ]
    for each in results:
        given = (f"--set={name}={value}" for name, value in each["values"].items())
        _, out, _ = shown(capsys, "backtest", *words, *given, "--json")
        alone = json.loads(out)
        assert {name: each[name] for name in ("net_profit", "max_drawdown", "orders", "wins", "losses")} == {
            name: alone[name] for name in ("net_profit", "max_drawdown", "orders", "wins", "losses")
        }
    assert len({each["net_profit"] for each in results}) > 3


def test_several_cores_come_to_the_same_as_one(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    one = swept(capsys, words)

    assert swept(capsys, words, "--cores", "2", "--fresh") == one


def test_broken_off_it_goes_on_with_what_is_missing(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    """A line that was half-written counts as missing; one that is there is believed."""
    whole = swept(capsys, words)
    told, first, second, third, *_ = kept(tmp_path).read_text().splitlines()
    believed = json.dumps(json.loads(first) | {"orders": 4711})
    kept(tmp_path).write_text("\n".join([told, believed, second, third[:40]]))

    again = swept(capsys, words)

    assert again == [whole[0] | {"orders": 4711}, *whole[1:]]
    assert swept(capsys, words) == again
    assert swept(capsys, words, "--fresh") == whole


def test_other_ticks_are_another_sweep(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    before = swept(capsys, words)
    file = tmp_path / "ticks.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:50]) + "\n")

    assert swept(capsys, words) != before
    assert len(list((tmp_path / "home" / "sweeps").iterdir())) == 2


def test_a_module_with_a_name_of_pythons_own_belongs_to_the_sweep_where_it_lies_beside(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "trace.py").write_text("import fractions\nEDGE = 1\n")
    (tmp_path / "every.py").write_text("import json\nimport trace\nfrom wave import open\n")
    assert [file.name for file in imported_files(tmp_path / "every.py")] == ["every.py", "trace.py"]


def test_a_module_that_the_strategy_imports_belongs_to_the_sweep(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    """Also one that another imports, and one that is imported within a function."""
    (tmp_path / "sized").mkdir()
    (tmp_path / "sized" / "__init__.py").write_text("")
    (tmp_path / "sized" / "rules.py").write_text("from . import units\n")
    (tmp_path / "sized" / "units.py").write_text("LOT = 10\n")
    (tmp_path / "late.py").write_text("WORD = 'a'\n")
    strategy = tmp_path / "every.py"
    lazy = "def on_stop(self, desk):\n        import late\n        return\n"
    strategy.write_text("import json\nimport sized.rules\n" + STRATEGY.replace("def on_stop(self, desk): return", lazy))
    swept(capsys, words)
    before = {kept(tmp_path)}

    for name in ("sized/units.py", "sized/__init__.py", "late.py"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "# changed\n")
        swept(capsys, words)
        after = set((tmp_path / "home" / "sweeps").iterdir())
        assert len(after - before) == 1, name
        before = after
    (tmp_path / "beside.py").write_text("")
    swept(capsys, words)
    assert set((tmp_path / "home" / "sweeps").iterdir()) == before


def test_rows_that_were_left_out_are_told_also_of_a_sweep_that_is_kept(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "ticks.csv"
    late = ("2025-04-29T16:00:00+05:30,1000", "2025-04-29T16:01:00+05:30,-5", "2025-04-30T09:15:00+05:30,1000")
    file.write_text(file.read_text() + "".join(f"{row},NSE:INFY\n" for row in late))

    for more in (("--cores", "2"), ("--walk-forward", "1:1"), ()):
        code, _, err = shown(capsys, "sweep", *words, *PARAMS, "--skip-bad", *more)
        assert "note: rows skipped that cannot be: 1 (" in err, more
        assert "rows left out, outside the sessions of their symbol: 1 (" in err, more
        assert code == 0


def test_what_was_refused_throughout_is_no_result(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "durable-orders.yaml").write_text("guardian: {max_order_quantity: 9}\n")
    code, out, err = shown(capsys, "sweep", *words, *ONE, "--param", "every=5,10")
    assert code == 1
    assert "error: every combination was stopped: every: no order passed: " in err
    assert out.count("no order passed") == 2


DAYS = ("2025-04-28", "2025-04-29", "2025-04-30", "2025-05-02", "2025-05-05", "2025-05-06")


@pytest.fixture
def days(tmp_path: Path, words: tuple[str, ...]) -> tuple[str, ...]:
    """The same command line over ticks of six days."""
    lines = ["timestamp,last_price,symbol"]
    for number, day in enumerate(DAYS):
        begins = datetime.fromisoformat(f"{day}T09:15:00").replace(tzinfo=IST)
        every = (7 + 2 * number, 31 + number)
        lines += [f"{begins + timedelta(seconds=20 * n)},{1000 + n * every[0] % every[1]},NSE:INFY" for n in range(60)]
    (tmp_path / "ticks.csv").write_text("\n".join(lines) + "\n")
    return words


def backtest_of(
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    tmp_path: Path,
    days: tuple[str, ...],
    values: dict[str, str],
) -> dict[str, Any]:
    """With only the ticks of these days, and those before them as history."""
    head, *rows = (tmp_path / "ticks.csv").read_text().splitlines()
    part, before = tmp_path / "part.csv", tmp_path / "before.csv"
    part.write_text("\n".join([head, *(row for row in rows if row[:10] in days)]) + "\n")
    before.write_text("\n".join([head, *(row for row in rows if row[:10] < days[0])]) + "\n")
    history = ("--history", str(before)) if days[0] != DAYS[0] else ()
    given = (f"--set={name}={value}" for name, value in values.items())
    strategy, _, _, *rest = words
    _, out, _ = shown(capsys, "backtest", strategy, "--ticks", str(part), *rest, *history, *given, "--json")
    found: dict[str, Any] = json.loads(out)
    return found


def test_walk_forward_plays_the_best_of_each_window_on_the_days_that_follow(
    capsys: pytest.CaptureFixture[str], days: tuple[str, ...], tmp_path: Path
) -> None:
    """Each window's figures are those of backtests over its days; its values are the best of all on its first days."""
    (tmp_path / "every.py").write_text(
        STRATEGY.replace("self.seen = 0", "self.seen = len(desk.history('NSE:INFY', 'minute', 500)) % 7")
    )
    code, out, err = shown(capsys, "sweep", *days, *PARAMS, *ONE, "--walk-forward", "2:2", "--json")
    assert code == 0, err
    walked = json.loads(out)

    spans = [(step["window"]["in_sample"], step["window"]["out_of_sample"]) for step in walked["steps"]]
    assert [(*a.values(), *b.values()) for a, b in spans] == [DAYS[0:4], DAYS[2:6]]
    keys = ("net_profit", "max_drawdown", "orders", "wins", "losses")
    for number, step in enumerate(walked["steps"]):
        inside, outside = DAYS[2 * number : 2 * number + 2], DAYS[2 * number + 2 : 2 * number + 4]
        nets = {}
        for every in ("5", "10", "15"):
            for side in ("BUY", "SELL"):
                values = {"every": every, "side": side}
                nets[every, side] = float(backtest_of(capsys, days, tmp_path, inside, values)["net_profit"])
        best = step["in_sample"]["values"]
        assert tuple(best.values()) == max(nets, key=lambda each: nets[each])
        for name, span in (("in_sample", inside), ("out_of_sample", outside)):
            alone = backtest_of(capsys, days, tmp_path, span, best)
            assert {key: step[name][key] for key in keys} == {key: alone[key] for key in keys}
    assert float(walked["net_profit"]) == pytest.approx(
        sum(float(step["out_of_sample"]["net_profit"]) for step in walked["steps"])
    )


def test_walk_forward_goes_on_where_it_was_and_comes_to_the_same_on_two_cores(
    capsys: pytest.CaptureFixture[str], days: tuple[str, ...], tmp_path: Path
) -> None:
    command = ("sweep", *days, *PARAMS, "--walk-forward", "3:1", "--json")
    _, whole, _ = shown(capsys, *command, *ONE)
    lines = kept(tmp_path).read_text().splitlines()
    kept(tmp_path).write_text("\n".join(lines[:7]))

    assert shown(capsys, *command, "--cores", "2")[:2] == (0, whole)
    assert sorted(kept(tmp_path).read_text().splitlines()) == sorted(lines)
    assert shown(capsys, *command, *ONE)[:2] == (0, whole)
    assert len(json.loads(whole)["steps"]) == 3


def test_walk_forward_has_a_table_and_a_page(
    capsys: pytest.CaptureFixture[str], days: tuple[str, ...], tmp_path: Path
) -> None:
    report = tmp_path / "walk.html"
    code, out, _ = shown(capsys, "sweep", *days, *PARAMS, *ONE, "--walk-forward", "4:2", "--report", str(report))

    assert code == 0
    assert "out of sample: net profit " in out
    assert "every=" in out
    page = report.read_text()
    assert all(part in page for part in ("Walk-forward of 1 windows, 6 combinations each", "out of sample from"))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("5", "--walk-forward: must be DAYS:DAYS, in sample and out of sample, each at least 1, as in 20:5, was '5'"),
        ("0:5", "--walk-forward: must be DAYS:DAYS"),
        ("6:1", "--walk-forward: the ticks must be of at least 7 days, 6 in sample and 1 after them; they are of 6"),
    ],
)
def test_a_walk_forward_that_cannot_be_is_said(
    capsys: pytest.CaptureFixture[str], days: tuple[str, ...], given: str, error: str
) -> None:
    code, out, err = shown(capsys, "sweep", *days, *PARAMS, *ONE, "--walk-forward", given)

    assert (code, out) == (1, "")
    assert error in err


def test_a_window_in_which_nothing_can_be_chosen_is_told(
    capsys: pytest.CaptureFixture[str], days: tuple[str, ...]
) -> None:
    code, _, err = shown(capsys, "sweep", *days, *ONE, "--param", "side=RAISE", "--walk-forward", "4:1")

    assert code == 1
    assert "nothing came of any window: every combination was stopped in sample: every: on_tick failed" in err


def test_a_window_that_is_stopped_counts_in_no_total(
    capsys: pytest.CaptureFixture[str], days: tuple[str, ...], tmp_path: Path
) -> None:
    """It raises on the last day, after it has traded on that: out of sample of the second window."""
    raises = f"if str(tick.at)[:16] == '{DAYS[5]} 09:30': raise RuntimeError"
    (tmp_path / "every.py").write_text(STRATEGY.replace("self.seen += 1", f"self.seen += 1\n        {raises}"))
    command = ("sweep", *days, *PARAMS, *ONE, "--walk-forward", "2:2")
    code, out, err = shown(capsys, *command, "--json")
    assert code == 0, err
    walked = json.loads(out)
    assert [step["stopped"] is not None for step in walked["steps"]] == [False, True]
    [first, second] = [step["out_of_sample"] for step in walked["steps"]]
    assert second["orders"] > 0
    assert (walked["stopped"], walked["net_profit"], walked["orders"]) == (1, first["net_profit"], first["orders"])
    earned = float(walked["steps"][0]["in_sample"]["net_profit"])
    assert float(walked["efficiency"]) == pytest.approx(float(first["net_profit"]) / earned * 100, abs=0.1)
    assert "; of 2 windows, 1 stopped and left out" in " ".join(shown(capsys, *command)[1].split())


def test_the_best_is_first_and_a_page_has_the_heat_map(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    report = tmp_path / "sweep.html"
    code, out, err = shown(capsys, "sweep", *words, *PARAMS, *ONE, "--report", str(report))

    assert (code, err.splitlines()[-1]) == (0, f"note: the report is in {report}")
    profits = [float(line.split()[2].replace(",", "")) for line in out.splitlines()[1:]]
    assert profits == sorted(profits, reverse=True)
    page = report.read_text()
    assert all(part in page for part in ("heatmap", "every", "side", "Sweep of 6 combinations"))


def test_a_combination_that_fails_is_last_and_all_of_them_an_error(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, out, _ = shown(capsys, "sweep", *words, *ONE, "--param", "side=RAISE,BUY")
    assert code == 0
    assert "every: on_tick failed at every.py line" in out.splitlines()[-1]

    code, _, err = shown(capsys, "sweep", *words, "--param", "side=RAISE")
    assert code == 1
    assert "every combination was stopped: every: on_tick failed at every.py line 14: RuntimeError: as asked for" in err


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((), "--param: must be given, as in --param fast=5:20:5"),
        (("every",), "--param every: must be NAME=FIRST:LAST:STEP or NAME=VALUE,VALUE"),
        (("every=5:1:1",), "--param every=5:1:1: the step must be above 0, and the last not below the first"),
        (("every=1:5:2",), "--param every: must be at least 2, was 1"),
        (("often=1,2",), "--param often: the strategy has no such parameter"),
        (("every=2,3", "every=4"), "--param every: must be given once"),
        (("every=1:20000:1",), "must be at most 10000 values, were 20000"),
        (("every=2:201:1", "side=" + ",".join(map(str, range(60)))), "must be at most 10000 combinations, were 12000"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_played(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path, given: tuple[str, ...], error: str
) -> None:
    code, out, err = shown(capsys, "sweep", *words, *(f"--param={each}" for each in given))

    assert (code, out) == (1, "")
    assert error in err
    assert not (tmp_path / "home" / "sweeps").exists()


def test_values_are_exact_and_both_ends_are_among_them() -> None:
    assert values_of("stop=0.1:0.3:0.1") == ("stop", ["0.1", "0.2", "0.3"])
    assert values_of("n=10:100:45") == ("n", ["10", "55", "100"])
    assert values_of("at=9:20,9:25") == ("at", ["9:20", "9:25"])
    assert [dict(each)["b"] for each in combinations(["a=1,2", "b=3,4"])] == ["3", "4", "3", "4"]
    with pytest.raises(InvalidStrategy):
        values_of("stop=1:inf:1")
