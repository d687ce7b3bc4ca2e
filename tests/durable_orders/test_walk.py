"""The README and the tutorial, walked word for word at a terminal: narrow and wide, with colour and without."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durable_orders.pages import blocks
from tests.durable_orders.program import OWN_PORTS, Program
from tests.durable_orders.terminal import COLOUR, Terminal, read

STEPS = tuple(f"durable-orders {name}" for name in ("place", "show", "amend", "cancel", "list", "positions", "token"))
NARROW, WIDE = 60, 120
FOR_THE_README = [Terminal(NARROW, has_colour=True), Terminal(WIDE, has_colour=False)]
FOR_THE_TUTORIAL = [Terminal(NARROW, has_colour=False), Terminal(WIDE, has_colour=True)]
"""Each width with colour and without, in the seconds of two walks."""


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, and the lines that are printed below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip()]


def shape(text: str) -> str:
    """What is said, whatever the moment, the market and the ids: 24454.50 is 0.00, and so is -60.00."""
    text = re.sub(r"\b[0-9a-f]{20}\b|\b\d{19}\b", "ID", text)
    text = re.sub(r"\d\d [A-Z][a-z]{2} \d\d:\d\d|\d\d:\d\d:\d\d(\.\d{3})?", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d", "DATE", text)
    return re.sub(r"-?\d+", "0", text)


def must_say(terminal: Terminal, command: str, shown: list[str], sent: str, *, exact: bool) -> None:
    """Where it is wide, the very lines; where it is narrow, each of their words, none cut. What a strategy prints comes
    between what its run says, so the order is that of the pages' other tests."""
    same = (lambda text: text) if exact else shape
    said = [same(line) for line in read(sent)]
    wanted = [same(" ".join(line.split())) for line in shown if line != "..."]
    where = f"{command}, {terminal}:\n{sent}"
    assert bool(COLOUR.search(sent)) <= terminal.has_colour, where
    assert "…" not in sent, where
    if terminal.columns < WIDE:
        said, wanted = sorted({*" ".join(said).split()}), sorted({*" ".join(wanted).split()})
    assert not list((Counter(wanted) - Counter(said)).elements()), where


@pytest.mark.parametrize("terminal", FOR_THE_README, ids=str)
def test_the_readme_is_what_a_terminal_shows(terminal: Terminal, tmp_path: Path) -> None:
    told = [each for _, text in blocks("../README") for each in commands(text) if each[0].startswith(STEPS)]
    assert len(told) == 9
    with Program(tmp_path / ".durable-orders").started("up", *OWN_PORTS, "--speed", "1") as running:
        running.line("Ctrl-C")
        for command, shown in told:
            code, sent = terminal.run(shlex.split(command), tmp_path)
            assert code == int(any(line.startswith("error: ") for line in shown)), sent
            must_say(terminal, command, shown, sent, exact=False)


@pytest.mark.parametrize("terminal", FOR_THE_TUTORIAL, ids=str)
def test_the_tutorial_is_what_a_terminal_shows(terminal: Terminal, tmp_path: Path) -> None:
    for language, text in blocks("tutorial"):
        if language == "python":
            (tmp_path / text.split(maxsplit=2)[1]).write_text(text)
            continue
        for command, shown in commands(text):
            code, sent = terminal.run(shlex.split(command), tmp_path)
            assert code == int(any(line.startswith("error: ") for line in shown)), sent
            must_say(terminal, command, shown, sent, exact=True)
