"""A backtest from its command to its figures: CPU and peak memory of the whole process, `python -m bench.older ticks`.

A made file of one share, five days of four ticks a second with volume, bid and ask; a moving-average cross trades on
it. Both trees read the same file and must come to the same fills, to the paisa.
"""

import csv
import hashlib
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.market.calendar import segment_calendar

SYMBOL = "NSE:INFY"
TICKS = 500_000
EVERY = timedelta(milliseconds=250)
COLUMNS = ("timestamp", "symbol", "last_price", "volume", "bid", "ask")
MEGABYTE = 1024
"""Kilobytes."""
STRATEGY = '''
from collections import deque


class Cross:
    """Long while the fast average of every 80th price is above the slow one, else short."""

    symbols = ("NSE:INFY",)

    def on_start(self, desk):
        self.prices, self.seen, self.is_long = deque(maxlen=60), 0, None

    def on_tick(self, desk, tick):
        self.seen += 1
        if self.seen % 80:
            return
        self.prices.append(float(tick.last_price))
        if len(self.prices) < 60:
            return
        is_long = sum(list(self.prices)[-12:]) / 12 > sum(self.prices) / 60
        if is_long is not self.is_long:
            quantity = 10 if self.is_long is None else 20
            (desk.buy if is_long else desk.sell)(tick.symbol, quantity, product="CNC")
            self.is_long = is_long

    def on_order(self, desk, order):
        pass

    def on_stop(self, desk):
        pass
'''


def made(count: int) -> Iterator[tuple[str, str, str, int, str, str]]:
    """Rows of a share that walks at random, of the same seed each time."""
    random, calendar, day = Random(16), segment_calendar(MarketSegment.EQUITY), date(2022, 1, 2)  # noqa: S311
    paise = 150_000
    while count > 0:
        session = calendar.next_session(day)
        at, volume, day = session.opens, 0, session.date
        while at < session.closes and count > 0:
            paise = max(paise + random.choice((-10, -5, -5, 0, 0, 0, 5, 5, 10)), 10_000)
            volume += random.randint(0, 500)
            prices = (f"{each // 100}.{each % 100:02d}" for each in (paise, paise - 5, paise + 5))
            last, bid, ask = prices
            yield at.isoformat(" "), SYMBOL, last, volume, bid, ask
            at, count = at + EVERY, count - 1


def write_csv(path: Path, count: int = TICKS) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(made(count))


def write_parquet(path: Path, count: int = TICKS) -> None:
    """Prices as decimals, times in microseconds."""
    import pyarrow
    from pyarrow import parquet

    price = pyarrow.decimal128(12, 2)
    kinds = (pyarrow.timestamp("us", "+05:30"), pyarrow.string(), price, pyarrow.int64(), price, price)
    schema = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True)))
    with parquet.ParquetWriter(path, schema) as writer:
        rows = made(count)
        while some := list(islice(rows, 100_000)):
            at, symbol, last, volume, bid, ask = zip(*some, strict=True)
            columns: list[Any] = [list(map(datetime.fromisoformat, at)), symbol, list(map(Decimal, last)), volume]
            columns += [list(map(Decimal, bid)), list(map(Decimal, ask))]
            arrays = [pyarrow.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
            writer.write_table(pyarrow.table(arrays, schema=schema))


LOOK_EVERY = 0.02
"""Seconds. What it has had at the most stays with a process, so the last look tells all but these."""


class Backtests:
    """The program of a tree, from its start to its end, from a CSV and from a Parquet file."""

    pairs = 5

    def __init__(self) -> None:
        self._fills: dict[str, str] = {}

    @contextmanager
    def in_tree(self, tree: Path) -> Iterator[Callable[[], Mapping[str, float]]]:
        """What measures each once: seconds of CPU, user and system, and megabytes at the most."""
        program = tree / ".venv" / "bin" / "durable-orders"
        with tempfile.TemporaryDirectory(prefix="durable-orders-ticks-") as folder:
            home = Path(folder)
            (home / "cross.py").write_text(STRATEGY)
            write_csv(home / "ticks.csv")
            write_parquet(home / "ticks.parquet")
            yield lambda: {
                name: value
                for kind in ("csv", "parquet")
                for name, value in self._measured(program, home, kind).items()
            }

    def _measured(self, program: Path, home: Path, kind: str) -> Mapping[str, float]:
        """Raises `SystemExit` where the fills are not those of the runs before."""
        seconds, megabytes, fills = run(program, home, home / f"ticks.{kind}")
        if self._fills.setdefault(kind, fills) != fills:
            raise SystemExit(f"{program}: other fills from the same {kind} file")
        return {f"{kind}, CPU s": seconds, f"{kind}, peak MB": megabytes}


def run(program: Path, home: Path, ticks: Path) -> tuple[float, float, str]:
    """CPU seconds and peak megabytes of a backtest, and what its fills were. Raises `SystemExit` if it fails."""
    words = (str(program), "backtest", str(home / "cross.py"), "--ticks", str(ticks), "--home", str(home), "--json")
    with (home / "said").open("w+") as said, (home / "told").open("w+") as told:
        process = subprocess.Popen(words, stdout=told, stderr=said)
        used, peak = waited(process)
        said.seek(0)
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)}: {said.read().strip()}")
        trades = json.load(told)["trades"]
    names = ("at", "symbol", "side", "quantity", "average_price")
    text = json.dumps([[trade[name] for name in names] for trade in trades])
    digest = f"{len(trades)} {hashlib.sha256(text.encode()).hexdigest()}"
    return used.ru_utime + used.ru_stime, peak / MEGABYTE, digest


def waited(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> tuple[resource.struct_rusage, int]:
    """What it used up to its end, and the most memory that it had, in kilobytes. That is asked of the process itself:
    Linux counts the memory of who starts a program among its `ru_maxrss`."""
    peak = 0
    while True:
        peak = max(peak, _high_water(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return used, peak
        time.sleep(LOOK_EVERY)


def _high_water(pid: int) -> int:
    """0 of one that has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
