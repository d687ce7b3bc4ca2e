"""The ticks of one file, at once: for whoever needs no more than that. `files.reading` has the rest."""

from decimal import Decimal
from pathlib import Path

from durable_orders.trading.market.files.reading import Reading, recorded_ticks
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.ticks import Tick


def read_ticks(path: Path | tuple[Path, ...], symbol: str | None, tick_size: Decimal) -> list[Tick]:
    """The ticks of a file or folder, in the order of their time. `symbol` is whose they are where a file does not say.

    Any symbol is taken, with prices in steps of `tick_size`. Raises `InvalidTicks`, one line that names the file, the
    line, the column, the rule and the value.
    """
    paths = path if isinstance(path, tuple) else (path,)
    return list(recorded_ticks(paths, Reading(symbol, tick_size), ReadingReport()))
