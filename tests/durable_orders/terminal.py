"""A terminal of a certain width, as somebody sits at one: what is run in it sees a pseudo-terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.durable_orders.program import OURS
from tests.starting.programs import PROGRAM, Started

STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""Colours, movements of the cursor, and links."""
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])(?:;\d+)*m")
"""Not bold."""


@dataclass(frozen=True, slots=True)
class Terminal:
    columns: int
    has_colour: bool

    def run(self, words: Sequence[str], where: Path, start: "type[subprocess.Popen[Any]]" = Started) -> tuple[int, str]:
        """The exit code, and all that the terminal was sent."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, self.columns, 0, 0))
        process = start(
            words,
            cwd=where,
            env=self._environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        sent = b""
        with suppress(OSError):  # a terminal that nobody has open any more
            while part := os.read(ours, 65536):
                sent += part
        os.close(ours)
        return process.wait(), sent.decode()

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(OURS) and name != "NO_COLOR"}
        path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
        colour = {"TERM": "xterm-256color"} | ({} if self.has_colour else {"NO_COLOR": "1"})
        return own | colour | {"PATH": path}


def read(sent: str) -> list[str]:
    """The lines that somebody reads, blanks and steering left out. What was written over is a line, too."""
    lines = re.split(r"[\r\n]+", STEERING.sub("", sent))
    return [" ".join(line.split()) for line in lines if line.strip()]
