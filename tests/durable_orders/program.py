"""The real `durable-orders` program, as somebody at a terminal runs it."""

import io
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from durable_orders.cli import run
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.workers.home import Home
from tests.starting.programs import PROGRAM, Started, completed

OWN_PORTS = ("--port", "0", "--ui-port", "0")
"""For `up` in a test: any that nobody has."""
GROUPS = (("plan",), ("gtt",))
"""Commands that have a second word."""
MAX_WAIT = 180.0
"""Seconds until a command, or a line that is waited for, counts as lost. Only a failing test waits so long."""
OURS = ("TEMPORAL_", "DURABLE_ORDERS_", "COLUMNS", "FORCE_COLOR", "TTY_")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value that stdout must be."""
        assert self.out, self.err
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that stderr must be."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        return lines[0].removeprefix("error: ")


@dataclass(frozen=True, slots=True)
class Program:
    """The program on one home, in an environment without settings of the machine's own."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, **environment: str) -> Answer:
        """Run a command to its end."""
        done = completed(
            self._line(words),
            env=self._environment(environment),
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=MAX_WAIT,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def here(self, *words: str, typed: str = "", **environment: str) -> Answer:
        """The same, in this process: a hundred times quicker. `typed` is what it reads on stdin."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self._environment(environment), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
            patch.object(sys, "stdin", io.StringIO(typed)),
        ):
            code = run(self._line(words)[1:])
        return Answer(code, out.getvalue(), err.getvalue())

    @contextmanager
    def started(self, *words: str, **environment: str) -> Iterator["Running"]:
        """A command that goes on; it is stopped at the end of the block, with what it started, if it is still there."""
        process = Started(
            self._line(words),
            env=self._environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Running(process)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(MAX_WAIT)
            process.kill()
            process.wait()

    def _line(self, words: tuple[str, ...]) -> list[str]:
        """The home goes behind the command's name; without a command there is none."""
        home = ("--home", str(self.home)) if words and not words[0].startswith("-") else ()
        name = 2 if words[:1] in GROUPS else 1  # `plan show` has its options behind its second word
        return [str(PROGRAM), *words[:name], *home, *words[name:]]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return own | dict(self.environment) | dict(more)


def once_started(path: Path) -> Program:
    """The program on a home whose worker has run before, and in which nothing has happened yet."""
    home = Home(path).make()
    open_database(home.ledger_url(home.settings())).close()
    return Program(path)


class Running:
    """A command that goes on, and the lines that it prints."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_out, self._read_err)]
        for reader in self._readers:
            reader.start()

    def line(self, holding: str = "") -> str:
        """The next line of stdout that holds this text."""
        while True:
            found = self._lines.get(timeout=MAX_WAIT)
            assert found is not None, f"ended before it said {holding!r}: {''.join(self._errors)}"
            if holding in found:
                return found.rstrip("\n")

    def error_line(self, holding: str) -> str:
        """The first line of stderr that holds this text."""
        deadline = time.monotonic() + MAX_WAIT
        while not (found := [line for line in self._errors if holding in line]):
            assert time.monotonic() < deadline, f"never said {holding!r}: {''.join(self._errors)}"
            time.sleep(0.05)
        return found[0].rstrip("\n")

    def stop(self, signal: int) -> Answer:
        """Send a signal and wait for the end; the answer has what was not read yet."""
        self.process.send_signal(signal)
        code = self.process.wait(MAX_WAIT)
        for reader in self._readers:
            reader.join(MAX_WAIT)
        rest = list(iter(lambda: self._lines.get(timeout=MAX_WAIT), None))
        return Answer(code, "".join(line for line in rest if line), "".join(self._errors))

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors.append(line)
