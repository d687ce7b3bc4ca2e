"""What recording costs: `python -m bench.recording`, a minute.

A day of many symbols in Kite's own packets is heard, put down twice a second of its time, and made Parquet files; then
the reader that backtests use reads these. All in one process, on one core: processor time is what counts. Prints a
table; with `--keep` it writes the section `recording` of `bench/latest.json`.
"""

import argparse
import resource
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import local_circumstances
from bench.report import add_keep, keep
from durable_orders.trading.brokers.kite.full_packets import columns_of
from durable_orders.trading.brokers.kite.recorder import TickRecorder
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import ALWAYS_OPEN
from durable_orders.trading.market.recordings.places import Place
from durable_orders.trading.market.recordings.recorded import compact_day
from durable_orders.trading.market.tick_files import read_ticks

SYMBOLS, TICKS = 200, 400_000
A_SECOND = 2_000
"""Ticks of a second of the day."""
IN_A_MESSAGE = 20
"""Packets of one message."""
GOAL = 20_000
"""Ticks a second on one core."""
BEGIN = datetime(2026, 11, 30, 9, 15, tzinfo=IST)
_PACKET = struct.Struct(">16I" + "2IH2x" * 10)


def packet(number: int, symbols: int) -> bytes:
    """A tick in mode full, with a book of five levels around a price that moves."""
    token = (number % symbols + 1) << 8 | 1
    at = int(BEGIN.timestamp()) + number // A_SECOND
    last = 150_000 + number * 7 % 400 * 5
    book = [part for step in range(1, 6) for part in (100 + number % 90, last - 5 * step, step)]
    book += [part for step in range(1, 6) for part in (100 + number % 80, last + 5 * step, step)]
    return _PACKET.pack(token, last, 1, last, number, 0, 0, last, last, last, last, at, 0, 0, 0, at, *book)


def messages(ticks: int, symbols: int) -> list[bytes]:
    found = []
    for begin in range(0, ticks, IN_A_MESSAGE):
        packets = [packet(number, symbols) for number in range(begin, min(begin + IN_A_MESSAGE, ticks))]
        parts = b"".join(struct.pack(">H", len(each)) + each for each in packets)
        found.append(struct.pack(">H", len(packets)) + parts)
    return found


def measure(ticks: int = TICKS, symbols: int = SYMBOLS) -> dict[str, Any]:
    """Ticks a second of processor time; a ratio above 1 is slower than reading."""
    report = local_circumstances() | {"ticks": ticks, "symbols": symbols}
    heard = messages(ticks, symbols)
    with TemporaryDirectory() as folder:
        place = Place(Path(folder), BEGIN.date())
        taking = _timed(lambda: _take_down(place, heard, symbols))
        journal = sum(file.stat().st_size for each in place.journals().values() for file in each)
        compacting = _timed(lambda: _compact(place))
        files = sorted(place.path.glob("*/*.parquet"))
        reading = _timed(lambda: _read(files))
        size = sum(file.stat().st_size for file in files)
    recording = taking + compacting
    return report | {
        "taking_down_per_second": round(ticks / taking),
        "compacting_per_second": round(ticks / compacting),
        "recording_per_second": round(ticks / recording),
        "reading_per_second": round(ticks / reading),
        "recording_to_reading": round(recording / reading, 2),
        "journal_bytes_a_tick": round(journal / ticks, 1),
        "parquet_bytes_a_tick": round(size / ticks, 1),
        "largest_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _timed(work: Callable[[], object]) -> float:
    began = process_time()
    work()
    return process_time() - began


def _take_down(place: Place, heard: Sequence[bytes], symbols: int) -> None:
    recorder = recorder_at(place, symbols)
    each = max(1, A_SECOND // 2 // IN_A_MESSAGE)
    for number, message in enumerate(heard, 1):
        recorder.hear(message)
        if number % each == 0:
            recorder.take().write()
    recorder.take().write()


def recorder_at(place: Place, symbols: int) -> TickRecorder:
    """One that listens to the instruments of `messages`."""
    recorder = TickRecorder(lambda: datetime.now(UTC), place)
    recorder.listen_to({(number + 1) << 8 | 1: f"NSE:S{number}" for number in range(symbols)})
    return recorder


def _compact(place: Place) -> None:
    troubles = compact_day(place, place.journals().keys(), ALWAYS_OPEN, columns_of)
    assert not troubles, troubles


def _read(files: Sequence[Path]) -> None:
    for file in files:
        read_ticks(file, None, Decimal("0.05"))


def table_of(report: Mapping[str, Any]) -> Table:
    machine = report["machine"]
    table = Table(
        title=f"{report['ticks']:,} ticks of {report['symbols']} symbols, with five levels, on one core",
        caption=f"{machine['cores']} cores {machine['cpu']}. Ticks a second of processor time. The goal is {GOAL:,}.",
        show_header=False,
    )
    for words, name in (
        ("taken down as they come", "taking_down_per_second"),
        ("made Parquet files afterwards", "compacting_per_second"),
        ("both together", "recording_per_second"),
        ("read by the reader of tick files", "reading_per_second"),
    ):
        table.add_row(words, f"{report[name]:,}")
    table.add_row("recording, as a multiple of reading", f"{report['recording_to_reading']:.2f}")
    sizes = f"{report['journal_bytes_a_tick']} / {report['parquet_bytes_a_tick']}"
    table.add_row("bytes a tick, in the journal / in Parquet", sizes)
    table.add_row("largest memory of it all, MB", f"{report['largest_mb']}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.recording", description=__doc__)
    parser.add_argument("--ticks", type=int, default=TICKS)
    add_keep(parser)
    chosen = parser.parse_args()
    report = measure(chosen.ticks)
    Console(highlight=False).print(table_of(report))
    keep(chosen.keep, {"recording": report})


if __name__ == "__main__":
    main()
