"""What operators and machines do to a system that runs, as chance has it: kinds of acts, and when."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

from chaos.acts import Batch
from durable_orders.activities.watch import TRIPPED


class Act(StrEnum):
    """The kinds, by the names that `--only` takes."""

    RESET = "reset"
    TERMINATE = "terminate"
    BATCH = "batch"
    SIGNAL = "signal"
    FREEZE_WORKER = "freeze-worker"
    FREEZE_SERVER = "freeze-server"
    LOCK_LEDGER = "lock-ledger"
    FULL_DISK = "full-disk"
    RESTORE_LEDGER = "restore-ledger"
    RESTORE_SERVER = "restore-server"
    RESTORE_BOTH = "restore-both"
    OTHER_LOGIN = "other-login"
    HALT = "halt"
    CLOCK = "clock"


RESTORES = frozenset({Act.RESTORE_LEDGER, Act.RESTORE_SERVER, Act.RESTORE_BOTH})
WEIGHTS = {act: 2 if act in RESTORES or act in (Act.BATCH, Act.FULL_DISK, Act.CLOCK) else 8 for act in Act}
WEIGHTS |= {Act.RESET: 16, Act.TERMINATE: 16, Act.SIGNAL: 16}
"""Those that stop everything for a while are rare."""
MISFITS: tuple[tuple[str, list[Any]], ...] = (
    ("wake", ["now"]),
    ("report", []),
    ("report", ["none", 1]),
    ("gone", [{"words": 1}]),
    ("cancel", [{"reason": "by chance"}, 2]),
    ("nobody knows this one", [None]),
    (TRIPPED, ["a breaker", 2]),
)
"""The last one goes to the account's watch."""
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Operate:
    """One act."""

    act: Act
    number: int = 0
    """Of the order that it is done to, where that is one, or of the worker."""
    share: float = 0.0
    """Between 0 and 1: how far into its history a reset goes; how long ago a restored backup was taken."""
    seconds: float = 0.0
    """How long it lasts; of a clock, by how much it is stepped."""
    batch: Batch = Batch.TERMINATE
    signal: str = ""
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class BackUp:
    """A backup is taken, for a restore that comes later."""


def some_acts(
    random: Random, count: int, orders: int, workers: int, lasts: float, only: Collection[Act]
) -> Iterator[tuple[float, Operate | BackUp]]:
    """So many acts, and the backups that some of them need, each with its second."""
    kinds = sorted(only) or sorted(Act)
    for _ in range(count):
        act = random.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
        at = random.uniform(0.05, 1.0) * lasts
        if act in RESTORES:
            yield max(at - random.uniform(2, 15), 0), BackUp()
        yield at, _one(random, act, orders, workers, at / lasts)


def _one(random: Random, act: Act, orders: int, workers: int, when: float) -> Operate:
    """Orders of about that moment, most of which are still open."""
    placed = int(orders * when)
    number = min(max(placed - random.randint(0, 12), 0), max(orders - 1, 0))
    match act:
        case Act.FREEZE_WORKER | Act.FULL_DISK | Act.CLOCK:
            number = random.randrange(workers)
    signal, arguments = random.choice(MISFITS)
    return Operate(
        act,
        number=number,
        share=random.random(),
        seconds=random.choice((-HOUR, HOUR)) if act is Act.CLOCK else random.uniform(0.5, 12),
        batch=random.choice(list(Batch)),
        signal=signal,
        arguments=tuple(arguments),
    )
