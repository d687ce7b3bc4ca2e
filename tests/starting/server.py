"""A process that has imported what our programs import, and becomes one of them, by a fork, as often as it is asked.

`python -m tests.starting.server FD` serves a socket that it has inherited. It has one thread and no state: all that a
fork saves is what the imports take.
"""

import gc
import importlib
import io
import json
import os
import runpy
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PRELOADED = (
    "durable_orders.backtest",
    "durable_orders.doctor",
    "durable_orders.orders",
    "durable_orders.portfolio",
    "durable_orders.rebuild",
    "durable_orders.running.session",
    "durable_orders.verify",
    "durable_orders.workers.up",
    "durable_orders.workers.worker",
)
"""With all that these import."""
READS_THE_ENVIRONMENT = ("rich", "typer", "durable_orders.cli")
"""What depends on the terminal or on the environment where it is imported: each program does that for itself."""
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
MAX_REQUEST = 1 << 20
MAX_ANSWER = 32
STANDARD = 3
"""stdin, stdout and stderr."""


@dataclass(frozen=True, slots=True)
class Request:
    """A program: the words behind `python`, which are a script or `-m` and a module, and then its own."""

    words: list[str]
    directory: str
    environment: dict[str, str]
    new_session: bool

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def serve(asked: socket.socket) -> Request | None:
    """Answers requests with the number of a process each. In such a process it returns what that has to run, and in the
    server nothing, once nobody can ask any more."""
    while True:
        message, files, _, _ = socket.recv_fds(asked, MAX_REQUEST, STANDARD)
        if not message:
            return None
        request = Request(**json.loads(message))
        ours, theirs = os.pipe()
        waiting, gone = os.pipe()
        between = os.fork()
        if between:
            os.close(theirs)
            os.close(waiting)
            for file in files:
                os.close(file)
            os.waitpid(between, 0)
            os.close(gone)
            asked.send(os.read(ours, MAX_ANSWER))
            os.close(ours)
            continue
        # Whose parent has ended is given to whoever asked, which waits for it as for a child of its own.
        if number := os.fork():
            os.write(theirs, str(number).encode())
            os._exit(0)
        os.close(gone)
        os.read(waiting, 1)  # until its parent has ended
        for end in (ours, theirs, waiting):
            os.close(end)
        asked.close()
        _become(request, files)
        return request


def _become(request: Request, files: list[int]) -> None:
    """What a process has from its start: files, session, directory, environment, streams, words and path."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    if request.new_session:
        os.setsid()
    os.chdir(request.directory)
    os.environ.clear()
    os.environ.update(request.environment)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number, getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.dont_write_bytecode = bool(request.environment.get(NO_BYTECODE))
    gc.enable()


def _stream(number: int, like: Any) -> io.TextIOWrapper:
    """As the interpreter opens it: by the line where it is a terminal, and the errors always."""
    mode = "r" if number == 0 else "w"
    raw = io.FileIO(number, mode, closefd=False)
    raw.name = like.name
    buffer: Any = io.BufferedReader(raw) if number == 0 else raw if like.write_through else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(
        buffer,
        encoding=like.encoding,
        errors=like.errors,
        newline="\n",
        line_buffering=not like.write_through and (raw.isatty() or number == 2),
        write_through=like.write_through,
    )
    stream.mode = mode  # type: ignore[misc]
    return stream


def run(request: Request) -> None:
    """The program, as `__main__`."""
    first, *own = request.words
    if first == "-m":
        module, *own = own
        sys.argv = [module, *own]
        sys.path[0] = request.directory
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *own]
        sys.path[0] = str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


def load() -> None:
    """Import, once for all. Raises `RuntimeError` for what a fork would not have as a start has it."""
    gc.disable()
    for module in PRELOADED:
        importlib.import_module(module)
    early = [name for name in READS_THE_ENVIRONMENT if name in sys.modules]
    if early:
        raise RuntimeError(f"imported before the environment is known: {', '.join(early)}")
    if len([*Path("/proc/self/task").iterdir()]) != 1:
        raise RuntimeError(f"a fork has no threads, and these are there: {threading.enumerate()}")
    gc.freeze()


if __name__ == "__main__":
    load()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        program = serve(asked)
    if program is not None:
        run(program)
