"""The journal's files: `journal/<day>/orders.csv`, a day a file, and `journal/index.json`."""

import csv
import io
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from durable_orders.trading.errors import FilesUnusable
from durable_orders.v2.files import append_text, read_json, write_whole
from durable_orders.v2.journal_rows import BASE_COLUMNS, cell, normalize_order, row_key

Row = dict[str, Any]

RECENT = 7
"""So many days are read at the beginning: rows that come again are of orders of today or of the last session."""

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
    """What the journal has already: the ids of all orders, in `index.json`, and what the rows of the last days told.

    A row of an order that is older than those is looked for in all files. The index is written after the rows: what it
    lacks after a crash is read from them.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._file = journal / "index.json"
        self._ids: set[str] = set()
        self._keys: set[str] = set()
        self._read: set[Path] = set()
        self._of_read: set[str] = set()
        self._seen: object = None

    def fresh(self, rows: Iterable[Row], today: Path) -> list[Row]:
        """Those that tell something new, each thing once. A row without an order id always does."""
        if self._seen != self._marks(today):
            self._load(today)
        found, told = [], set()
        for row in rows:
            key = row_key(row)
            if key is None or not (key in told or self._is_known(row, key)):
                found.append(row)
            told.add(key)
        return found

    def add(self, rows: Iterable[Row], today: Path) -> None:
        before = len(self._ids)
        for row in rows:
            self._add(row)
        if len(self._ids) > before or not self._file.exists():
            write_whole(self._file, json.dumps({"order_ids": sorted(self._ids)}), durable=False)
        self._seen = self._marks(today)

    def forget(self) -> None:
        """Nothing is certain after an error: read everything again."""
        self._seen = None

    def _is_known(self, row: Row, key: str) -> bool:
        order_id = str(row["order_id"])
        if order_id in self._ids and order_id not in self._of_read:
            self._read_more(days(self._journal))
        return key in self._keys

    def _load(self, today: Path) -> None:
        self._ids, self._keys, self._of_read, self._read = set(), set(), set(), set()
        try:
            content = read_json(self._file, dict)
        except FilesUnusable:
            log.warning("%s is damaged and is made anew from the journal", self._file)
            content = None
        files = [*days(self._journal), today]
        self._read_more(files if content is None else files[-RECENT:])
        self._ids.update((content or {}).get("order_ids", ()))
        self._seen = self._marks(today)

    def _read_more(self, files: Iterable[Path]) -> None:
        for path in files:
            if path not in self._read:
                self._read.add(path)
                for row in read_rows(path):
                    self._add(normalize_order(row))

    def _add(self, row: Row) -> None:
        key = row_key(row)
        if key is not None:
            self._keys.add(key)
            self._ids.add(str(row["order_id"]))
            self._of_read.add(str(row["order_id"]))

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
