"""The state of a session on JSON files."""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_orders.v2.files import append_line, read_json, write_json

CHECKPOINT = Path("artifacts/checkpoints/runtime_state_latest.json")
LOG = Path("artifacts/logs/events.jsonl")
OPEN_TRADES = Path("artifacts/runtime/open_trades.json")
PAPER_CAPITAL = 100_000
"""Rupees, where the state has no `equity.paper_capital`."""


class StateStore:
    """The state of a session in one JSON file, events beside it. Files are replaced whole or not at all.

    Everything raises `FilesUnusable` where a file cannot be read or written: a damaged state is not an empty one.
    """

    def __init__(self, *, checkpoint_path: Path | str | None = None, log_path: Path | str | None = None) -> None:
        self.checkpoint_path = Path(checkpoint_path or CHECKPOINT)
        self.log_path = Path(log_path or LOG)
        self.open_trades_path = OPEN_TRADES
        self._lock = threading.RLock()

    def load(self) -> dict[str, Any]:
        """The last state; empty before the first."""
        return self.load_checkpoint() or {}

    def save(self, state: Mapping[str, Any]) -> None:
        self.save_checkpoint(state)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last state; `None` before the first."""
        state: dict[str, Any] | None = read_json(self.checkpoint_path, dict)
        return state

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keep the state, with the time in `ts`: UTC, ending in `Z`."""
        self.atomic_write_json(self.checkpoint_path, {**state, "ts": _now()})

    def append_log(self, event: Mapping[str, Any]) -> None:
        """One line of JSON, with the time in `ts` if the event has none."""
        with self._lock:
            append_line(self.log_path, {"ts": _now(), **event})

    def tail_logs(self, limit: int = 200) -> list[dict[str, Any]]:
        """The last events, oldest first. A line that was cut off by a crash is left out."""
        if limit <= 0 or not self.log_path.exists():
            return []
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-limit:]
        return [event for line in lines if (event := _event(line)) is not None]

    def load_open_trades(self) -> list[dict[str, Any]]:
        """The list as it was saved; empty before the first."""
        trades: list[dict[str, Any]] | None = read_json(self.open_trades_path, list)
        return trades or []

    def save_open_trades(self, trades: list[dict[str, Any]]) -> None:
        self.atomic_write_json(self.open_trades_path, trades)

    def atomic_write_json(self, path: Path | str, payload: Any) -> None:
        """Replace the file: whoever reads it sees the old content or the new one, whatever happens between."""
        with self._lock:
            write_json(Path(path), payload)


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat() + "Z"


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
