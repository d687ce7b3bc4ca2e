"""Work done by several processes at the same moment, as several workers would do it."""

from collections.abc import Sequence
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

SECONDS = 60
_context = get_context("forkserver")
_context.set_forkserver_preload(
    ["alembic.command", "psycopg", "durable_orders.trading.ledger.migrate", "durable_orders.trading.ledger.recording"]
)

Call = tuple[str, tuple[Any, ...]]
"""`package.module:function`, and what it is called with."""


def at_once(calls: Sequence[Call]) -> None:
    """Each call in a process of its own, begun together. All must succeed."""
    assert run(calls) == [0] * len(calls)


def run(calls: Sequence[Call]) -> list[int | None]:
    """The exit codes."""
    ready = _context.Barrier(len(calls))
    processes = [_context.Process(target=_call, args=(ready, *call)) for call in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def _call(ready: Barrier, name: str, arguments: tuple[Any, ...]) -> None:
    module, function = name.split(":")
    called = getattr(import_module(module), function)
    ready.wait(SECONDS)
    called(*arguments)
