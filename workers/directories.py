"""Directories that are there under their name once they are whole, and not before."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from durable_orders.trading.errors import HomeUnusable, RefusedError

HALF = ".half"
"""At the end of the name of one that is not whole yet."""


@contextmanager
def new_directory(directory: Path, what: str) -> Iterator[Path]:
    """One to fill, for its owner alone; it gets its name at the end of the block. `what` it is to be, for the error.

    Raises `RefusedError` if there is something of that name already, and `HomeUnusable` where a file cannot be written.
    """
    if directory.exists():
        raise RefusedError(f"{directory}: is there already; {what} takes a new directory")
    half = directory.with_name(directory.name + HALF)
    try:
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True, mode=0o700)
        yield half
        for file in half.iterdir():
            _to_disk(file)
        half.replace(directory)
        _to_disk(directory.parent)
    except OSError as error:
        raise HomeUnusable(f"{directory}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
