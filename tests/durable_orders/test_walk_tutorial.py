"""The tutorial, walked word for word at a terminal."""

import shlex
from pathlib import Path

import pytest

from tests.durable_orders.pages import blocks
from tests.durable_orders.terminal import Terminal
from tests.durable_orders.walking import NARROW, WIDE, commands, must_say

TERMINALS = [Terminal(NARROW, has_colour=False), Terminal(WIDE, has_colour=True)]


@pytest.mark.parametrize("terminal", TERMINALS, ids=str)
def test_the_tutorial_is_what_a_terminal_shows(terminal: Terminal, tmp_path: Path) -> None:
    for language, text in blocks("tutorial"):
        if language == "python":
            (tmp_path / text.split(maxsplit=2)[1]).write_text(text)
            continue
        for command, shown in commands(text):
            code, sent = terminal.run(shlex.split(command), tmp_path)
            assert code == int(any(line.startswith("error: ") for line in shown)), sent
            must_say(terminal, command, shown, sent, exact=True)
