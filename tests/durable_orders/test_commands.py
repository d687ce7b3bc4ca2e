"""What a command loads: for the help no more than the names of the commands, and for each what it needs itself."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_group

import durable_orders
from durable_orders.cli import app
from durable_orders.cli.commands import COMMANDS
from tests.durable_orders.program import Program, once_started

HEAVY = {"sqlalchemy", "pydantic", "temporalio", "alembic", "holidays", "yaml", "rich.progress", "psycopg", "asyncio"}
SELDOM = {"alembic", "psycopg", "sqlalchemy.dialects.postgresql", "holidays", "plotly", "xlsxwriter", "kiteconnect"}
SELDOM |= {"fastapi", "apprise", "pyarrow", "aiohttp", "durable_orders.orders", "durable_orders.trading.guardian"}
LOADED_BY = """
import contextlib, io, json, sys
from durable_orders.cli import run
with contextlib.redirect_stdout(io.StringIO()):
    code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


def loaded_by(*words: str) -> set[str]:
    """The modules that a process has after that command."""
    done = subprocess.run([sys.executable, "-c", LOADED_BY, *words], check=True, capture_output=True, text=True)
    code, modules = json.loads(done.stdout)
    assert code == 0, done.stderr
    return set(modules)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return once_started(tmp_path_factory.mktemp("home"))


def test_the_help_loads_no_command_and_nothing_of_what_commands_need() -> None:
    loaded = loaded_by("--help")
    assert HEAVY & loaded == set()
    assert {module for module in loaded if module.startswith("durable_orders.cli.")} == {
        "durable_orders.cli.app",
        "durable_orders.cli.commands",
    }


@pytest.mark.parametrize("command", ["positions", "list"])
def test_a_question_loads_no_other_command_and_none_of_what_places_and_checks_orders(
    command: str, home: Program
) -> None:
    loaded = loaded_by(command, "--home", str(home.home))
    assert SELDOM & loaded == set()
    modules = {f"durable_orders.cli.{module}" for module in COMMANDS}
    assert modules & loaded == {"durable_orders.cli.inquiries"}
    assert ("temporalio" in loaded) is (command == "list"), "only for what the ledger does not know"


def test_each_command_is_listed_with_the_first_words_of_its_own_help() -> None:
    for module in COMMANDS:
        import_module(f"durable_orders.cli.{module}")
    own = get_group(app).commands
    assert list(own) == [name for lines in COMMANDS.values() for name in lines]
    for module, lines in COMMANDS.items():
        for name, line in lines.items():
            first = next(iter(getattr(own[name], "commands", {name: own[name]}).values()))
            assert first.callback.__module__ == f"durable_orders.cli.{module}", name
            assert " ".join((own[name].help or "").split("\n\n")[0].split()) == line


def test_the_help_shows_every_command_once_and_in_its_order(tmp_path: Path) -> None:
    shown = Program(tmp_path).here("--help", COLUMNS="300").out
    places = [shown.index(f"│ {name} ") for lines in COMMANDS.values() for name in lines]
    assert places == sorted(places)


def test_what_is_mistyped_is_answered_with_what_is_like_it(tmp_path: Path) -> None:
    said = Program(tmp_path).here("positons")
    assert said.code == 2
    assert "Did you mean 'positions'" in said.error


def test_the_package_alone_loads_none_of_its_parts() -> None:
    code = "import sys, durable_orders; print(sorted(m for m in sys.modules if m.startswith('durable_orders.')))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "['durable_orders.moved']\n"
    assert set(durable_orders.__all__) <= set(dir(durable_orders))
