"""From journals to one Parquet file for each day and symbol, in the layout of tick files."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.recordings.journal import records_of
from durable_orders.trading.market.ticks import LEVELS as DEEP

ROWS = 16_384
"""Of a row group, and the most that are in memory."""
ABOUT = b"durable_orders.recording"
"""The key of the file's metadata under which it says what it has, as JSON."""
ZONE = "Asia/Kolkata"
PLACES = 4
"""Decimal places of a price, as in the ledger."""
LEVELS = tuple(
    f"{side}{level}_{what}" for side in ("bid", "ask") for level in range(1, DEEP + 1) for what in ("price", "quantity")
)

Row = tuple[int | None, ...]
"""The exchange's time (seconds of the epoch), last price, volume, best bid and ask, and then `LEVELS`; prices in
ten-thousandths of a rupee."""
Decode = Callable[[bytes], Row | None]
"""Of a packet; `None` for one without a price or a time."""


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
            for rows in _chunks(fresh, decode, sums):
                writer.write_table(_table(pyarrow, schema, symbol, rows))
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


def _chunks(journals: Sequence[Path], decode: Decode, sums: Sums) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for journal in journals:
        sums.journals.append(journal.name)
        for row in _rows(journal, decode, sums):
            rows.append(row)
            if len(rows) == ROWS:
                yield rows
                rows = []
    if rows:
        yield rows


def _rows(journal: Path, decode: Decode, sums: Sums) -> Iterator[Row]:
    before = None
    for record in records_of(journal):
        if record is None:
            sums.damaged += 1
        elif record.packet == before:
            sums.repeated += 1
        elif (row := decode(record.packet)) is None or (at := row[0]) is None:
            sums.unreadable += 1
        elif sums.last is not None and at < sums.last:
            sums.late += 1
        else:
            before = record.packet
            sums.rows += 1
            sums.first, sums.last = at if sums.first is None else sums.first, at
            yield row


def _schema(pyarrow: Any) -> Any:
    price = pyarrow.decimal128(14, PLACES)
    kinds = {"timestamp": pyarrow.timestamp("ms", ZONE), "symbol": pyarrow.string(), "volume": pyarrow.int64()}
    names = ("timestamp", "symbol", "last_price", "volume", "bid", "ask", *LEVELS)
    quantities = {name: pyarrow.int64() for name in LEVELS if name.endswith("_quantity")}
    return pyarrow.schema([(name, (kinds | quantities).get(name, price)) for name in names])


def _table(pyarrow: Any, schema: Any, symbol: str, rows: Sequence[Row]) -> Any:
    at, *rest = zip(*rows, strict=True)
    wholes = [pyarrow.array(values, pyarrow.int64()) for values in (at, *rest)]
    names = [name for name in schema.names if name != "symbol"]
    columns = {name: _as(pyarrow, values, schema.field(name).type) for name, values in zip(names, wholes, strict=True)}
    columns["symbol"] = pyarrow.repeat(pyarrow.scalar(symbol), len(rows))
    return pyarrow.table([columns[name] for name in schema.names], schema=schema)


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
