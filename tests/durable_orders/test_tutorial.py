"""The tutorial, followed as somebody new would; and the code of the API reference."""

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

import durable_orders
from tests.durable_orders.pages import blocks, follow
from tests.durable_orders.program import Program

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = blocks("tutorial")
SNIPPETS = re.findall(r"^```python\n(.+?)^```", (DOCS / "api.md").read_text(encoding="utf-8"), re.M | re.S)


def test_every_block_of_the_tutorial_works_as_it_is_printed(tmp_path: Path) -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console"}
    for language, text in BLOCKS:
        if language == "python":
            (tmp_path / text.split(maxsplit=2)[1]).write_text(text)
        else:
            follow(text, tmp_path)
    assert (tmp_path / "risers.csv").read_text().count("risers-") >= 18


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
    assert len(SNIPPETS) == 3
