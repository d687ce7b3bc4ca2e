"""The journal of a recording: what came over the wire, put down as it came. A killed recorder loses nothing of that.

One file for each day and symbol. After a header each record has the same length: when it was received (microseconds of
the epoch), the broker's packet as it was, and the CRC-32 of both. A record that a failing disk wrote in part, or that
changed later, is known by that, left out and counted.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

MAGIC = b"DOTICKS1"
_HEADER = struct.Struct(">8sH")
_RECEIVED = struct.Struct(">Q")
_CHECK = struct.Struct(">I")
AROUND = _RECEIVED.size + _CHECK.size
"""Bytes of a record beside the packet."""
CHUNK = 4096
"""Records that are read at a time."""


@dataclass(frozen=True, slots=True)
class Record:
    received: int
    """Microseconds of the epoch."""
    packet: bytes


class DamagedJournal(Exception):
    """A file that is no journal."""


def record(received: int, packet: bytes) -> bytes:
    body = _RECEIVED.pack(received) + packet
    return body + _CHECK.pack(crc32(body))


def append(file: Path, length: int, records: bytes) -> None:
    """Add whole records, of packets of that length; all or, where the disk does not take them, nothing.

    Raises `OSError`.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        found = os.fstat(descriptor).st_size
        if (size := _whole(found, length)) != found:
            os.ftruncate(descriptor, size)
        content = records if size else _HEADER.pack(MAGIC, length) + records
        try:
            _write(descriptor, content)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _whole(size: int, length: int) -> int:
    """Without what a failing disk left of a record."""
    if size <= _HEADER.size:
        return 0 if size < _HEADER.size else size
    return size - (size - _HEADER.size) % (length + AROUND)


def records_of(file: Path) -> Iterator[Record | None]:
    """Those that are whole, in their order, and `None` for each that is not. Raises `DamagedJournal`, `OSError`."""
    with file.open("rb") as lines:
        header = lines.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        magic, length = _HEADER.unpack(header)
        if magic != MAGIC or not length:
            raise DamagedJournal(f"{file}: is no journal of ticks")
        size = length + AROUND
        while content := lines.read(size * CHUNK):
            for begin in range(0, len(content), size):
                yield _record(content[begin : begin + size], length)


def _record(content: bytes, length: int) -> Record | None:
    if len(content) < length + AROUND or crc32(content[: -_CHECK.size]) != _CHECK.unpack_from(content, length + 8)[0]:
        return None
    return Record(_RECEIVED.unpack_from(content)[0], content[_RECEIVED.size : -_CHECK.size])
