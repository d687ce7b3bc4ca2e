"""The tutorial, followed as somebody new would; and the code of the API reference."""

import asyncio
import os
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

import durable_orders
from tests.durable_orders.program import OURS, PROGRAM, Program

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(\w*)\n(.+?)^```", (DOCS / "tutorial.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
SNIPPETS = re.findall(r"^```python\n(.+?)^```", (DOCS / "api.md").read_text(encoding="utf-8"), re.M | re.S)


def test_every_block_of_the_tutorial_works_as_it_is_printed(tmp_path: Path) -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console"}
    for language, text in BLOCKS:
        if language == "python":
            (tmp_path / text.split(maxsplit=2)[1]).write_text(text)
        else:
            follow(text, tmp_path)
    assert (tmp_path / "risers.csv").read_text().count("risers-") >= 18


def follow(block: str, where: Path) -> None:
    """Run the command of a block. What stands below it must be said, line by line in this order; `...` may be more."""
    command, *shown = block.splitlines()
    own = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command.removeprefix("$ ").split(),
        cwd=where,
        env=own | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    said = iter([" ".join(line.split()) for line in (*done.stderr.splitlines(), *done.stdout.splitlines())])
    is_error = any(line.startswith("error: ") for line in shown)
    assert done.returncode == int(is_error), done.stderr
    for line in shown:
        assert line == "..." or " ".join(line.split()) in said, f"{command}: {line!r} in\n{done.stderr}{done.stdout}"


@pytest.mark.parametrize("code", SNIPPETS)
async def test_the_code_of_the_api_reference_runs(
    code: str, desk: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".durable-orders").symlink_to(desk.home)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {name: getattr(durable_orders, name) for name in durable_orders.__all__}
    exec("async def program():\n" + textwrap.indent(code, "    "), names)  # noqa: S102
    async with asyncio.timeout(60):
        await names["program"]()


def test_the_api_reference_shows_code() -> None:
    assert len(SNIPPETS) == 2
