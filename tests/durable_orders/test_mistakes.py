"""The mistakes of a new user, of `mistakes.yaml`: one clear line each, and nothing is sent, begun or lost."""

import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.durable_orders.conftest import SYMBOL
from tests.durable_orders.program import Answer, Program, once_started

MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text(encoding="utf-8"))
GOOD = "from durable_orders import Parameter, Strategy\nclass Mine(Strategy):\n    fast = Parameter(10, least=2)\n"
WITHIN = "from durable_orders import Strategy\nclass Mine(Strategy):\n    "
TWO_TICKS = (
    f"timestamp,last_price,symbol\n2025-04-29T09:15:00+05:30,24000,{SYMBOL}\n2025-04-29T09:16:00+05:30,24010,{SYMBOL}\n"
)
GIVEN = {"mine.yaml", "mine.py", "day.csv", "__pycache__"}
"""What the tests and Python itself put into the folder."""
FAILED, MISUSED = 1, 2


def of(section: str) -> pytest.MarkDecorator:
    """Its rows."""
    rows = [(row["given"], row["said"]) for row in MISTAKES[section]]
    return pytest.mark.parametrize(("given", "said"), rows, ids=[f"{number}" for number, _ in enumerate(rows, 1)])


def line_of(answer: Answer, folder: Path) -> str:
    """The one line, with the folder as in the table, and without where the help of the command is."""
    words = answer.error.replace(str(folder), "{folder}")
    usage = re.fullmatch(r"(.+) \(see `durable-orders[a-z -]* --help`\)", words)
    assert answer.code == (MISUSED if usage else FAILED)
    assert "Traceback" not in answer.err
    assert words.isprintable()
    return usage[1] if usage else words


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a good strategy, and a home in which a worker has run."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name in ("good.py", "good.txt"):
        (folder / name).write_text(GOOD)
    (folder / "good.csv").write_text(TWO_TICKS)
    limits = "max_position_per_symbol: 75, max_daily_loss: 1000, max_order_quantity: 75"
    (folder / "live.yaml").write_text(f"execution: {{mode: live}}\nguardian: {{{limits}}}\n")
    (folder / "unlimited.yaml").write_text("execution: {mode: live}\nkite: {api_key: key}\n")
    once_started(folder / "home")
    return folder


@pytest.fixture
def home(folder: Path) -> Iterator[Program]:
    """Nothing is entered in its ledger, and no file comes or goes."""
    before = kept(folder)
    yield Program(folder / "home")
    assert kept(folder) == before


def kept(folder: Path) -> tuple[set[str], int, int]:
    with closing(sqlite3.connect(folder / "home" / "ledger.db")) as ledger:
        [(events, orders)] = ledger.execute("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM orders)")
    return {file.name for file in folder.iterdir()} - GIVEN, events, orders


@of("settings")
def test_settings(home: Program, folder: Path, given: str, said: str) -> None:
    file = folder / "mine.yaml"
    file.write_text(given)
    assert line_of(home.here("list", "--config", str(file)), folder).removeprefix(f"{{folder}}/{file.name}: ") == said


@of("variables")
def test_variables(home: Program, folder: Path, given: str, said: str) -> None:
    name, _, value = given.partition("=")
    assert line_of(home.here("list", **{name: value}), folder) == said


@of("callbacks")
def test_callbacks(home: Program, folder: Path, given: str, said: str) -> None:
    assert line_of(played(home, folder, f"{WITHIN}{given}\n"), folder) == said


@of("strategies")
def test_strategies(home: Program, folder: Path, given: str, said: str) -> None:
    assert line_of(played(home, folder, given), folder) == said


def played(home: Program, folder: Path, source: str) -> Answer:
    (folder / "mine.py").write_text(source)
    return home.here("backtest", str(folder / "mine.py"), "--ticks", str(folder / "good.csv"))


@of("ticks")
def test_ticks(home: Program, folder: Path, given: str, said: str) -> None:
    (folder / "day.csv").write_text(given)
    command = ("backtest", str(folder / "good.py"), "--ticks", str(folder / "day.csv"))
    assert line_of(home.here(*command), folder) == said


@of("commands")
def test_commands(home: Program, folder: Path, given: str, said: str) -> None:
    assert line_of(home.here(*shlex.split(given.format(folder=folder))), folder) == said


@of("orders")
def test_orders(desk: Program, tmp_path: Path, given: str, said: str) -> None:
    before = sent(desk.home)
    line = line_of(desk.here("place", *shlex.split(given)), tmp_path)
    line = re.sub(r"^[0-9a-f-]{36} was rejected: ", "", line)
    assert line.startswith(said[:-3]) if said.endswith("...") else line == said
    assert sent(desk.home) == before


def sent(home: Path) -> int:
    """How many orders the paper exchange of a home has received."""
    with closing(sqlite3.connect(home / "ledger.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM exchange_orders").fetchone()[0])


def test_there_are_more_than_a_hundred_and_none_twice() -> None:
    given = [(section, row["given"]) for section, rows in MISTAKES.items() for row in rows]
    assert len(set(given)) == len(given) > 100
