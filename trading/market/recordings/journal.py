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
CHUNK = 16_384
"""Records that are read at a time."""

Stamp = tuple[bytes, int]
"""When something was received, as its records have it, and the CRC-32 of that."""


@dataclass(frozen=True, slots=True)
class Block:
    """What was read at once, in its order."""

    packets: list[bytes]
    """Of one length."""
    damaged: int
    """Records that are not as they were written."""


class DamagedJournal(Exception):
    """A file that is no journal."""


def stamp(received: int) -> Stamp:
    """`received` in microseconds of the epoch."""
    head = _RECEIVED.pack(received)
    return head, crc32(head)


def record(received: Stamp, packet: bytes) -> bytes:
    head, so_far = received
    return head + packet + _CHECK.pack(crc32(packet, so_far))


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


def blocks_of(file: Path) -> Iterator[Block]:
    """All records, `CHUNK` of them at a time. Raises `DamagedJournal`, `OSError`."""
    with file.open("rb") as lines:
        header = lines.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        magic, length = _HEADER.unpack(header)
        if magic != MAGIC or not length:
            raise DamagedJournal(f"{file}: is no journal of ticks")
        shape = struct.Struct(f">{_RECEIVED.size}s{length}sI")
        while content := lines.read(shape.size * CHUNK):
            whole, rest = divmod(len(content), shape.size)
            records = shape.iter_unpack(memoryview(content)[: whole * shape.size])
            packets = [packet for head, packet, check in records if crc32(packet, crc32(head)) == check]
            yield Block(packets, damaged=whole - len(packets) + bool(rest))
