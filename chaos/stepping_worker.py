"""`durable-orders worker` with a clock that a run steps: `python -m chaos.stepping_worker FILE worker --live ...`.

FILE holds by how many seconds the clock is wrong; it is read at each look at the clock. Nothing but the clock is
other than in production: `datetime.now` and `time.time` of this process, before anything of ours is imported.
"""

import datetime
import struct
import sys
import time
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Self

FORMAT = struct.Struct("<d")
_right = datetime.datetime
_seconds = time.time


def step(file: Path, seconds: float) -> None:
    """Have the clock of whoever reads the file be wrong by so much from now on."""
    if not file.exists():
        file.write_bytes(FORMAT.pack(seconds))
        return
    with file.open("r+b") as opened:
        opened.write(FORMAT.pack(seconds))


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _right)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _right)


def install(file: Path) -> None:
    """From now on the process goes by the file."""
    with file.open("rb") as opened:
        shown = mmap(opened.fileno(), 0, access=ACCESS_READ)

    def wrong_by() -> float:
        (seconds,) = FORMAT.unpack(shown[: FORMAT.size])
        return float(seconds)

    class Stepped(_right, metaclass=_Kind):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Self:
            return _right.now(tz) + datetime.timedelta(seconds=wrong_by())  # type: ignore[return-value]

        @classmethod
        def utcnow(cls) -> Self:
            raise NotImplementedError("nobody asks for a time without a zone")

    module: Any = datetime
    module.datetime = Stepped
    time.time = lambda: _seconds() + wrong_by()


def main() -> None:
    install(Path(sys.argv[1]))
    from durable_orders.cli import main as program

    sys.argv = ["durable-orders", *sys.argv[2:]]
    program()


if __name__ == "__main__":
    main()
