"""A program that is forked sees, says and ends as the same program that is started."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from tests.starting.programs import PROGRAM, ROOT, Started, completed

WORDS = [sys.executable, "-m", "tests.starting.sees", "one", "--two", ""]
BOTH = pytest.mark.parametrize("start", [subprocess.Popen, Started])
Start = Callable[..., "subprocess.Popen[str]"]


@contextmanager
def started(start: Start, **how: Any) -> Iterator["subprocess.Popen[str]"]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with start(WORDS, text=True, **{"cwd": ROOT, "env": dict(os.environ)} | pipes | how) as process:
        try:
            yield process
        finally:
            process.kill()


def seen(start: Start, **how: Any) -> dict[str, Any]:
    with started(start, **how) as process:
        out, err = process.communicate("exit 0\n", 60)
    assert (process.returncode, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_it_is_a_fork() -> None:
    with started(Started) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert "tests.starting.server" in psutil.Process(process.pid).cmdline()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"cwd": "/"},
        {"env": os.environ | {"OWN": "é=\n", "PYTHONPATH": str(ROOT)}, "cwd": "/tmp"},  # noqa: S108
        {"env": os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}},
        {"start_new_session": True},
    ],
    ids=["as it is", "elsewhere", "other variables", "no bytecode", "a session"],
)
def test_it_sees_what_a_program_sees_that_is_started(how: dict[str, Any]) -> None:
    real, forked = seen(subprocess.Popen, **how), seen(Started, **how)
    for each in (real, forked):
        if how.get("start_new_session"):
            del each["group"]  # its own number
        each["flags"].pop(4)  # whether it writes bytecode, which is seen otherwise
    assert {name: value for name, value in forked.items() if value != real[name]} == {}
    assert {name: value for name, value in real.items() if value != forked[name]} == {}
    assert forked["parent"] == os.getpid()


def test_it_sees_its_terminal() -> None:
    found = []
    for start in (subprocess.Popen, Started):
        ours, theirs = pty.openpty()
        with started(start, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            said = b""
            while not said.endswith(b"}\r\n"):
                said += os.read(ours, 65536)
            os.write(ours, b"exit 0\n")
            assert process.wait(60) == 0
        os.close(ours)
        found.append(json.loads(said)["streams"])
    assert found[0] == found[1]
    assert all(stream["isatty"] for stream in found[1])


@BOTH
@pytest.mark.parametrize(("told", "code"), [("exit 0", 0), ("exit 7", 7), ("raise", 1)])
def test_it_ends_with_its_code(start: Start, told: str, code: int) -> None:
    with started(start) as process:
        _, err = process.communicate(f"{told}\n", 60)
    assert process.returncode == code
    assert err.splitlines()[-1:] == (["LookupError: as it was told"] if code == 1 else [])


@BOTH
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_a_signal(start: Start, number: signal.Signals) -> None:
    with started(start) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(60) == -number


@BOTH
def test_who_is_not_waited_for_in_time_is_told_of(start: Start) -> None:
    with started(start) as process, pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.01)


def test_each_has_chances_of_its_own() -> None:
    said = []
    for _ in range(2):
        with started(Started) as process:
            said.append(json.loads(process.communicate("chance\n", 60)[0].splitlines()[1]))
    assert all(one != other for one, other in zip(*said, strict=True))


def test_the_program_itself() -> None:
    path = os.environ | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    cases: tuple[tuple[list[str], dict[str, Any]], ...] = (
        ([str(PROGRAM), "--version"], {}),
        (["durable-orders", "--version"], {"env": path}),
    )
    for words, how in cases:
        real = subprocess.run(words, capture_output=True, text=True, check=True, **how)
        forked = completed(words, text=True, timeout=60, **how)
        assert (forked.returncode, forked.stdout, forked.stderr) == (0, real.stdout, "")


def test_what_a_fork_cannot_be_like_is_started() -> None:
    cases: tuple[tuple[list[str], dict[str, Any]], ...] = (
        ([sys.executable, "-c", "import sys; print('tests.starting.server' in sys.modules)"], {}),
        ([*WORDS[:3]], {"env": os.environ | {"PYTHONHASHSEED": "1"}}),
    )
    for words, how in cases:
        with Started(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how) as process:
            assert "tests.starting.server" not in psutil.Process(process.pid).cmdline()
            process.communicate("exit 0\n", 60)
            assert process.returncode == 0
