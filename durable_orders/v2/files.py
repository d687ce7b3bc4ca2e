"""Files that a crash or a full disk leaves whole: replaced at once, or lengthened by whole lines."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

from durable_orders.trading.errors import FilesUnusable


def read_json(path: Path, kind: type) -> Any:
    """The content; `None` without the file. Raises `FilesUnusable` for one that cannot be read or is of another kind.

    Half a file is an error, not an empty one: with it, a halt or an open order would be forgotten.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FilesUnusable(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise FilesUnusable(f"{path}: is damaged, or not JSON; put it aside or restore it") from None
    if not isinstance(content, kind):
        raise FilesUnusable(f"{path}: must hold a JSON {kind.__name__}, holds a {type(content).__name__}")
    return content


def write_json(path: Path, content: Any) -> None:
    """Replace the file at once. Raises `FilesUnusable`; what was there then still is."""
    write_whole(path, json.dumps(content, indent=2, default=_plain) + "\n")


def write_whole(path: Path, text: str, *, durable: bool = True) -> None:
    """The same for any text. The half-written file has a name of its own, `.tmp` at its end.

    Without `durable` a power failure may cost what was written last: for what can be made anew.
    """
    half = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise FilesUnusable(f"{path}: cannot be written: {error.strerror or error}") from None


def append_line(path: Path, content: Any) -> None:
    """One line of JSON at the end."""
    append_text(path, json.dumps(content, default=_plain) + "\n")


def append_text(path: Path, text: str) -> None:
    """Whole lines at the end of a file, all of them or none. Raises `FilesUnusable`.

    A line that an earlier crash cut off is ended first, so that nothing is glued to it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            rest = memoryview((b"" if _ends_a_line(path, size) else b"\n") + text.encode())
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise FilesUnusable(f"{path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Until the block ends, no other process is in such a block. The kernel lets go of the lock if this one dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise FilesUnusable(f"{path}: cannot be used: {error.strerror or error}") from None
    with file:
        flock(file, LOCK_EX)
        yield


def _ends_a_line(path: Path, size: int) -> bool:
    if not size:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _plain(value: Any) -> Any:
    """What JSON does not know, as the older engine wrote it: money as numbers, times as ISO 8601."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else str(value)
