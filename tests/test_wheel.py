"""The wheel, installed beside a user's own `trading/`, `workflows/`, `activities.py` and `workers.py`."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_orders.workers.server import temporal_program
from tests.durable_orders.program import OURS, OWN_PORTS, Running

ROOT = Path(__file__).parents[1]
OWN = {
    "trading/__init__.py": "",
    "trading/signals.py": "LOT = 75\nSYMBOL = 'NFO:NIFTY25MAYFUT'\n",
    "workflows/__init__.py": "WHOSE = 'mine'\n",
    "activities.py": "WHOSE = 'mine'\n",
    "workers.py": "WHOSE = 'mine'\n",
    "sandbox.py": "WHOSE = 'mine'\n",
    "errors.py": "WHOSE = 'mine'\n",
    "orders.py": "WHOSE = 'mine'\n",
    "buy_once.py": """
import activities, errors, orders, sandbox, workers, workflows
from trading.signals import LOT, SYMBOL

from durable_orders import StrategyContext, Strategy, Tick

assert {part.WHOSE for part in (activities, errors, orders, sandbox, workers, workflows)} == {"mine"}


class BuyOnce(Strategy):
    symbols = (SYMBOL,)

    def on_start(self, context: StrategyContext) -> None:
        context.buy(SYMBOL, LOT, client_order_id="once")
""",
    "place.py": """
import activities, errors, orders, sandbox, workers, workflows
from trading.signals import LOT, SYMBOL

import durable_orders.checks
from durable_orders import OrdersSync
from durable_orders.v2 import OrderIntent

with OrdersSync("desk") as placed:
    order = placed.buy(SYMBOL, LOT, client_order_id="once").result()
    print(order.status, order.filled_quantity, placed.positions()[0].quantity)
""",
}
SECONDS = 240
"""Until a process counts as lost."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A new one, in which nothing is installed but the wheel; what it depends on comes from this one."""

    scripts: Path

    def run(self, *words: str, cwd: Path) -> str:
        """What it prints. It must succeed."""
        return ran(self._line(words), cwd, self._variables())

    @contextmanager
    def started(self, *words: str, cwd: Path) -> Iterator[Running]:
        """A command that goes on until the end of the block."""
        process = subprocess.Popen(
            self._line(words),
            cwd=cwd,
            env=self._variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Running(process)
        finally:
            process.terminate()
            process.wait(SECONDS)

    def _line(self, words: tuple[str, ...]) -> list[str]:
        return [str(self.scripts / words[0]), *words[1:]]

    def _variables(self) -> dict[str, str]:
        others = (*OURS, "PYTHON", "VIRTUAL_ENV", "COVERAGE")
        return {name: value for name, value in os.environ.items() if not name.startswith(others)}


def ran(words: list[str], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip builds it, from a checkout."""
    target = tmp_path_factory.mktemp("wheel")
    ran([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)], ROOT)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """No network: the wheel alone is installed, and this environment's packages are found behind it."""
    place = tmp_path_factory.mktemp("clean")
    venv.create(place, symlinks=True)
    scripts = place / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "--disable-pip-version-check"]
    ran([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], place)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    behind = place / "lib" / version / "site-packages" / "behind.pth"
    behind.write_text(sysconfig.get_path("purelib") + "\n")
    (scripts / "temporal").symlink_to(temporal_program())
    return Environment(scripts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's own scripts and packages."""
    for name, text in OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_wheel_holds_one_package_and_what_it_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"durable_orders", next(top for top in tops if top.endswith(".dist-info"))}
    for part in ("trading", "workflows", "activities", "workers", "sandbox"):
        assert f"durable_orders/{part}/__init__.py" in names
        assert f"durable_orders/{part}/py.typed" in names
    assert "durable_orders/py.typed" in names
    assert {name for name in names if name.endswith((".yaml", ".csv"))} >= {
        "durable_orders/trading/charges/data/charges.yaml",
        "durable_orders/trading/market/data/instruments.csv",
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_order_is_durable_beside_a_users_own_packages_of_those_names(installed: Environment, folder: Path) -> None:
    where = installed.run("python", "-c", "import durable_orders; print(durable_orders.__file__)", cwd=folder)
    assert Path(where.strip()).is_relative_to(installed.scripts.parent)
    played = installed.run("durable-orders", "backtest", "buy_once.py", cwd=folder)
    assert "2 filled" in played, "bought, and squared off by the broker"
    with installed.started("durable-orders", "up", "--home", "desk", *OWN_PORTS, cwd=folder) as up:
        up.line("Ctrl-C")
        assert installed.run("python", "place.py", cwd=folder).split() == ["FILLED", "75", "75"]
    assert "NIFTY25MAYFUT" in installed.run("durable-orders", "journal", "--home", "desk", cwd=folder)
