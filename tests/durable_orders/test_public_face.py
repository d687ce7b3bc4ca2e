"""What a user's code imports: from three modules, and what is not there any more says where it is."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import durable_orders
from durable_orders import Order, Side, checks
from durable_orders.moved import MOVED, RENAMED
from tests.durable_orders.program import Program

ROOT = Path(__file__).parents[2]
PUBLIC = ("durable_orders", "durable_orders.checks", "durable_orders.v2")
PACKAGES = ("trading", "workflows", "activities", "workers", "sandbox")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def ours(code: str) -> Iterator[tuple[str, str]]:
    """Module and name of everything of this project that is imported. A name is empty for a whole module."""
    for node in ast.walk(compile(code, "<code>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("durable_orders", *PACKAGES):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "durable_orders")


def shown(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.+?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


CODE = [(path.name, path.read_text(encoding="utf-8")) for path in EXAMPLES]
CODE += [(page.name, block) for page in PAGES for block in shown(page)]


@pytest.mark.parametrize(("where", "code"), CODE, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CODE)])
def test_examples_and_documents_import_what_is_public_and_nothing_else(where: str, code: str) -> None:
    for module, name in ours(code):
        assert module in PUBLIC, f"{where} imports {module}, which may move at any time"
        assert not name or name in import_module(module).__all__, f"{where} imports {name}"


def test_there_is_code_to_look_at() -> None:
    assert {module for _, code in CODE for module, _ in ours(code)} == set(PUBLIC)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there_once(module: str) -> None:
    face = import_module(module)
    assert [name for name in face.__all__ if not hasattr(face, name)] == []
    assert set(face.__all__) <= set(dir(face))
    assert len(set(face.__all__)) == len(face.__all__)


def test_the_api_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^### `(\w+)`$", page, re.MULTILINE)) | set(re.findall(r"^\| `(\w+)` \|", page, re.M))
    assert {*durable_orders.__all__, *checks.__all__} - described == set()


def test_the_rule_on_the_guardians_page_is_one() -> None:
    (code,) = shown(ROOT / "docs" / "guardian.md")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    rule = names["NoMondays"]()
    assert isinstance(rule, checks.Check)
    monday, friday = (cast(Any, SimpleNamespace(market_time=datetime(2026, 11, day, tzinfo=UTC))) for day in (2, 6))
    assert rule(cast(Any, None), friday) is None
    assert rule(cast(Any, None), monday) == checks.Failure("not on a Monday")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'durable_orders' has no attribute 'Ordr'"):
        _ = durable_orders.Ordr  # type: ignore[attr-defined]


def test_what_an_order_is_made_of_is_typed() -> None:
    """The comments are checked: without the error they would be reported as not needed."""
    order = Order(symbol="NSE:INFY", side=Side.BUY, quantity=1, strategy="s")
    assert (order.quantity, order.product, order.client_order_id != "") == (1, "MIS", True)
    with pytest.raises(ValueError, match="quanity"):
        Order(symbol="NSE:INFY", side=Side.BUY, quanity=1, quantity=1, strategy="s")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="quantity"):
        Order(symbol="NSE:INFY", side=Side.BUY, quantity="1", strategy="s")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="strategy"):
        Order(symbol="NSE:INFY", side=Side.BUY, quantity=1)  # type: ignore[call-arg]


OLD = [
    (
        "from trading.strategy import Desk, Strategy",
        "is `from durable_orders import StrategyContext as Desk, Strategy` now",
    ),
    ("from trading.market.ticks import Tick as T", "is `from durable_orders import Tick as T` now"),
    ("from trading.order import (\n    Order,\n    Side,\n)", "is `from durable_orders import Order, Side` now"),
    ("from trading.guardian.check import Check", "is `from durable_orders.checks import Check` now"),
    ("from sandbox import Sandbox", "is `from durable_orders import Sandbox` now"),
    ("import trading.strategy", "`import trading.strategy`: its names are in `durable_orders` now"),
    ("from durable_orders.trading.strategy import Strategy", "is `from durable_orders import Strategy` now"),
]


@pytest.mark.parametrize(("statement", "words"), OLD)
def test_a_strategy_file_with_an_old_import_is_told_the_new_one(statement: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(f"import sys\n{statement}\n\nclass Mine:\n    pass\n")
    for command in (("backtest",), ("run", "--engines")):
        said = Program(tmp_path / "home").here(*command, str(tmp_path / "old.py"))
        assert said.code != 0
        assert said.error.startswith("old.py: line 2: ")
        assert said.error.endswith(words)


SCRIPTS_ONE_BY_ONE = """
import runpy, sys, traceback
for script in sys.argv[1:]:
    try:
        runpy.run_path(script)
        print('nothing was said')
    except ImportError as error:
        print(repr(traceback.format_exception(error)[-1].strip()))
"""


@pytest.mark.parametrize("has_own", [False, True])
def test_a_script_over_an_engine_is_told_too(has_own: bool, tmp_path: Path) -> None:
    """Without a checkout on the path, and beside a folder of the user's own that is called as ours was."""
    asked = [(statement, words) for statement, words in OLD if not (has_own and not is_of_trading(statement))]
    if has_own:
        (tmp_path / "trading").mkdir()
        (tmp_path / "trading" / "__init__.py").touch()
    for number, (statement, _) in enumerate(asked):
        script = f"from durable_orders import PaperExecutionEngine\n{statement}\n"
        (tmp_path / f"script{number}.py").write_text(script)
    done = alone(tmp_path, SCRIPTS_ONE_BY_ONE, *(f"script{number}.py" for number in range(len(asked))))
    said = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert [each.endswith(words) for each, (_, words) in zip(said, asked, strict=True)] == [True] * len(asked), said


def is_of_trading(statement: str) -> bool:
    return "sandbox" not in statement and "durable" not in statement


def alone(where: Path, code: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Python with the package and what it needs, and nothing else of this repository."""
    link = where / "installed" / "durable_orders"
    if not link.exists():
        link.parent.mkdir()
        link.symlink_to(ROOT / "durable_orders")
    head = f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}] + [{str(link.parent)!r}]; "
    return subprocess.run(
        [sys.executable, "-c", head + code, *words], cwd=where, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_is_not_ours_is_missed_as_always(tmp_path: Path) -> None:
    looked = "import importlib.util as u, durable_orders; print([u.find_spec(n) for n in ('trading', 'sandbox')])"
    assert alone(tmp_path, looked).stdout == "[None, None]\n"
    (tmp_path / "mine.py").write_text("import durable_orders\nfrom trading.mine import anything\n")
    done = alone(tmp_path, "import runpy; runpy.run_path('mine.py')")
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'trading'"


def test_every_old_module_leads_to_one_that_has_its_names() -> None:
    assert set(MOVED.values()) <= set(PUBLIC)
    for statement, _ in OLD:
        for module, name in ours(statement):
            new = MOVED[module.removeprefix("durable_orders.")] if name else None
            assert new is None or RENAMED.get(name, name) in import_module(new).__all__


@pytest.mark.parametrize("package", PACKAGES)
def test_in_a_checkout_no_package_is_imported_by_its_short_name(package: str) -> None:
    """Each module would be there twice, and with it each class."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {package}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.splitlines()[-1] == f"ImportError: import durable_orders.{package} instead of {package}"
