"""The documentation says what the code does."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs import generate_api, generate_guardian, generate_measured, generate_orders_sync
from docs.generate_lifecycle import TARGET, render
from durable_orders.backtest.left_out import left_out
from durable_orders.trading.config.keys import all_keys
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.orders.lifecycle import TRANSITIONS
from durable_orders.trading.orders.order import TERMINAL, Status
from tests.durable_orders.pages import blocks, follow

SCRIPT = Path(__file__).parents[1] / "docs" / "generate_lifecycle.py"


def test_the_lifecycle_page_is_the_one_that_the_table_gives() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run: python docs/generate_lifecycle.py"


def test_the_script_writes_the_page(tmp_path: Path) -> None:
    copy = shutil.copy(SCRIPT, tmp_path)
    subprocess.run([sys.executable, copy], check=True)
    assert (tmp_path / "lifecycle.md").read_text(encoding="utf-8") == render()


def test_the_diagram_has_every_arrow_and_no_other() -> None:
    drawn = {
        (before, trigger, after)
        for before, after, triggers in re.findall(r"^ +([A-Z]+) --> ([A-Z]+): (.+)$", render(), re.MULTILINE)
        for trigger in triggers.split(", ")
    }
    assert drawn == {(before, trigger, after) for (before, trigger), after in TRANSITIONS.items()}
    assert set(re.findall(r"^ +([A-Z]+) --> \[\*\]$", render(), re.MULTILINE)) == TERMINAL


def test_the_page_explains_every_status() -> None:
    explained = re.findall(r"^\| `([A-Z]+)` \| \w", render(), re.MULTILINE)
    assert explained == list(Status)


def test_the_guardians_page_is_the_one_that_the_checks_give() -> None:
    page = generate_guardian.TARGET.read_text(encoding="utf-8")
    assert page == generate_guardian.render(), "run: python docs/generate_guardian.py"


def test_every_setting_that_the_guardians_page_names_is_one() -> None:
    known = {".".join(key) for key in all_keys(Settings)}
    named = set(re.findall(r"`((?:guardian|execution|trading|market)\.[a-z_.*]+)`", generate_guardian.render()))
    sections = {key.rsplit(".", count)[0] for key in known for count in (1, 2)}
    assert {key for key in named if key not in known | sections and not key.endswith("trading_hours")} == set()


def test_the_api_reference_is_the_one_that_the_docstrings_give() -> None:
    page = generate_api.TARGET.read_text(encoding="utf-8")
    assert page == generate_api.render(), "run: python docs/generate_api.py"


def test_the_synchronous_client_offers_what_the_client_does() -> None:
    module = generate_orders_sync.TARGET.read_text(encoding="utf-8")
    assert module == generate_orders_sync.render(), "run: python docs/generate_orders_sync.py"


def test_the_page_of_measurements_has_the_figures_of_the_benchmarks() -> None:
    page = generate_measured.TARGET.read_text(encoding="utf-8")
    assert page == generate_measured.render(), "run: python docs/generate_measured.py"
    assert generate_measured.MISSING not in page


def test_a_goal_counts_as_met_when_its_figure_says_so_and_what_is_not_measured_is_said() -> None:
    figures = json.loads(generate_measured.LATEST.read_text(encoding="utf-8"))
    figures["core"] |= {"orders_per_second": 19_999.0, "bytes_per_order": None}
    short = generate_measured.render(figures, {})
    assert "| core: market orders a second | 20,000 | 19,999 | **no** |" in short
    assert "| core: bytes an ended order keeps | under 1,024 | missing | not known |" in short
    assert short.count(generate_measured.MISSING) == 1, "the ten thousand resting orders"
    figures["core"]["orders_per_second"] = 20_000.0
    assert "| 20,000 | 20,000 | yes |" in generate_measured.render(figures, {})


def test_every_block_of_the_backtests_page_works_as_it_is_printed(tmp_path: Path) -> None:
    for language, text in blocks("backtest"):
        if language == "console":
            follow(text, tmp_path)
        else:
            name = "infy.csv" if language == "csv" else text.split(maxsplit=2)[1]
            (tmp_path / name).write_text(text)
    assert {path.name for path in tmp_path.iterdir()} >= {"once.py", "infy.csv", "careful.yaml", "once.html"}


def test_every_block_of_the_strategies_page_works_as_it_is_printed(tmp_path: Path) -> None:
    for language, text in blocks("strategies"):
        if language == "console":
            follow(text, tmp_path)
        else:
            (tmp_path / text.split(maxsplit=2)[1]).write_text(text)


def test_the_backtests_page_explains_every_setting_that_it_leaves_out() -> None:
    page = (Path(__file__).parents[1] / "docs" / "backtest.md").read_text(encoding="utf-8")
    unlike = {
        "ledger": {"realized_by": "fifo"},
        "market": {"feed": "synthetic"},
    }
    keys = [line.split()[0] for line in left_out(Settings.model_validate(unlike))]
    assert len(keys) == 2
    assert [key for key in keys if f"`{key}`" not in page] == []


def test_every_test_that_holds_what_an_operator_may_do_is_there() -> None:
    root = Path(__file__).parents[1]
    page = (root / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    found = {
        name for file in (root / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(named) > 20
    assert named <= found
