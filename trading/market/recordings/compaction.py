"""From journals to one Parquet file for each day and symbol, in the layout of tick files."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.recordings.journal import CHUNK, blocks_of
from durable_orders.trading.market.ticks import LEVELS as DEEP

ROWS = CHUNK
"""Of a row group, and the most that are in memory."""
ABOUT = b"durable_orders.recording"
"""The key of the file's metadata under which it says what it has, as JSON."""
ZONE = "Asia/Kolkata"
PLACES = 4
"""Decimal places of a price, as in the ledger."""
LEVELS = tuple(
    f"{side}{level}_{what}" for side in ("bid", "ask") for level in range(1, DEEP + 1) for what in ("price", "quantity")
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What some packets tell, a place for each."""

    moments: Sequence[int]
    """The exchange's time, in seconds of the epoch; 0 of a packet without a price or a time."""
    columns: Sequence[Any]
    """Arrow's integers: last price, volume, best bid and ask, and then `LEVELS`; prices in ten-thousandths of a rupee.
    None at all where no packet has a price and a time."""


Decode = Callable[[Sequence[bytes]], Decoded]
"""Of packets of one length."""


@dataclass(slots=True)
class Sums:
    """What became of the records."""

    rows: int = 0
    repeated: int = 0
    """The same as the one before it, as after a new subscription."""
    late: int = 0
    """With a time before that of the one before it."""
    unreadable: int = 0
    """Without a price or a time."""
    damaged: int = 0
    """Not as they were written."""
    first: int | None = None
    last: int | None = None
    journals: list[str] = field(default_factory=list)
    """Those that are in it, by name."""

    def told(self) -> dict[str, Any]:
        return asdict(self)


def compact(journals: Sequence[Path], target: Path, symbol: str, about: Mapping[str, Any], decode: Decode) -> Sums:
    """Write what the target has already, and then what the journals have; the target is replaced in one step, once all
    of it was read back, and the journals are deleted after that. `about` is kept with it.

    Raises `InvalidTicks` for a target that is not whole, `OSError` where the disk does not take it: nothing is lost.
    """
    pyarrow, parquet = needs_pyarrow(target.name)
    before = read_about(target) if target.exists() else {}
    sums = Sums(**before.get("counted", {}))
    fresh = [journal for journal in journals if journal.name not in sums.journals]
    half = target.with_suffix(".half")
    schema = _schema(pyarrow)
    try:
        with parquet.ParquetWriter(half, schema, compression="zstd", write_page_checksum=True) as writer:
            if target.exists():
                for batch in batches(target):
                    writer.write_batch(batch)
            for moments, columns in _kept(fresh, decode, sums):
                writer.write_table(_table(pyarrow, schema, symbol, moments, columns))
            told = {"symbol": symbol, "counted": sums.told(), **about}
            writer.add_key_value_metadata({ABOUT: json.dumps(told).encode()})
        check(half)
        with half.open("rb") as written:
            os.fsync(written.fileno())
        half.replace(target)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    for journal in journals:
        journal.unlink()
    return sums


def _kept(journals: Sequence[Path], decode: Decode, sums: Sums) -> Iterator[tuple[list[int], Sequence[Any]]]:
    """Of each block of records, what becomes rows: times and columns."""
    for journal in journals:
        sums.journals.append(journal.name)
        before = b""
        for block in blocks_of(journal):
            sums.damaged += block.damaged
            if not block.packets:
                continue
            found = decode(block.packets)
            places, before = _places(block.packets, found.moments, before, sums)
            if len(places) == len(block.packets):
                yield list(found.moments), found.columns
            elif places:
                yield [found.moments[place] for place in places], [each.take(places) for each in found.columns]


def _places(packets: Sequence[bytes], moments: Sequence[int], before: bytes, sums: Sums) -> tuple[list[int], bytes]:
    """Which of them become rows, and the last one that did. `before` is the last one that did so far."""
    places = []
    last = sums.last or 0
    for place, (packet, at) in enumerate(zip(packets, moments, strict=True)):
        if packet == before:
            sums.repeated += 1
        elif not at:
            sums.unreadable += 1
        elif at < last:
            sums.late += 1
        else:
            before, last = packet, at
            places.append(place)
    if places:
        sums.rows += len(places)
        sums.first, sums.last = moments[places[0]] if sums.first is None else sums.first, last
    return places, before


def _schema(pyarrow: Any) -> Any:
    price = pyarrow.decimal128(14, PLACES)
    kinds = {"timestamp": pyarrow.timestamp("ms", ZONE), "symbol": pyarrow.string(), "volume": pyarrow.int64()}
    names = ("timestamp", "symbol", "last_price", "volume", "bid", "ask", *LEVELS)
    quantities = {name: pyarrow.int64() for name in LEVELS if name.endswith("_quantity")}
    return pyarrow.schema([(name, (kinds | quantities).get(name, price)) for name in names])


def _table(pyarrow: Any, schema: Any, symbol: str, moments: Sequence[int], columns: Sequence[Any]) -> Any:
    wholes = [pyarrow.array(moments, pyarrow.int64()), *columns]
    names = [name for name in schema.names if name != "symbol"]
    found = {name: _as(pyarrow, values, schema.field(name).type) for name, values in zip(names, wholes, strict=True)}
    found["symbol"] = pyarrow.repeat(pyarrow.scalar(symbol), len(moments))
    return pyarrow.table([found[name] for name in schema.names], schema=schema)


def _as(pyarrow: Any, wholes: Any, kind: Any) -> Any:
    if pyarrow.types.is_decimal(kind):
        return wholes.cast(pyarrow.decimal128(19, 0)).view(pyarrow.decimal128(19, PLACES)).cast(kind)
    if pyarrow.types.is_timestamp(kind):
        return wholes.cast(pyarrow.timestamp("s", ZONE)).cast(kind)
    return wholes


def read_about(file: Path) -> dict[str, Any]:
    """What a recording says of itself. Raises `InvalidTicks` for a file that is none, or not whole."""
    pyarrow, parquet = needs_pyarrow(file.name)
    try:
        told = (parquet.read_metadata(file).metadata or {}).get(ABOUT)
        content = json.loads(told) if told is not None else None
    except (pyarrow.ArrowException, OSError, ValueError) as problem:
        raise InvalidTicks(f"{file.name}: cannot be read: {str(problem).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise InvalidTicks(f"{file.name}: is no recording")
    return content


def batches(file: Path) -> Iterator[Any]:
    """The content of a recording, every page of it held against its checksum. Raises `InvalidTicks`."""
    pyarrow, parquet = needs_pyarrow(file.name)
    try:
        with parquet.ParquetFile(file, page_checksum_verification=True) as content:
            for batch in content.iter_batches(ROWS):
                yield batch.replace_schema_metadata(None)
    except (pyarrow.ArrowException, OSError) as problem:
        raise InvalidTicks(f"{file.name}: is not whole: {str(problem).splitlines()[0]}") from None


def check(file: Path) -> dict[str, Any]:
    """Read all of a recording, and give what it says of itself. Raises `InvalidTicks` where it is not as it was
    written."""
    about = read_about(file)
    counted, found = about["counted"], sum(batch.num_rows for batch in batches(file))
    if found != counted["rows"]:
        raise InvalidTicks(f"{file.name}: is not whole: it has {found} ticks of {counted['rows']}")
    return about


def needs_pyarrow(name: str) -> tuple[Any, Any]:
    """Raises `InvalidTicks` without the extra `parquet`."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InvalidTicks(f"{name}: Parquet needs pyarrow: pip install 'durable-orders[parquet]'") from None
    return pyarrow, parquet
