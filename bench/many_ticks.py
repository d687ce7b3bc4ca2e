"""Whether a backtest's memory grows with its ticks: `python -m bench.many_ticks`, some twenty minutes.

The whole command over made files of half a million and of twenty million ticks, from CSV and from Parquet, and over
half a million with five levels of an order book. The files are made in a folder that is removed again. Prints a table;
with `--keep` it writes the section `many_ticks` of `bench/latest.json`, by kind of file.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import ROOT, local_circumstances
from bench.report import LATEST, add_keep, keep
from bench.sampling import progress_bar
from bench.ticks import COLUMNS, STRATEGY, TICKS, made, run
from durable_orders.trading.market.ticks import LEVELS

MANY = 20_000_000
MOST_MB = {"csv": 150, "parquet": 250}
"""At the most, whatever the number of ticks."""
A_LEVEL = Decimal("0.05")
BOOK = tuple(
    f"{side}{number}_{what}"
    for side in ("bid", "ask")
    for number in range(1, LEVELS + 1)
    for what in ("price", "quantity")
)
Row = tuple[object, ...]

console = Console(highlight=False)


def with_books(rows: Iterator[tuple[str, str, str, int, str, str]]) -> Iterator[Row]:
    """The same, each with five levels a side around it."""
    random = Random(5)  # noqa: S311
    for row in rows:
        sides = [(Decimal(row[4]), -A_LEVEL), (Decimal(row[5]), A_LEVEL)]
        levels = ((best + step * level, random.randint(1, 5_000)) for best, step in sides for level in range(LEVELS))
        yield (*row, *(cell for level in levels for cell in level))


def write_csv(path: Path, count: int, *, books: bool) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*COLUMNS, *BOOK) if books else COLUMNS)
        writer.writerows(with_books(made(count)) if books else made(count))


def write_parquet(path: Path, source: Path) -> None:
    """What that CSV file says: prices as decimals, times in microseconds."""
    import pyarrow
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    def kind(name: str) -> Any:
        if name == "timestamp":
            return pyarrow.timestamp("us", "+05:30")
        if name == "symbol":
            return pyarrow.string()
        return pyarrow.int64() if name == "volume" or name.endswith("quantity") else pyarrow.decimal128(12, 2)

    with source.open() as file:
        names = file.readline().strip().split(",")
    types = arrow_csv.ConvertOptions(column_types={name: kind(name) for name in names})
    with arrow_csv.open_csv(source, convert_options=types) as reader, parquet.ParquetWriter(path, reader.schema) as out:
        for batch in reader:
            out.write_batch(batch)


def measure(sizes: list[int], kinds: Sequence[str], done: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """A report for each kind of file, with its circumstances. `done` hears of all files of a size that were made, or
    played. Raises `SystemExit` where one kind comes to other fills than another."""
    reports = {kind: {**local_circumstances(), "cases": list[dict[str, Any]]()} for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="durable-orders-ticks-") as folder:
        home = Path(folder)
        (home / "cross.py").write_text(STRATEGY)
        for count, books in ((min(sizes), True), *((size, False) for size in sizes)):
            files = {kind: home / f"ticks.{kind}" for kind in MOST_MB}
            write_csv(files["csv"], count, books=books)
            write_parquet(files["parquet"], files["csv"])
            done(f"made {count:,} ticks")
            found = {kind: _case(home, files[kind], count, books=books) for kind in kinds}
            if len({case["fills"] for case in found.values()}) != 1:
                raise SystemExit(f"other fills from CSV than from Parquet, of {count:,} ticks")
            for kind, case in found.items():
                reports[kind]["cases"].append(case)
            done(f"played {count:,} ticks")
    return reports


def _case(home: Path, file: Path, count: int, *, books: bool) -> dict[str, Any]:
    program = ROOT / ".venv" / "bin" / "durable-orders"
    seconds, megabytes, fills = run(program, home, file)
    figures = {"peak_mb": round(megabytes, 1), "cpu_seconds": round(seconds, 1), "fills": fills}
    return {"ticks": count, "order_book": books, "file_mb": round(file.stat().st_size / 2**20)} | figures


def table_of(reports: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="A whole backtest", caption="Resident memory at the most, of the whole process.")
    for name in ("file", "ticks", "MB", "CPU, s", "us a tick", "peak, MB", "at most"):
        table.add_column(name, justify="left" if name == "file" else "right")
    for kind, report in reports.items():
        for case in report["cases"]:
            each = f"{case['cpu_seconds'] / case['ticks'] * 1e6:.1f}"
            name = f"{kind}, order book" if case["order_book"] else kind
            figures = (f"{case['file_mb']:,}", f"{case['cpu_seconds']:.1f}", each, f"{case['peak_mb']:.0f}")
            table.add_row(name, f"{case['ticks']:,}", *figures, str(MOST_MB[kind]))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.many_ticks", description=__doc__)
    parser.add_argument("--ticks", type=int, nargs="+", default=[TICKS, MANY], help="how many, of each size")
    parser.add_argument("--kinds", nargs="+", choices=list(MOST_MB), default=list(MOST_MB), help="of files")
    add_keep(parser)
    chosen = parser.parse_args()
    with progress_bar(console) as progress:
        task = progress.add_task("making ticks", total=2 * (len(chosen.ticks) + 1))

        def done(words: str) -> None:
            progress.update(task, description=words, advance=1)

        reports = measure(chosen.ticks, chosen.kinds, done)
    console.print(table_of(reports))
    before = json.loads(LATEST.read_text(encoding="utf-8")).get("many_ticks", {}) if chosen.keep else {}
    keep(chosen.keep, {"many_ticks": before | reports})


if __name__ == "__main__":
    main()
