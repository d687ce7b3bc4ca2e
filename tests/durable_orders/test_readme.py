"""What the README shows is what there is."""

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from durable_orders.cli.commands import MODULE_OF
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.orders.order import Status
from tests.durable_orders.program import Program

HOUSE = Path(__file__).parents[2]
README = (HOUSE / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.+?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_its_settings_can_be_used() -> None:
    shown = Settings.model_validate(yaml.safe_load(block("yaml")))
    assert shown.guardian.max_order_value == 5_000_000


PROGRAMS = re.findall(r"^```python\n(.+?)^```", README, re.MULTILINE | re.DOTALL)


async def printed(code: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What one of its programs prints. Each is run as a notebook would: `async with` at its top."""
    names: dict[str, Any] = {}
    exec("async def program():\n" + textwrap.indent(code, "    "), names)  # noqa: S102
    async with asyncio.timeout(60):
        await names["program"]()
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("number", "begins"), [(0, ["FILLED", "75"]), (1, ["PLACED", "CANCELLED"]), (2, ["NFO:NIFTY25MAYFUT"])]
)
async def test_its_programs_run(
    number: int,
    begins: list[str],
    desk: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / ".durable-orders").symlink_to(desk.home)
    monkeypatch.chdir(tmp_path)
    said = await printed(PROGRAMS[number], capsys)
    assert said[: len(begins)] == begins
    assert all(float(word) > 0 for word in said[len(begins) :])


def test_five_lines_place_an_order() -> None:
    assert len([line for line in PROGRAMS[0].splitlines() if line]) == 5


def test_it_explains_every_status() -> None:
    assert re.findall(r"^\| `([A-Z]+)` \|", README, re.MULTILINE) == list(Status)


def test_its_commands_exist() -> None:
    assert set(re.findall(r"durable-orders ([a-z]+)", README)) <= set(MODULE_OF)


@pytest.mark.parametrize("page", ["README.md", "docs/design.md", "docs/backtest.md"])
def test_its_links_lead_somewhere(page: str) -> None:
    file = HOUSE / page
    links = re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (file.parent / link).exists()] == []
