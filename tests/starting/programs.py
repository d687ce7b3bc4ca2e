"""Starts our programs without their imports, which take most of a second each time, hundreds of times.

`Started` is a `subprocess.Popen` whose process is forked from one that has imported everything (`server.py`). It is a
child of this process like any other: read, killed and waited for in the same way. What a fork could not be like is
started really: code of `-c`, another interpreter, other variables that the interpreter reads before any of our code.
"""

import atexit
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.starting.server import MAX_ANSWER, NO_BYTECODE, Request

PROGRAM = Path(sys.executable).with_name("durable-orders")
ROOT = Path(__file__).parents[2]
READ_BEFORE_OURS = ("PYTHON", "LANG", "LC_", "TZ", "LD_", "MALLOC_")
"""Beginnings of variables that are read before any of our code runs."""
PR_SET_CHILD_SUBREAPER = 36
"""Of Linux: who is an orphan among the descendants becomes a child of this process."""


class Started(subprocess.Popen[Any]):
    """A program of ours: `Started([PROGRAM, "up"], stdout=PIPE)`."""

    def _execute_child(
        self,
        args: Any,
        executable: Any,
        preexec_fn: Any,
        close_fds: Any,
        pass_fds: Any,
        cwd: Any,
        env: Any,
        startupinfo: Any,
        creationflags: Any,
        shell: Any,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: Any,
        gid: Any,
        gids: Any,
        uid: Any,
        umask: Any,
        start_new_session: bool,
        process_group: Any,
    ) -> None:
        environment = dict(os.environ if env is None else env)
        words = _words(args, environment)
        usual = not (executable or preexec_fn or pass_fds or shell or gid or gids or uid)
        if words is None or not usual or (umask, process_group) != (-1, -1) or not _is_alike(environment):
            super()._execute_child(  # type: ignore[misc]
                args,
                executable,
                preexec_fn,
                close_fds,
                pass_fds,
                cwd,
                env,
                startupinfo,
                creationflags,
                shell,
                p2cread,
                p2cwrite,
                c2pread,
                c2pwrite,
                errread,
                errwrite,
                restore_signals,
                gid,
                gids,
                uid,
                umask,
                start_new_session,
                process_group,
            )
            return
        request = Request(words, str(Path(cwd or ".").absolute()), environment, start_new_session)
        files = [own if file == -1 else file for own, file in enumerate((p2cread, c2pwrite, errwrite))]
        try:
            self.pid = _server().fork(request, files)
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


def completed(words: Any, *, timeout: float | None = None, **how: Any) -> "subprocess.CompletedProcess[Any]":
    """As `subprocess.run`, which captures what is said and leaves the exit code to the caller."""
    with Started(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _words(args: Any, environment: dict[str, str]) -> list[str] | None:
    """The words behind `python`, where it is this interpreter that runs one of our programs."""
    if isinstance(args, str | bytes | os.PathLike):
        return None
    first, *more = (os.fspath(word) for word in args)
    if first == sys.executable and more[:1] == ["-m"]:
        return more
    found = shutil.which(first, path=environment.get("PATH"))
    return [found, *more] if found == str(PROGRAM) else None


def _is_alike(environment: dict[str, str]) -> bool:
    """Whether the interpreter would come out of its start as the one that is there."""

    def of(given: dict[str, str]) -> dict[str, str]:
        names = [name for name in given if name.startswith(READ_BEFORE_OURS) and name != NO_BYTECODE]
        return {name: given[name] for name in names}

    return sys.platform == "linux" and of(environment) == of(_server().environment)


class _Server:
    """The process that forks, for as long as this one lives. Raises `RuntimeError` if it has gone."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self._lock = threading.Lock()
        self._asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            words = [sys.executable, "-m", "tests.starting.server", str(number)]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=ROOT, pass_fds=[number])
        self._owner = os.getpid()
        atexit.register(self._end)

    def fork(self, request: Request, files: list[int]) -> int:
        """Gives the number of the process, which is a child of this one."""
        libc = ctypes.CDLL(None, use_errno=True)
        with self._lock:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._asking, [request.encode()], files)
                answer = self._asking.recv(MAX_ANSWER)
            finally:
                libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        if not answer:
            raise RuntimeError(f"no process for {request.words}: the server of starts has ended")
        return int(answer)

    def _end(self) -> None:
        if os.getpid() == self._owner:
            self._asking.close()
            self._process.wait()


_only: list[_Server] = []
_making = threading.Lock()


def _server() -> _Server:
    with _making:
        if not _only:
            _only.append(_Server())
        return _only[0]
