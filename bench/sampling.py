"""Closed-loop rounds: so many at once, each begun when the one before it has ended; and figures over samples."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

T = TypeVar("T")


async def at_once(
    concurrency: int, total: int, one: Callable[[], Awaitable[T]], done: Callable[[], None] = lambda: None
) -> tuple[list[T], float]:
    """Does `one` `total` times, `concurrency` at a time, and calls `done` after each.

    Returns the results, and how many a second there were.
    """
    tickets = count()
    results: list[T] = []

    async def run() -> None:
        while next(tickets) < total:
            results.append(await one())
            done()

    began = perf_counter()
    await asyncio.gather(*(run() for _ in range(min(concurrency, total))))
    return results, total / (perf_counter() - began)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that was measured."""
    ordered = sorted(samples)
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def spread(seconds: Sequence[float], *percents: int) -> dict[str, float]:
    """Percentiles in milliseconds, as `{"p50": ...}`."""
    return {f"p{percent}": round(percentile(seconds, percent) * 1000, 1) for percent in percents}


def progress_bar(console: Console) -> Progress:
    """What is being done, how much of it, and for how long."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
