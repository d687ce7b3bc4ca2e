"""The journal of an in-process session: orders by day as CSV, checkpoints and snapshots as JSON."""

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.trading.ist import IST
from durable_orders.v2 import rebuilding
from durable_orders.v2.files import alone_with, append_text, read_json, write_json, write_whole
from durable_orders.v2.journal_files import Index, append_rows, days, read_rows
from durable_orders.v2.journal_rows import normalize_order
from durable_orders.v2.state import PAPER_CAPITAL

ARTIFACTS = Path("artifacts")
SNAPSHOT_COLUMNS = ("timestamp", "equity", "paper_capital", "total_realized_pnl", "total_unrealized_pnl")

State = dict[str, Any]


class JournalStateStore:
    """Thread-safe, and safe between processes. Its days are trading days, in IST.

    Everything raises `FilesUnusable` where a file cannot be read or written; nothing is then half done.
    """

    normalize_order = staticmethod(normalize_order)

    def __init__(self, *, artifacts_dir: Path | str | None = None, mode: str = "paper") -> None:
        self.mode = mode.lower()
        self.artifacts_dir = Path(artifacts_dir or ARTIFACTS)
        self.journal_dir = self.artifacts_dir / "journal"
        self.checkpoints_dir = self.artifacts_dir / "checkpoints"
        self.snapshots_dir = self.artifacts_dir / "snapshots"
        self._lock = threading.RLock()
        self._index = Index(self.journal_dir)

    @property
    def checkpoint_path(self) -> Path:
        return self.checkpoints_dir / f"{self.mode}_state_latest.json"

    def append_orders(self, rows: Iterable[Mapping[str, Any]]) -> Path | None:
        """Add what is new among the rows to the day's file. Returns the file, or `None` if nothing was new.

        A row is known if one of the same order told the same before: the same status and the same fill.
        """
        given = [normalize_order(row) for row in rows]
        if not given:
            return None
        with self._lock, alone_with(self.journal_dir / ".lock"):
            today = self._today()
            fresh = self._index.fresh(given, today)
            if not fresh:
                return None
            try:
                append_rows(today, fresh)
                self._index.add(fresh, today)
            except BaseException:
                self._index.forget()
                raise
            return today

    def latest_journal_path_for_today(self) -> Path | None:
        """Today's file, if there is one yet."""
        today = self._today()
        return today if today.exists() else None

    def rebuild_from_journal(self, today_only: bool = True) -> State:
        """A checkpoint, made from what the journal says was filled. Raises `ValueError` for a row with no side."""
        files = [self._today()] if today_only else days(self.journal_dir)
        rows = [normalize_order(row) for path in files for row in read_rows(path)]
        return rebuilding.checkpoint_of(rows, self.mode, self._paper_capital())

    def save_checkpoint(self, state: Mapping[str, Any]) -> Path:
        """Keep the state as the mode's latest, and as a copy without `_latest` in its name."""
        content = {"timestamp": datetime.now(UTC).isoformat(), **state}
        with self._lock:
            write_json(self.checkpoint_path, content)
            write_json(self.checkpoints_dir / f"{self.mode}_state.json", content)
        return self.checkpoint_path

    def load_latest_checkpoint(self) -> State | None:
        """The mode's latest state; `None` before the first."""
        state: State | None = read_json(self.checkpoint_path, dict)
        return state

    def compute_unrealized(self, state: State, quotes: Mapping[str, Any]) -> State:
        """The same state, its positions valued at the quotes (prices, or Kite's rows with `last_price`), in rupees.

        A position without a quote keeps its last price.
        """
        return rebuilding.valued(state, quotes)

    def append_equity_snapshot(self, state: Mapping[str, Any]) -> Path:
        """One line of `snapshots.csv` out of the state's figures, and its positions as a file of `snapshots/`."""
        now = datetime.now(UTC)
        figures = first_of(state, "meta") or first_of(state, "equity") or {}
        line = {name: first_of(figures, name, name.removeprefix("total_")) for name in SNAPSHOT_COLUMNS}
        line["timestamp"] = now.isoformat()
        file = self.artifacts_dir / "snapshots.csv"
        with self._lock:
            if not file.exists():
                write_whole(file, ",".join(SNAPSHOT_COLUMNS) + "\n")
            append_text(file, ",".join("" if value is None else str(value) for value in line.values()) + "\n")
            name = f"positions_{now.astimezone(IST):%Y%m%d_%H%M%S}.json"
            write_json(self.snapshots_dir / name, rebuilding.positions_in(state))
        return file

    def _paper_capital(self) -> Decimal:
        state = self.load_latest_checkpoint() or {}
        figures = first_of(state, "meta") or first_of(state, "equity") or {}
        return exact(first_of(figures, "paper_capital") or PAPER_CAPITAL, "paper_capital")

    def _today(self) -> Path:
        return self.journal_dir / datetime.now(IST).date().isoformat() / "orders.csv"
