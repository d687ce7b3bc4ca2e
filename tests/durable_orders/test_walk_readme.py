"""The README, walked word for word at a terminal, by the installed program as it is started there."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.durable_orders.pages import blocks
from tests.durable_orders.program import OWN_PORTS, Program
from tests.durable_orders.terminal import Terminal
from tests.durable_orders.walking import NARROW, WIDE, commands, must_say

STEPS = tuple(f"durable-orders {name}" for name in ("place", "show", "amend", "cancel", "list", "positions", "token"))
TERMINALS = [Terminal(NARROW, has_colour=True), Terminal(WIDE, has_colour=False)]


@pytest.mark.parametrize("terminal", TERMINALS, ids=str)
def test_the_readme_is_what_a_terminal_shows(terminal: Terminal, tmp_path: Path) -> None:
    told = [each for _, text in blocks("../README") for each in commands(text) if each[0].startswith(STEPS)]
    assert len(told) == 9
    with Program(tmp_path / ".durable-orders").started("up", *OWN_PORTS, "--speed", "1") as running:
        running.line("Ctrl-C")
        for command, shown in told:
            code, sent = terminal.run(shlex.split(command), tmp_path, subprocess.Popen)
            assert code == int(any(line.startswith("error: ") for line in shown)), sent
            must_say(terminal, command, shown, sent, exact=False)
