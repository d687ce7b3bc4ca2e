"""The journal's files: `journal/<day>/orders.csv`, a day a file, and `journal/index.json`."""

import csv
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from durable_orders.v2.files import append_text, read_json, write_json, write_whole
from durable_orders.v2.journal_rows import BASE_COLUMNS, cell, normalize_order, row_key
from trading.errors import FilesUnusable

Row = dict[str, Any]

log = logging.getLogger(__name__)


def append_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add rows, all or none. A row with columns that the file does not have widens it. Raises `FilesUnusable`."""
    header = _header_of(path)
    wanted = _widened(header or BASE_COLUMNS, rows)
    if header is None:
        write_whole(path, _csv(wanted, [], header=True))
    elif wanted != header:
        write_whole(path, _csv(wanted, read_rows(path), header=True))
    append_text(path, _csv(wanted, rows, header=False))


def days(journal: Path) -> list[Path]:
    """The files of all days, oldest first."""
    return sorted(journal.glob("????-??-??/orders.csv"))


class Index:
    """What the journal has already: the ids of all orders, and what each of their rows told.

    The rows of the day's own file count as well: it is written first, and the index may be a crash behind it.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._file = journal / "index.json"
        self._keys: set[str] = set()
        self._ids: set[str] = set()
        self._seen: object = None

    def keys(self, today: Path) -> set[str]:
        """Read again only if somebody else has written meanwhile."""
        if self._seen != self._marks(today):
            self._load(today)
        return self._keys

    def add(self, rows: Iterable[Row], today: Path) -> None:
        for row in rows:
            self._add(row)
        write_json(self._file, {"order_ids": sorted(self._ids), "rows": sorted(self._keys)})
        self._seen = self._marks(today)

    def forget(self) -> None:
        """Nothing is certain after an error: read everything again."""
        self._seen = None

    def _load(self, today: Path) -> None:
        try:
            content = read_json(self._file, dict) or {}
        except FilesUnusable:
            log.warning("%s is damaged and is made anew from the journal", self._file)
            content = {}
        self._ids, self._keys = set(content.get("order_ids", ())), set(content.get("rows", ()))
        for path in [today] if "rows" in content else [*days(self._journal), today]:
            for row in read_rows(path):
                self._add(normalize_order(row))
        self._seen = self._marks(today)

    def _add(self, row: Row) -> None:
        key = row_key(row)
        if key is not None:
            self._keys.add(key)
            self._ids.add(str(row["order_id"]))

    def _marks(self, today: Path) -> object:
        return [(path, stat.st_size, stat.st_mtime_ns) for path in (today, self._file) if (stat := _stat(path))]


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _header_of(path: Path) -> list[str] | None:
    """`None` where there is no file, or not even a whole header."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            first = file.readline()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FilesUnusable(f"{path}: cannot be read: {error.strerror or error}") from None
    return next(csv.reader([first])) if first.endswith("\n") else None


def read_rows(path: Path) -> list[Row]:
    """All rows that were written whole. One that a crash cut off is told of in the log, and left out."""
    if _header_of(path) is None:
        return []
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if None in row or None in row.values():
                log.warning("%s: a row was not written whole and is left out: %s", path, list(row.values())[:3])
            else:
                rows.append(dict(row))
    return rows


def _widened(header: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """The header with the base columns and all that the rows bring along, in the order in which they come."""
    return list(dict.fromkeys([*header, *BASE_COLUMNS, *(name for row in rows for name in row)]))


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()
