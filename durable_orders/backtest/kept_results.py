"""What a sweep has played, kept in a file: broken off, it goes on where it was."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from durable_orders.backtest.recorded import Days
from durable_orders.backtest.trials import Result, Trial


class Kept:
    """What is known of one sweep, in a file, a line each, from whatever run it is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def results(self) -> dict[Trial, Result]:
        """What is there; a line that was half-written, or is no text, is not. Raises `OSError`."""
        found = {}
        for line in self._lines():
            with suppress(ValueError, KeyError, TypeError, InvalidOperation):
                result = _result(line)
                span = line.get("days")
                days = Days(*map(date.fromisoformat, span)) if span is not None else None
                found[Trial(tuple(result.values.items()), days)] = result
        return found

    def told(self) -> list[str] | None:
        """What there is to tell of the files; `None` if they were not read to their end yet."""
        return next((line["told"] for line in self._lines() if "told" in line), None)

    def days(self) -> list[date] | None:
        """Of which there are ticks; `None` if that is not known yet."""
        return next((list(map(date.fromisoformat, line["of"])) for line in self._lines() if "of" in line), None)

    def add(self, days: Days | None, results: Sequence[Result]) -> None:
        """Raises `OSError`."""
        span = None if days is None else [days.first, days.last]
        self._add([asdict(result) | {"days": span} for result in results])

    def tell(self, lines: Sequence[str], days: Sequence[date] | None = None) -> None:
        """Said once. Raises `OSError`."""
        if self.told() is None:
            self._add([{"told": lines}])
        if days is not None:
            self._add([{"of": days}])

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self._path.exists():
            for line in self._path.read_bytes().splitlines():
                with suppress(ValueError, RecursionError):
                    content = json.loads(line.decode())
                    if isinstance(content, dict):
                        yield content

    def _add(self, lines: Sequence[Mapping[str, object]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_half = self._path.exists() and not self._path.read_bytes().endswith(b"\n")
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" if is_half else "")
            file.writelines(f"{json.dumps(line, default=str)}\n" for line in lines)


def _result(content: Mapping[str, Any]) -> Result:
    return Result(
        values=dict(content["values"]),
        net_profit=_rupees(content["net_profit"]),
        gross_profit=_rupees(content["gross_profit"]),
        charges=_rupees(content["charges"]),
        max_drawdown=_rupees(content["max_drawdown"]),
        orders=int(content["orders"]),
        wins=int(content["wins"]),
        losses=int(content["losses"]),
        failure=content["failure"],
        refused=content.get("refused"),
    )


def _rupees(told: str) -> Decimal:
    """Raises `ValueError`, `InvalidOperation`."""
    if not (amount := Decimal(told)).is_finite():
        raise ValueError("an amount that is none")
    return amount
