"""The journal and positions as Parquet: amounts as decimals, times in IST, a column of its own kind for each field."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO, TypeVar

from durable_orders.trading.ledger.journal import JournalLine
from durable_orders.trading.ledger.journal_events import EventLine
from durable_orders.trading.market.recordings.compaction import needs_pyarrow

T = TypeVar("T")
BATCH = 10_000
"""Lines that are in memory at a time."""
DIGITS, PLACES = 20, 4
AMOUNTS = frozenset(
    {
        *("price", "trigger_price", "fill_price", "realized_pnl", "charges"),
        *("average_price", "last_price", "unrealized_pnl"),
        *("day_realized_pnl", "day_unrealized_pnl", "day_charges", "day_pnl", "net_pnl"),
    }
)
COUNTS = frozenset({"quantity", "filled_quantity", "sequence", "uncharged_fills", "at_broker", "unexplained"})
SMALLEST = Decimal(1).scaleb(-PLACES)


def write_parquet(lines: Iterable[JournalLine], file: BinaryIO) -> int:
    """Returns how many lines there were. Raises `InvalidTicks` where pyarrow is not installed."""
    return _write(lines, JournalLine, file)


def write_events_parquet(lines: Iterable[EventLine], file: BinaryIO) -> int:
    """The same of everything that happened."""
    return _write(lines, EventLine, file)


def _write(lines: Iterable[Any], kind: type[Any], file: BinaryIO) -> int:
    names = [field.name for field in fields(kind)]
    return write_rows("journal", names, (tuple(getattr(line, name) for name in names) for line in lines), file)


def write_rows(what: str, names: Sequence[str], rows: Iterable[Sequence[Any]], file: BinaryIO) -> int:
    """Rows under these names, of which each says what kind of column it is. Returns how many there were. Raises
    `InvalidTicks` where pyarrow is not installed."""
    pyarrow, parquet = needs_pyarrow(what)
    schema = pyarrow.schema([(name, _kind(pyarrow, name)) for name in names])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows):
            count += len(batch)
            columns = [
                pyarrow.array([_plain(row[number]) for row in batch], field.type) for number, field in enumerate(schema)
            ]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
    return count


def _batches(lines: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(lines)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _kind(pyarrow: Any, name: str) -> Any:
    if name == "at":
        return pyarrow.timestamp("us", "Asia/Kolkata")
    if name in AMOUNTS:
        return pyarrow.decimal128(DIGITS, PLACES)
    if name in COUNTS:
        return pyarrow.int64()
    return pyarrow.string()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value.quantize(SMALLEST)
    if isinstance(value, tuple):
        return "; ".join(value)
    return value
