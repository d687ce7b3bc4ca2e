"""What a command costs beyond what it does: the CPU of whole processes, `python -m bench.older start`.

Each tree has a home of its own that is up, with one order in it. The commands only ask, so most of what they take is
the imports.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from durable_orders.workers import ports

SYMBOL, LOT = "NFO:NIFTY25MAYFUT", "75"
OWN_ID = "measured"
COMMANDS = {"--help": ("--help",), "list": ("list",), "show": ("show", OWN_ID), "positions": ("positions",)}
MILLISECONDS = 1000


class Commands:
    """The program of a tree, from its start to its end."""

    pairs = 10

    @contextmanager
    def in_tree(self, tree: Path) -> Iterator[Callable[[], Mapping[str, float]]]:
        """What measures each command once: CPU in milliseconds, user and system."""
        program = tree / ".venv" / "bin" / "durable-orders"
        with tempfile.TemporaryDirectory(prefix="durable-orders-start-") as home:
            lines = {name: _line(program, home, words) for name, words in COMMANDS.items()}
            with _up(program, home):
                place = _line(program, home, ("place", "BUY", SYMBOL, LOT, "--id", OWN_ID, "--wait"))
                subprocess.run(place, check=True, stdout=subprocess.DEVNULL)
                for line in lines.values():  # what was never imported is compiled once
                    cpu_of(line)
                yield lambda: {f"{name}, CPU ms": cpu_of(line) * MILLISECONDS for name, line in lines.items()}


def cpu_of(line: Sequence[str]) -> float:
    """Seconds of CPU of one process. Raises `SystemExit` if it fails."""
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(line)}: {said.decode().strip()}")
    return used.ru_utime + used.ru_stime


def _line(program: Path, home: str, words: Sequence[str]) -> Sequence[str]:
    is_of_a_home = not words[0].startswith("-")
    return (str(program), *words[:1], *(("--home", home) if is_of_a_home else ()), *words[1:])


@contextmanager
def _up(program: Path, home: str) -> Iterator[None]:
    """Its market goes on at the pace of the wall's clock, and so takes next to nothing of the machine."""
    own = ("--port", str(ports.choose(ports.ANY, 0)), "--ui-port", str(ports.choose(ports.ANY, 0)), "--speed", "1")
    with subprocess.Popen(_line(program, home, ("up", *own)), stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        try:
            for line in up.stdout:
                if "Ctrl-C" in line:
                    break
            yield
        finally:
            up.terminate()
