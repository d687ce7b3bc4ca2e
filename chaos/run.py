"""One run: ground, schedule, rest, and the verdict."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from chaos.collecting import evidence_of
from chaos.ground import open_ground
from chaos.play import Played, Player, Progress
from chaos.schedule import Plan, schedule
from chaos.stalls import watched
from chaos.verdict import Evidence, violations

SETTLE_SECONDS = 90.0
"""How long after the last order's end the rest may take: late arrivals to be booked, twins to be gone."""
LOOK_AGAIN = 1.0


@dataclass(frozen=True)
class Result:
    plan: Plan
    played: Played
    evidence: Evidence
    violations: list[str]
    seconds: float


async def run(plan: Plan, path: Path, progress: Progress) -> Result:
    """`path` is an empty directory; `progress` hears `placed` and `ended` for each order."""
    began = perf_counter()
    async with watched() as stalls, open_ground(path, plan.seed, plan.workers) as ground:
        player = Player(ground, progress)
        await player.play(schedule(plan))
        await player.wait_until_settled()
        deadline = perf_counter() + SETTLE_SECONDS
        while found := violations(evidence := await evidence_of(ground, player.played, stalls.longest)):
            if perf_counter() > deadline:
                break
            await asyncio.sleep(LOOK_AGAIN)
        return Result(plan, player.played, evidence, found, perf_counter() - began)


async def run_somewhere(plan: Plan, progress: Progress) -> Result:
    """In a directory that is thrown away, unless there is something to look at."""
    path = Path(tempfile.mkdtemp(prefix=f"durable-orders-chaos-{plan.seed}-"))
    result = await run(plan, path, progress)
    if not result.violations:
        await asyncio.to_thread(_remove, path)
    return result


def _remove(path: Path) -> None:
    for file in sorted(path.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    path.rmdir()
