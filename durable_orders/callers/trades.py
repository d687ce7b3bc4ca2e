"""The trades that were made out of a book's cumulative figures, kept on disk before anybody is told of them.

A book that says "10 filled" after "5 filled" has shown two trades: after a crash they must not be taken for one of 10.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.order import BrokerOrderId, Fill

KEPT = timedelta(days=7)
"""A broker's book is of one day."""


class SeenTrades:
    """Those of one home. Not thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._trades: dict[BrokerOrderId, list[Fill]] = {}
        self._open: IO[str] | None = None

    def of(self, broker_order_id: BrokerOrderId) -> list[Fill]:
        """Oldest first. Raises `BookUnreadable` where what was kept cannot be read."""
        self._opened()
        return self._trades.get(broker_order_id, [])

    def know(self, fills: Iterable[Fill]) -> None:
        """The ledger has these."""
        self._opened()
        self._add_new(fills)

    def add(self, fill: Fill) -> None:
        """Raises `BookUnreadable` if it cannot be kept: nobody may be told of it then."""
        try:
            file = self._opened()
            file.write(fill.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            self._forget()
            raise BookUnreadable(f"{self._file}: what was filled cannot be kept ({error.strerror})") from None
        self._trades.setdefault(fill.broker_order_id, []).append(fill)

    def close(self) -> None:
        self._forget()

    def _opened(self) -> IO[str]:
        """Written anew without what is old, and without a line that was cut off: nobody was told of that one."""
        if self._open is not None:
            return self._open
        try:
            kept = self._read()
            half = self._file.with_suffix(".tmp")
            half.write_text("".join(fill.model_dump_json() + "\n" for fill in kept), encoding="utf-8")
            half.replace(self._file)
            self._open = self._file.open("a", encoding="utf-8")
        except OSError as error:
            raise BookUnreadable(f"{self._file}: cannot be used ({error.strerror})") from None
        self._add_new(kept)
        return self._open

    def _read(self) -> list[Fill]:
        if not self._file.exists():
            return []
        *lines, _ = self._file.read_text(encoding="utf-8").split("\n")
        try:
            kept = [Fill.model_validate(json.loads(line)) for line in lines]
        except ValueError:
            raise BookUnreadable(f"{self._file}: is damaged; look at the broker for what was filled") from None
        return [fill for fill in kept if datetime.now(UTC) - fill.at < KEPT]

    def _forget(self) -> None:
        """What is on disk is read again, beside what is known."""
        file, self._open = self._open, None
        if file is not None:
            with suppress(OSError):  # what could not be written, it tries to write once more
                file.close()

    def _add_new(self, fills: Iterable[Fill]) -> None:
        for fill in fills:
            known = self._trades.setdefault(fill.broker_order_id, [])
            if all(each.trade_id != fill.trade_id for each in known):
                known.append(fill)
