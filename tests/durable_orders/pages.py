"""The code of a page, and its commands followed as a reader would."""

import os
import re
from pathlib import Path

from tests.durable_orders.program import OURS
from tests.starting.programs import PROGRAM, completed

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.+?)^```", text, re.MULTILINE | re.DOTALL)


def follow(block: str, where: Path) -> None:
    """Run the command of a block. What stands below it must be said, line by line in this order; `...` may be more."""
    command, *shown = block.splitlines()
    own = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    done = completed(command.removeprefix("$ ").split(), cwd=where, env=own | {"PATH": path}, text=True)
    said = iter([" ".join(line.split()) for line in (*done.stderr.splitlines(), *done.stdout.splitlines())])
    is_error = any(line.startswith("error: ") for line in shown)
    assert done.returncode == int(is_error), done.stderr
    for line in shown:
        assert line == "..." or " ".join(line.split()) in said, f"{command}: {line!r} in\n{done.stderr}{done.stdout}"
