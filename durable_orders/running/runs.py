"""The runs of strategies that a home has seen: a small file for each, written as it begins and again as it ends."""

import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime

from durable_orders.running.summary import Summary
from durable_orders.trading.orders.order import Frozen, Mode
from durable_orders.workers.home import Home

FOLDER = "runs"
STAMP = "%Y%m%dT%H%M%S%fZ"

log = logging.getLogger(__name__)


class KeptRun(Frozen):
    """One run, as its file has it."""

    strategy: str
    mode: Mode
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    """`None` while it runs, and for one that was killed or broke off."""
    summary: Summary | None = None
    """What it came to, if it ended by itself."""


class RunFile:
    """Writes the file of one run. A home that cannot be written stops no strategy: the log has it."""

    def __init__(self, home: Home, strategy: str, mode: Mode) -> None:
        self._run = KeptRun(strategy=strategy, mode=mode, began_at=datetime.now(UTC))
        self._path = home.path / FOLDER / f"{self._run.began_at:{STAMP}}-{strategy}.json"
        self._write(self._run)

    def end(self, summary: Summary) -> None:
        self._write(self._run.model_copy(update={"ended_at": datetime.now(UTC), "summary": summary}))

    def _write(self, run: KeptRun) -> None:
        try:
            self._path.parent.mkdir(exist_ok=True)
            half = self._path.with_suffix(".half")
            half.write_text(run.model_dump_json(indent=1), encoding="utf-8")
            half.replace(self._path)
        except OSError as error:
            log.warning("the run of %s is not kept: %s", run.strategy, error.strerror or error)


def runs_of(home: Home, limit: int) -> list[KeptRun]:
    """The newest runs, newest first. A file that cannot be read is left out."""
    found = []
    for file in _files(home.path / FOLDER)[:limit]:
        with suppress(OSError, ValueError):
            found.append(KeptRun.model_validate_json(file.read_text(encoding="utf-8")))
    return found


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.glob("*.json"), reverse=True)
    return []
