"""`python -m tests.starting.sees WORD…` prints what a program sees of its start, as JSON. Then it ends as it is told on
stdin: `exit N`, `raise`, `chance`, which prints what nobody can foresee, or by the signal that comes.
"""

import gc
import json
import locale
import os
import random
import resource
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, TextIO

from uuid_utils import uuid7


def of_stream(stream: TextIO) -> dict[str, Any]:
    return {
        name: getattr(stream, name)
        for name in ("encoding", "errors", "line_buffering", "write_through", "newlines", "closed", "mode", "name")
    } | {"isatty": stream.isatty(), "fileno": stream.fileno()}


def seen() -> dict[str, Any]:
    return {
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "environment": dict(os.environ),
        "path": sys.path,
        "name": __name__,
        "file": __file__,
        "is main": sys.modules["__main__"].__dict__ is globals(),
        "flags": list(sys.flags),
        "writes bytecode": not sys.dont_write_bytecode,
        "streams": [of_stream(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "files": sorted(int(file.name) for file in Path("/proc/self/fd").iterdir() if file.exists()),
        "signals": [str(signal.getsignal(number)).split(" at ")[0] for number in signal.Signals],
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "umask": os.umask(0o22),
        "parent": os.getppid(),
        "group": os.getpgid(0),
        "leads its session": os.getsid(0) == os.getpid(),
        "threads": threading.active_count(),
        "collects garbage": [gc.isenabled(), gc.get_threshold()],
        "limits": [resource.getrlimit(number) for number in range(16)],
        "encodings": [locale.getpreferredencoding(), sys.getfilesystemencoding(), sys.getdefaultencoding()],
    }


if __name__ == "__main__":
    print(json.dumps(seen()), flush=True)  # noqa: T201
    told = sys.stdin.readline().split()
    if told[0] == "raise":
        raise LookupError("as it was told")
    if told[0] == "chance":
        print(json.dumps([random.random(), str(uuid7()), tempfile.mktemp()]))  # noqa: S306, T201
        sys.exit()
    sys.exit(int(told[1]))
