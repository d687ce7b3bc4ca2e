"""What backtests and sweeps have left in a home: reports to look at, and the results of sweeps."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from durable_orders.trading.errors import OrderNotFound
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.backtest.trials import Result

T = TypeVar("T")
LISTED = 100
"""Files of a kind that are listed."""
REPORTS, SWEEPS = "reports", "sweeps"
"""Folders of the home."""
ENDS = {REPORTS: ".html", SWEEPS: ".jsonl"}


def names_in(home: Home, folder: str) -> list[tuple[str, datetime]]:
    """The files of that kind with the times at which they were written, newest first."""
    found = []
    for file in _files(home, folder):
        with suppress(OSError, ValueError, OverflowError):  # deleted meanwhile, or of no time that there is
            found.append((file.name, datetime.fromtimestamp(file.stat().st_mtime, UTC)))
    return sorted(found, key=itemgetter(1), reverse=True)[:LISTED]


def file_named(home: Home, folder: str, name: str) -> Path:
    """One of them by its name, which is never a path. Raises `OrderNotFound`."""
    for file in _files(home, folder):
        if file.name == name:
            return file
    raise OrderNotFound(f"no {name[:64]!r} in {folder} of the home")


def content_of(path: Path) -> bytes:
    """Raises `OrderNotFound`."""
    return _read(path, path.read_bytes)


def results_of(path: Path) -> "list[Result]":
    """Of a sweep, best first; without those of single windows of a walk-forward. Raises `OrderNotFound`."""
    from durable_orders.backtest.kept_results import Kept
    from durable_orders.backtest.trials import best_first

    found = _read(path, Kept(path).results)
    return best_first([result for trial, result in found.items() if trial.days is None])


def kept_backtests(home: Home, best: int) -> dict[str, object]:
    """Sweeps with so many of their best combinations, and reports by name; without a file that cannot be read."""
    sweeps = []
    for name, at in names_in(home, SWEEPS):
        with suppress(OrderNotFound):
            results = results_of(home.path / SWEEPS / name)
            sweeps.append({"name": name, "last_result_at": at, "best": [asdict(each) for each in results[:best]]})
    return {"sweeps": sweeps, "reports": [name for name, _ in names_in(home, REPORTS)]}


def _read(path: Path, read: Callable[[], T]) -> T:
    """Of a file that was there when it was listed. Raises `OrderNotFound`."""
    try:
        return read()
    except OSError as error:
        raise OrderNotFound(f"{path.name} cannot be read: {error.strerror or error}") from None


def _files(home: Home, folder: str) -> list[Path]:
    """No links, which may lead anywhere, and no name that is not UTF-8: no address has such a one."""
    try:
        entries = list((home.path / folder).iterdir())
    except OSError:
        return []
    own = [file for file in entries if file.suffix == ENDS[folder] and _is_text(file.name)]
    return [file for file in own if file.is_file() and not file.is_symlink()]


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
